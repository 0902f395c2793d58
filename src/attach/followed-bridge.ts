/** The bridge of a volume that is followed: what programs on this host have open, wherever it moves. */
import { execFile } from 'node:child_process';
import { lstat, open, readFile, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { BridgeRefused } from './bridge-refusal.ts';
import { hideSocket } from './bridge-socket.ts';
import { endRunningDaemon, startStorageDaemon } from './storage-daemon.ts';

const run = promisify(execFile);
const MOUNTS = '/proc/self/mounts';
const UNMOUNT_LIMIT_MS = 10_000;

export type Appearance = 'socket' | 'file';

export interface FollowedBridge {
  readonly volumeId: string;
  readonly name: string;
  /** Where it appears: a socket, or a file that is the volume. Absolute. */
  readonly path: string;
  readonly appearance: Appearance;
  /** A link to the socket of its present line. */
  readonly linePath: string;
  readonly pidFile: string;
  /** Requests wait so long for a line, in seconds, and fail afterwards. */
  readonly patienceSeconds: number;
}

/**
 * Starts it. The daemon goes on when this process ends.
 *
 * @throws BridgeRefused — nothing is left
 */
export async function startFollowedBridge(bridge: FollowedBridge): Promise<void> {
  if (bridge.appearance === 'socket') await startSocket(bridge);
  else await startFile(bridge);
}

/** Ends it and removes where it appeared, whatever state it is in. Safe to repeat. */
export async function endFollowedBridge(
  bridge: Pick<FollowedBridge, 'path' | 'appearance' | 'pidFile'>,
): Promise<void> {
  if (bridge.appearance === 'file') await unmount(bridge.path);
  await endRunningDaemon(bridge.pidFile);
  if (bridge.appearance === 'file') await unmount(bridge.path);
  await rm(bridge.path, { force: true });
}

async function startSocket(bridge: FollowedBridge): Promise<void> {
  const socket = await hideSocket(bridge.path);
  try {
    const listener = { addr: { type: 'unix', path: socket.path }, 'max-connections': 0 };
    const exports = [bridge.name, ''].map((name, index) => ({
      ...{ type: 'nbd', id: `export-${index}`, 'node-name': 'volume', name, writable: true },
    }));
    const daemon = await startStorageDaemon(
      [
        ...['--blockdev', JSON.stringify(volumeNode(bridge))],
        ...['--nbd-server', JSON.stringify(listener)],
        ...exports.flatMap((one) => ['--export', JSON.stringify(one)]),
        ...['--pidfile', bridge.pidFile],
      ],
      bridge.pidFile,
    );
    try {
      await socket.show();
    } catch (reason) {
      await daemon.end();
      throw reason;
    }
    daemon.letGo();
  } finally {
    await socket.discard();
  }
}

async function startFile(bridge: FollowedBridge): Promise<void> {
  const { path, pidFile } = bridge;
  await makeMountPoint(path);
  try {
    const exported = {
      type: 'fuse',
      id: 'export-0',
      'node-name': 'volume',
      mountpoint: path,
      writable: true,
      growable: false,
      'allow-other': 'off',
    };
    const daemon = await startStorageDaemon(
      [
        ...['--blockdev', JSON.stringify(volumeNode(bridge))],
        ...['--export', JSON.stringify(exported)],
        ...['--pidfile', pidFile],
      ],
      pidFile,
    );
    daemon.letGo();
  } catch (reason) {
    await unmount(path);
    await rm(path, { force: true });
    throw reason;
  }
}

function volumeNode({ linePath, volumeId, patienceSeconds }: FollowedBridge): object {
  return {
    driver: 'nbd',
    'node-name': 'volume',
    server: { type: 'unix', path: linePath },
    export: volumeId,
    'reconnect-delay': patienceSeconds,
  };
}

/** An empty file of ours; what is there already, or what a killed bridge left mounted, is looked at. */
async function makeMountPoint(path: string): Promise<void> {
  await unmount(path);
  const present = await lstat(path).catch(() => undefined);
  if (present !== undefined && !(present.isFile() && present.size === 0)) {
    throw new BridgeRefused(
      'file_path_unusable',
      `${path} exists and is not an empty file. Choose another directory, or remove it.`,
    );
  }
  const file = await open(path, 'a', 0o600).catch((cause: unknown) => {
    throw new BridgeRefused(
      'file_path_unusable',
      `No file can be made at ${path}. Check that its directory exists and is writable.`,
      { cause },
    );
  });
  await file.close();
}

/** Also of a daemon that died, whose file nobody can look at. Lazy: who has it open keeps its end. */
async function unmount(path: string): Promise<void> {
  const escaped = path.replaceAll(' ', '\\040');
  const mounts = (await readFile(MOUNTS, 'utf8')).split('\n');
  const count = mounts.filter((line) => line.split(' ')[1] === escaped).length;
  for (let left = count; left > 0; left -= 1) {
    await run('umount', ['--lazy', path], { timeout: UNMOUNT_LIMIT_MS });
  }
}
