/**
 * A followed volume as a plain file of this host:
 *
 *   programs ─▶ DIR/VOLUME (FUSE) ─▶ nbdfuse ─ unix ─▶ bridge ─▶ line ═▶ site
 *
 * nbdfuse never sees the bridge's connection break while a volume moves. It caches nothing that was
 * written, and a flush goes through to the site. The kernel may have what was read.
 */
import { execFile } from 'node:child_process';
import { access, constants, lstat, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { BridgeRefused } from './bridge-refusal.ts';
import { socketUri } from './bridge-volume.ts';
import { endRunningDaemon, runningDaemon, startDaemon } from './daemon-process.ts';

const NBDFUSE = {
  command: 'nbdfuse',
  install: 'Install libnbd-bin (as Debian calls it; elsewhere libnbd or nbdfuse).',
};

export interface VolumeFile {
  /** Absolute. */
  readonly path: string;
  readonly pidFile: string;
}

/**
 * Shows what a bridge serves as a file. Its process goes on when this one ends.
 *
 * @param name the export's
 * @throws BridgeRefused `daemon_missing`, `daemon_failed`, `host_cannot`, `file_path_unusable` —
 *   nothing is left
 */
export async function showFile(
  { path, pidFile }: VolumeFile,
  socketPath: string,
  name: string,
): Promise<void> {
  await checkHost();
  await makeMountPoint(path);
  try {
    const daemon = await startDaemon(
      NBDFUSE,
      ['--pidfile', pidFile, path, socketUri(socketPath, name)],
      pidFile,
    );
    daemon.letGo();
  } catch (reason) {
    await hideFile({ path, pidFile });
    throw reason;
  }
}

/**
 * Ends its process and removes the file. Programs that have it open get errors from then on. What
 * another shows there stays. Safe to repeat, whatever state it is in.
 */
export async function hideFile({ path, pidFile }: VolumeFile): Promise<void> {
  await endRunningDaemon(pidFile);
  await unmountDead(path);
  if (await isMountPoint(path)) await rm(path, { force: true });
}

/** Whether the process behind the file runs. */
export async function isShown({ pidFile }: VolumeFile): Promise<boolean> {
  return (await runningDaemon(pidFile)) !== undefined;
}

/** @throws BridgeRefused `daemon_missing`, `host_cannot` */
async function checkHost(): Promise<void> {
  await access('/dev/fuse', constants.R_OK | constants.W_OK).catch((cause: unknown) => {
    const message =
      'This host has no /dev/fuse that may be opened: load its kernel module ("modprobe fuse"), ' +
      'let this user have it, or attach with --socket.';
    throw new BridgeRefused('host_cannot', message, { cause });
  });
  await promisify(execFile)('fusermount3', ['--version']).catch((cause: unknown) => {
    const message = 'fusermount3 is not installed on this host. Install fuse3.';
    throw new BridgeRefused('daemon_missing', message, { cause });
  });
}

/** nbdfuse mounts over an empty file. */
async function makeMountPoint(path: string): Promise<void> {
  // A mount of a process that was killed answers nobody.
  await unmountDead(path);
  try {
    await writeFile(path, '', { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    if (await isMountPoint(path)) return;
    const message =
      `No file can be made at ${path}. Check that its directory exists and is writable, ` +
      'and that nothing else is there.';
    throw new BridgeRefused('file_path_unusable', message, { cause });
  }
}

/** Nothing of anybody's is in it. */
async function isMountPoint(path: string): Promise<boolean> {
  const seen = await lstat(path).catch(() => undefined);
  return seen !== undefined && seen.isFile() && seen.size === 0;
}

/** The mount of a process that is gone, also where somebody has it open still. */
async function unmountDead(path: string): Promise<void> {
  const trouble: unknown = await lstat(path).then(
    () => undefined,
    (error: unknown) => error,
  );
  if ((trouble as NodeJS.ErrnoException | undefined)?.code !== 'ENOTCONN') return;
  // Somebody else may have done it meanwhile.
  await promisify(execFile)('fusermount3', ['-u', '-z', '-q', path]).catch(() => undefined);
}
