/**
 * One `qemu-storage-daemon` for each group, with two monitors. It outlives this process.
 *
 *   flock(group.lock) ─exec─▶ daemon: holds the lock until its last breath
 *
 * The lock comes before the daemon binds its sockets: a second daemon for the group ends before it
 * could take the first one's sockets away.
 */
import { spawn } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, statSync, truncateSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GroupId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { Clock } from '../../ports/clock.ts';
import { QmpClient } from '../qmp/client.ts';
import { QmpClosed, QmpTimeout } from '../qmp/errors.ts';
import { queryObjects } from '../qmp/queries.ts';

const GREETING_LIMIT_MS = 5_000;
const START_LIMIT_MS = 10_000;
const START_POLL_MS = 3;
const LOCKED_POLL_MS = 20;
const LOCKED_EXIT_CODE = 75;
const LOCKED = 'another one holds its lock';
const END_LIMIT_MS = 10_000;
const END_POLL_MS = 5;
/** A log larger than this starts anew; one old log is kept. */
const LOG_LIMIT_BYTES = 1024 * 1024;

const INSTANCE_PREFIX = 'instance-';

export interface DaemonPaths {
  readonly control: string;
  readonly rescue: string;
  readonly lock: string;
  readonly pid: string;
  readonly log: string;
}

/** A daemon that answers. */
export interface Daemon {
  readonly qmp: QmpClient;
  /** Changes with every start. */
  readonly instance: string;
  readonly pid: number | undefined;
}

/** The process is there and does not answer within the limit. */
export class DaemonHung extends Failure {}

export function daemonPaths(runDirectory: string, groupId: GroupId): DaemonPaths {
  const stem = join(runDirectory, groupId);
  return {
    control: `${stem}.sock`,
    rescue: `${stem}.rescue.sock`,
    lock: `${stem}.lock`,
    pid: `${stem}.pid`,
    log: `${stem}.log`,
  };
}

/**
 * @returns undefined when no daemon of the group runs
 * @throws DaemonHung
 */
export async function findDaemon(paths: DaemonPaths): Promise<Daemon | undefined> {
  const qmp = await connectMonitor(paths);
  if (!qmp) return undefined;
  try {
    const mark = (await queryObjects(qmp)).find((id) => id.startsWith(INSTANCE_PREFIX));
    if (mark === undefined)
      throw new Failure(`${paths.control}: wanted a daemon of ours, got another`);
    const instance = mark.slice(INSTANCE_PREFIX.length);
    return { qmp, instance, pid: await findProcess(paths, instance) };
  } catch (cause) {
    qmp.close();
    if (cause instanceof QmpTimeout) throw new DaemonHung(cause.message, { cause });
    if (cause instanceof QmpClosed) return undefined;
    throw cause;
  }
}

/** The control monitor; the rescue monitor when somebody who hangs holds that one. */
async function connectMonitor(paths: DaemonPaths): Promise<QmpClient | undefined> {
  try {
    return await QmpClient.connect(paths.control, GREETING_LIMIT_MS);
  } catch (cause) {
    if (cause instanceof QmpClosed) return undefined;
    if (!(cause instanceof QmpTimeout)) throw cause;
  }
  try {
    return await QmpClient.connect(paths.rescue, GREETING_LIMIT_MS);
  } catch (cause) {
    if (cause instanceof QmpClosed) return undefined;
    throw new DaemonHung(`${paths.rescue}: the daemon does not answer`, { cause });
  }
}

/** Starts the group's daemon, empty; finds the one that runs if there is one. */
export async function startDaemon(
  paths: DaemonPaths,
  clock: Clock,
  find: () => Promise<Daemon | undefined>,
): Promise<Daemon> {
  const giveUpAt = clock.monotonicMs() + START_LIMIT_MS;
  let launched = launch(paths);
  for (;;) {
    const daemon = await find();
    if (daemon) return daemon;
    const ended = launched.ended();
    if (ended !== undefined && ended !== LOCKED) {
      throw new Failure(`the daemon ended at once: ${ended}; see ${paths.log}`);
    }
    if (clock.monotonicMs() > giveUpAt) {
      throw new Failure(`no daemon answers at ${paths.control}: ${ended ?? 'it still starts'}`);
    }
    await clock.sleep(ended === LOCKED ? LOCKED_POLL_MS : START_POLL_MS);
    // The one that holds the lock answers soon, or is about to end.
    if (ended === LOCKED) launched = launch(paths);
  }
}

/** @returns tells why the process ended, once it has */
function launch(paths: DaemonPaths): { readonly ended: () => string | undefined } {
  mkdirSync(join(paths.log, '..'), { recursive: true, mode: 0o700 });
  const log = openLog(paths.log);
  const monitor = (id: string, path: string): readonly string[] => [
    '--chardev',
    `socket,id=${id},path=${escaped(path)},server=on,wait=off`,
    '--monitor',
    `chardev=${id}`,
  ];
  const daemon = [
    'qemu-storage-daemon',
    // Says nothing but its own name: who adopts the daemon reads its instance from it.
    ...['--object', `authz-list,id=${INSTANCE_PREFIX}${crypto.randomUUID()},policy=deny`],
    ...monitor('control', paths.control),
    ...monitor('rescue', paths.rescue),
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

/** Ends a daemon in an orderly way: it flushes and closes all. */
export async function quitDaemon(
  paths: DaemonPaths,
  { qmp, instance }: Daemon,
  clock: Clock,
): Promise<void> {
  const pid = await findProcess(paths, instance);
  try {
    await qmp.execute('quit', {}, END_LIMIT_MS);
  } catch (cause) {
    if (!(cause instanceof QmpClosed)) throw cause;
  } finally {
    qmp.close();
  }
  if (pid !== undefined) await processEnd(paths, pid, clock);
}

/** Ends a daemon that does not answer. What was not flushed is lost, as with a machine's power. */
export async function killDaemon(paths: DaemonPaths, clock: Clock): Promise<void> {
  const pid = await findProcess(paths);
  if (pid === undefined) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return;
  }
  await processEnd(paths, pid, clock);
}

async function processEnd(paths: DaemonPaths, pid: number, clock: Clock): Promise<void> {
  const giveUpAt = clock.monotonicMs() + END_LIMIT_MS;
  while (!(await hasEnded(paths, pid))) {
    if (clock.monotonicMs() > giveUpAt) throw new DaemonHung(`process ${pid} does not end`);
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

/** Option strings of QEMU write a comma twice. */
function escaped(path: string): string {
  return path.replaceAll(',', ',,');
}
