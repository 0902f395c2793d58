/** What an agent says of its volumes, for whoever looks: a file in its directory. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from './agent-state.ts';

const STATUS = 'status.json';

export interface VolumeStatus {
  readonly volumeId: string;
  readonly name: string;
  readonly path: string;
  readonly state: 'open' | 'waiting' | 'closed';
  /** The site that it is connected to. */
  readonly site?: string;
  readonly epoch?: number;
  /** Why it is not open. */
  readonly why?: string;
  /** What to name so that a closed one opens again. */
  readonly acceptance?: string;
}

export function writeStatus(directory: string, volumes: readonly VolumeStatus[]): Promise<void> {
  return writeWhole(directory, STATUS, `${JSON.stringify(volumes, undefined, 2)}\n`);
}

/** As the agent said last; empty where there was none. */
export async function readStatus(directory: string): Promise<readonly VolumeStatus[]> {
  const text = await readFile(join(directory, STATUS), 'utf8').catch(() => '[]');
  return JSON.parse(text) as readonly VolumeStatus[];
}
