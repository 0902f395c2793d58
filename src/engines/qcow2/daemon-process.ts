/**
 * The process of a group's daemon, and its files in the run directory.
 *
 *   flock(group.lock) ─exec─▶ qemu-storage-daemon: holds the lock until its last breath
 *
 * The lock comes before the daemon binds its sockets: a second daemon for the group ends before it
 * could take the first one's sockets away. (QEMU's own lock, on the pid file, comes after that.)
 */
import { spawn } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, statSync, truncateSync } from 'node:fs';
import { readFile, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CopyId, GroupId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { Clock } from '../../ports/clock.ts';
import { escaped, monitorOptions } from '../qmp/monitor-options.ts';

const LOCKED_EXIT_CODE = 75;
/** What `ended` says of a process that found the lock taken. */
export const LOCKED = 'another one holds its lock';
const END_LIMIT_MS = 10_000;
const END_POLL_MS = 5;
/** A log larger than this starts anew; one old log is kept. */
const LOG_LIMIT_BYTES = 1024 * 1024;

/** Before the instance, in the name of an object that says nothing else. */
export const INSTANCE_PREFIX = 'instance-';

export interface DaemonPaths {
  readonly control: string;
  readonly rescue: string;
  readonly lock: string;
  readonly pid: string;
  readonly log: string;
}

/** @param owner the group or the copy whose daemon it is */
export function daemonPaths(runDirectory: string, owner: CopyId | GroupId): DaemonPaths {
  const stem = join(runDirectory, owner);
  return {
    control: `${stem}.sock`,
    rescue: `${stem}.rescue.sock`,
    lock: `${stem}.lock`,
    pid: `${stem}.pid`,
    log: `${stem}.log`,
  };
}

/** Of a daemon that has ended for good. */
export async function removeRunFiles(paths: DaemonPaths): Promise<void> {
  const { control, rescue, lock, pid, log } = paths;
  const files = [control, rescue, lock, pid, log, `${log}.old`];
  await Promise.all(files.map((file) => rm(file, { force: true })));
}

/**
 * Starts a daemon, which waits for somebody to connect to its control monitor.
 *
 * @returns tells why the process ended, once it has
 */
export function launchDaemon(paths: DaemonPaths): { readonly ended: () => string | undefined } {
  mkdirSync(dirname(paths.log), { recursive: true, mode: 0o700 });
  const log = openLog(paths.log);
  const daemon = [
    'qemu-storage-daemon',
    // Says nothing but its own name: who adopts the daemon reads its instance from it.
    ...['--object', `authz-list,id=${INSTANCE_PREFIX}${crypto.randomUUID()},policy=deny`],
    ...monitorOptions('control', paths.control, { isAwaited: true }),
    ...monitorOptions('rescue', paths.rescue, { isAwaited: false }),
    ...['--pidfile', paths.pid],
  ];
  let ended: string | undefined;
  const lock = [
    '--nonblock',
    '--no-fork',
    '--conflict-exit-code',
    `${LOCKED_EXIT_CODE}`,
    paths.lock,
  ];
  const child = spawn('flock', [...lock, ...daemon], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
  });
  closeSync(log);
  child.on('error', (cause) => (ended = cause.message));
  child.on('exit', (code, signal) => {
    ended ??= code === LOCKED_EXIT_CODE ? LOCKED : (signal ?? `exit code ${code}`);
  });
  child.unref();
  return { ended: () => ended };
}

export async function processEnd(paths: DaemonPaths, pid: number, clock: Clock): Promise<void> {
  const giveUpAt = clock.monotonicMs() + END_LIMIT_MS;
  while (!(await hasEnded(paths, pid))) {
    if (clock.monotonicMs() > giveUpAt) throw new Failure(`process ${pid} does not end`);
    await clock.sleep(END_POLL_MS);
  }
}

/**
 * A process that ends gives up its memory, command line included, before its files and locks; these
 * go with its last thread, while the first one waits as a zombie for somebody to ask for it.
 */
async function hasEnded(paths: DaemonPaths, pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  if (stat === '' || threads.length === 0) return true;
  if (stat.slice(stat.lastIndexOf(')')).startsWith(') Z')) return threads.length === 1;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine !== '' && !(await isDaemon(paths, pid));
}

/** The process that the pid file names, if it is a daemon of this group (of this instance). */
export async function findProcess(paths: DaemonPaths, instance = ''): Promise<number | undefined> {
  const pid = Number(await readFile(paths.pid, 'utf8').catch(() => ''));
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  return (await isDaemon(paths, pid, instance)) ? pid : undefined;
}

async function isDaemon(paths: DaemonPaths, pid: number, instance = ''): Promise<boolean> {
  // Empty for a process that has ended and that nobody has waited for.
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const isOurs = commandLine.includes(`path=${escaped(paths.control)},`);
  return isOurs && commandLine.includes(`${INSTANCE_PREFIX}${instance}`);
}

function openLog(path: string): number {
  boundLog(path);
  return openSync(path, 'a', 0o600);
}

/** The daemon writes a line for each client that leaves. It appends, so the file may be emptied. */
export function boundLog(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) <= LOG_LIMIT_BYTES) return;
  copyFileSync(path, `${path}.old`);
  truncateSync(path);
}
