import { chmod, lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join, resolve as absolute } from 'node:path';
import { BridgeRefused } from './bridge-refusal.ts';
import { endRunningDaemon, runningDaemon } from './daemon-process.ts';

/** The kernel's limit for a unix socket's path, without the ending zero. */
const MAX_SOCKET_PATH_BYTES = 107;

export function pidFileOf(socketPath: string): string {
  return `${absolute(socketPath)}.pid`;
}

/** Where a daemon listens until its socket may be seen under its own name. */
export interface HiddenSocket {
  readonly path: string;
  /** Puts the socket where it belongs, in one step, for its owner only. */
  readonly show: () => Promise<void>;
  /** Safe to repeat, also after `show`. */
  readonly discard: () => Promise<void>;
}

/**
 * Makes room for a daemon's socket in a directory that only we can enter. So no one can connect
 * before its permissions are set, and whoever sees it finds the daemon ready.
 *
 * @throws BridgeRefused `socket_in_use`, `socket_path_unusable`
 */
export async function hideSocket(socketPath: string): Promise<HiddenSocket> {
  await checkFree(socketPath);
  const directory = await mkdtemp(`${socketPath}.`).catch((cause: unknown) => {
    throw new BridgeRefused(
      'socket_path_unusable',
      `No socket can be made at ${socketPath}. Check that its directory exists and is writable.`,
      { cause },
    );
  });
  const discard = (): Promise<void> => rm(directory, { recursive: true, force: true });
  const path = join(directory, 's');
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    await discard();
    const most = MAX_SOCKET_PATH_BYTES - (Buffer.byteLength(path) - Buffer.byteLength(socketPath));
    throw new BridgeRefused(
      'socket_path_unusable',
      `The socket path ${socketPath} is too long: at most ${most} bytes are possible.`,
    );
  }
  const show = async (): Promise<void> => {
    await chmod(path, 0o600);
    await rename(path, socketPath);
    await discard();
  };
  return { path, show, discard };
}

/** Removes what a daemon that ended left. Safe to repeat. */
export async function removeBridgeFiles(socketPath: string): Promise<void> {
  await rm(socketPath, { force: true });
  await rm(pidFileOf(socketPath), { force: true });
}

/**
 * Ends the bridge that was left running behind that socket, and removes its files.
 *
 * @returns false when none ran; files of one that died are removed all the same
 */
export async function endBridge(socketPath: string): Promise<boolean> {
  const ran = await endRunningDaemon(pidFileOf(socketPath));
  const present = await lstat(socketPath).catch(() => undefined);
  if (present === undefined || present.isSocket()) await removeBridgeFiles(socketPath);
  return ran;
}

async function checkFree(socketPath: string): Promise<void> {
  const present = await lstat(socketPath).catch(() => undefined);
  if (present && !present.isSocket()) {
    throw new BridgeRefused(
      'socket_path_unusable',
      `${socketPath} exists and is not a socket. Choose another path, or remove it.`,
    );
  }
  const pid = await runningDaemon(pidFileOf(socketPath));
  if (pid === undefined && !(present && (await answers(socketPath)))) return;
  const who = pid === undefined ? 'Another program' : `A bridge (process ${pid})`;
  throw new BridgeRefused(
    'socket_in_use',
    `${who} serves at ${socketPath}. End it first, or choose another path.`,
  );
}

/** Whether anybody serves there. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
