/** What an agent must know when it is started again: durable before anybody may rely on it. */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

const STATE = 'agent.json';

export interface AgentState {
  readonly version: 1;
  readonly volumes: readonly FollowedVolume[];
}

/** A unix socket that speaks NBD, a file, or a block device of the kernel. */
export type Appearance = 'socket' | 'file' | 'device';

export interface FollowedVolume {
  readonly volumeId: string;
  /** Asks the sites for it; absent: its id does. */
  readonly reference?: string;
  readonly name: string;
  readonly sizeBytes: number;
  /** The history that programs on this host have seen through the bridge. */
  readonly history: string;
  /** How it appears on this host; absent: as a socket. */
  readonly as?: Appearance;
  /** Where it appears. */
  readonly path: string;
  /** Requests fail, until somebody accepts what there is now. */
  readonly closed?: Closed;
}

/** A failover took the group to a point that may lack what this host wrote. */
export interface Closed {
  readonly since: string;
  /** What to name so that it opens again; absent while no site says. */
  readonly acceptance?: string;
  /** All that was written until then is in what there is now; absent while no site says. */
  readonly completeUpTo?: string;
}

/** Empty where there was no agent. @throws Error when the file is of another version */
export async function readAgentState(directory: string): Promise<AgentState> {
  const text = await readFile(join(directory, STATE), 'utf8').catch(() => undefined);
  if (text === undefined) return { version: 1, volumes: [] };
  const state = JSON.parse(text) as AgentState;
  if (state.version === 1) return state;
  throw new Error(`${join(directory, STATE)}: wanted version 1, got ${String(state.version)}`);
}

/** Durable when it resolves; never half of it is seen. */
export async function writeAgentState(directory: string, state: AgentState): Promise<void> {
  await writeWhole(directory, STATE, `${JSON.stringify(state, undefined, 2)}\n`);
}

/** A file of the agent's, for its owner only. */
export async function writeWhole(directory: string, name: string, text: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const fresh = join(directory, `.${name}.new`);
  const file = await open(fresh, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, join(directory, name));
}
