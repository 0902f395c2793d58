/** The bridge of a volume that is followed: what programs on this host have open, wherever it moves. */
import { rm } from 'node:fs/promises';
import { answers, hideSocket } from './bridge-socket.ts';
import { endRunningDaemon } from './daemon-process.ts';
import { startStorageDaemon } from './storage-daemon.ts';

export interface FollowedBridge {
  readonly volumeId: string;
  readonly name: string;
  /** Its socket. Absolute. */
  readonly path: string;
  /** A link to the socket of its present line. */
  readonly linePath: string;
  readonly pidFile: string;
  /** Requests wait so long for a line, in seconds, and fail afterwards. */
  readonly patienceSeconds: number;
}

/**
 * Ends it and removes its socket, whatever state it is in. What another serves there stays. Safe to
 * repeat.
 */
export async function endFollowedBridge({
  path,
  pidFile,
}: Pick<FollowedBridge, 'path' | 'pidFile'>): Promise<void> {
  await endRunningDaemon(pidFile);
  if (!(await answers(path))) await rm(path, { force: true });
}

/**
 * Starts it. The daemon goes on when this process ends.
 *
 * @throws BridgeRefused — nothing is left
 */
export async function startFollowedBridge(bridge: FollowedBridge): Promise<void> {
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

function volumeNode({ linePath, volumeId, patienceSeconds }: FollowedBridge): object {
  return {
    driver: 'nbd',
    'node-name': 'volume',
    server: { type: 'unix', path: linePath },
    export: volumeId,
    'reconnect-delay': patienceSeconds,
  };
}
