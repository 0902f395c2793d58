/** A daemon on the host's side, in a process group of its own: it may outlive us. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { setTimeout as passes } from 'node:timers/promises';
import { BridgeRefused } from './bridge-refusal.ts';

const START_LIMIT_MS = 20_000;
const END_LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 5;
const KEPT_STDERR_CHARACTERS = 4_000;

/** What is run. */
export interface DaemonProgram {
  readonly command: string;
  /** What to do where it is missing, as a sentence. */
  readonly install: string;
}

export interface Daemon {
  readonly pid: number;
  /** Settles when the process is gone: undefined after exit code 0, else why. */
  readonly gone: Promise<Error | undefined>;
  /** The end of what it said on standard error. */
  readonly said: () => string;
  /** Ends it, and resolves when it is gone. Safe to repeat. */
  readonly end: () => Promise<void>;
  /** From now on this process may end without it. */
  readonly letGo: () => void;
}

/**
 * Starts a daemon that gets all its orders as arguments, and returns when it has carried them out.
 *
 * @param pidFile must be among the arguments, absolute; one that is left from before is removed
 * @throws BridgeRefused `daemon_missing`, `daemon_failed` — nothing is left
 */
export async function startDaemon(
  program: DaemonProgram,
  args: readonly string[],
  pidFile: string,
): Promise<Daemon> {
  await rm(pidFile, { force: true });
  // In a process group of its own: Ctrl-C ends us, and we end it.
  const child = spawn(program.command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    cwd: '/',
  });
  const daemon = follow(child);
  try {
    await ready(program, daemon, pidFile);
    return daemon;
  } catch (reason) {
    await daemon.end();
    await rm(pidFile, { force: true });
    throw reason;
  }
}

/**
 * The pid of the daemon that wrote the file, if it still runs.
 *
 * @returns undefined where there is none, or the pid is another's now
 */
export async function runningDaemon(pidFile: string): Promise<number | undefined> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.split('\0').includes(pidFile) ? pid : undefined;
}

/**
 * Ends the daemon that wrote the file, if it runs, and removes the file. Safe to repeat.
 *
 * @param signal `SIGKILL` for one whose requests must not be answered any more
 * @returns false when none ran
 */
export async function endRunningDaemon(
  pidFile: string,
  signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
): Promise<boolean> {
  const pid = await runningDaemon(pidFile);
  if (pid !== undefined) {
    const deadline = performance.now() + END_LIMIT_MS;
    sendSignal(pid, signal);
    while ((await runningDaemon(pidFile)) === pid) {
      if (performance.now() > deadline) sendSignal(pid, 'SIGKILL');
      await passes(LOOK_AGAIN_MS);
    }
  }
  await rm(pidFile, { force: true });
  return pid !== undefined;
}

/** It may have ended since it was looked for. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function follow(child: ChildProcess): Daemon {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-KEPT_STDERR_CHARACTERS);
  });
  const gone = new Promise<Error | undefined>((resolve) => {
    child.once('error', resolve);
    child.once('close', (code, signal) => {
      resolve(code === 0 ? undefined : new Error(`it ended with ${signal ?? `code ${code}`}`));
    });
  });
  const end = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS);
    await gone;
    clearTimeout(timer);
  };
  const letGo = (): void => {
    child.stderr?.destroy();
    child.unref();
  };
  return { pid: child.pid ?? 0, gone, said: () => said.trim(), end, letGo };
}

/** The daemon writes its pid file when all that its arguments tell is done. */
async function ready(
  program: DaemonProgram,
  { pid, gone, said }: Daemon,
  pidFile: string,
): Promise<void> {
  const over = new AbortController();
  const dead = gone.then((failure) => {
    throw failed(program, failure ?? new Error('it ended'), said());
  });
  try {
    await Promise.race([dead, pidFileTells(program, pidFile, pid, over.signal)]);
  } finally {
    over.abort();
    dead.catch(() => undefined);
  }
}

async function pidFileTells(
  { command }: DaemonProgram,
  pidFile: string,
  pid: number,
  over: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (!over.aborted) {
    const told = Number(await readFile(pidFile, 'utf8').catch(() => ''));
    if (told === pid) return;
    if (performance.now() > deadline) {
      throw new BridgeRefused('daemon_failed', `${command} was not ready in ${START_LIMIT_MS} ms.`);
    }
    await passes(LOOK_AGAIN_MS);
  }
}

function failed({ command, install }: DaemonProgram, cause: Error, said: string): BridgeRefused {
  if ('code' in cause && cause.code === 'ENOENT') {
    const message = `${command} is not installed on this host. ${install}`;
    return new BridgeRefused('daemon_missing', message, { cause });
  }
  const message = `${command} could not bridge the volume: ${said === '' ? cause.message : said}`;
  return new BridgeRefused('daemon_failed', message, { cause });
}
