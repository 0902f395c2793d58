/** `baton attach --bundle`: the agent in the foreground, and what others ask of it. */
import { join, resolve } from 'node:path';
import { UsageError } from './exit-codes.ts';
import type { Bridges, FollowedStatus, FollowRequest } from './attach-command.ts';
import { readBundle } from './host-bundle.ts';
import { parseSeconds } from './quantities.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

export interface FollowOptions {
  readonly bundle?: string;
  readonly socket?: string;
  readonly fuse?: string;
  readonly nbd?: boolean;
  readonly state?: string;
  readonly accept?: string;
  readonly patience: string;
  readonly readOnly?: boolean;
  readonly detach?: boolean;
  readonly credentials?: string;
}

/** Runs until it is told to end. */
export async function follow(
  terminal: Terminal,
  bridges: Bridges,
  volumes: readonly string[],
  options: FollowOptions,
): Promise<void> {
  const stateDirectory = stateDirectoryOf(terminal, options.state);
  if (options.accept !== undefined) {
    await bridges.accept(stateDirectory, options.accept);
    if (options.bundle === undefined) {
      terminal.out(`the agent is told to go on with ${options.accept}\n`);
      return;
    }
  }
  const where = whereTo(options);
  const agent = await bridges.follow({
    bundle: await readBundle(resolve(options.bundle ?? '')),
    volumes,
    ...where,
    patienceSeconds: parseSeconds(options.patience),
    stateDirectory,
    onChange: (status) => terminal.err(`${sayStatus(status)}\n`),
  });
  const paths = agent.volumes().map(({ path }) => `${path}\n`);
  terminal.out(`${paths.join('')}Ctrl-C detaches\n`);
  const how = await Promise.race([agent.askedToLeave.then(() => 'left'), interrupted(terminal)]);
  await agent.leave();
  // SIGTERM is how a service manager ends a service that it starts again.
  if (how === 'SIGINT') await bridges.detachAll(stateDirectory);
}

/** How and where they shall appear. */
function whereTo(options: FollowOptions): Pick<FollowRequest, 'as' | 'directory'> {
  const { socket, fuse, nbd } = options;
  const ways: readonly Pick<FollowRequest, 'as' | 'directory'>[] = [
    ...(socket === undefined ? [] : [{ as: 'socket', directory: resolve(socket) } as const]),
    ...(fuse === undefined ? [] : [{ as: 'file', directory: resolve(fuse) } as const]),
    ...(nbd === undefined ? [] : [{ as: 'device', directory: '/dev' } as const]),
  ];
  const [way] = ways;
  if (way === undefined || ways.length > 1) {
    const wanted = 'one of --socket DIRECTORY, --fuse DIRECTORY and --nbd';
    throw new UsageError(`with --bundle: wanted ${wanted}`);
  }
  const other = (['readOnly', 'detach', 'credentials'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (other !== undefined) throw new UsageError(`--${spelled[other]} is not for --bundle`);
  return way;
}

const spelled = { readOnly: 'read-only', detach: 'detach', credentials: 'credentials' } as const;

/** @returns which signal it was */
function interrupted({ interrupted: signal }: Terminal): Promise<string> {
  if (signal.aborted) return Promise.resolve(String(signal.reason));
  return new Promise((resolved) => {
    signal.addEventListener('abort', () => resolved(String(signal.reason)), { once: true });
  });
}

/** One for each user of a machine, gone with its processes at the next start of the machine. */
export function stateDirectoryOf({ env }: Terminal, given: string | undefined): string {
  if (given !== undefined) return resolve(given);
  const session = env['XDG_RUNTIME_DIR'];
  return process.getuid?.() === 0 || session === undefined
    ? '/run/baton-attach'
    : join(session, 'baton-attach');
}

export async function showAttached(
  terminal: Terminal,
  bridges: Bridges,
  state: string | undefined,
  output: 'table' | 'json',
): Promise<void> {
  const volumes = await bridges.statusOf(stateDirectoryOf(terminal, state));
  if (output === 'json') {
    terminal.out(`${JSON.stringify(volumes, undefined, 2)}\n`);
    return;
  }
  const columns = [
    { heading: 'VOLUME', cell: ({ name }: FollowedStatus) => name },
    { heading: 'STATE', cell: ({ state: now }: FollowedStatus) => now },
    { heading: 'AT', cell: ({ site }: FollowedStatus) => site ?? '-' },
    { heading: 'PATH', cell: ({ path }: FollowedStatus) => path },
  ];
  const troubles = volumes.filter(({ why }) => why !== undefined).map(sayStatus);
  terminal.out(
    volumes.length === 0
      ? 'nothing is attached\n'
      : `${table(columns, volumes)}${troubles.map((line) => `${line}\n`).join('')}`,
  );
}

function sayStatus({ name, state, site, epoch, why, acceptance }: FollowedStatus): string {
  if (state === 'open') return `${name}: open at ${site}, epoch ${epoch}`;
  const how =
    acceptance === undefined ? '' : `; to go on with what there is: --accept ${acceptance}`;
  return `${name}: ${state}: ${why}${how}`;
}
