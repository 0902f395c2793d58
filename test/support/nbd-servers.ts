import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as passes } from 'node:timers/promises';
import { after } from 'node:test';

const START_LIMIT_MS = 10_000;
const STOP_LIMIT_MS = 5_000;
const LOOK_AGAIN_MS = 5;

/** A process that a test started. It is ended by its own pid, at the latest when the test ends. */
export interface ServerProcess {
  readonly pid: number;
  /** Everything it said on standard error so far. */
  readonly said: () => string;
  readonly isRunning: () => boolean;
  readonly ended: Promise<void>;
  /** Sends the signal and waits until the process is gone. Safe to repeat. */
  readonly end: (signal?: NodeJS.Signals) => Promise<void>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Waits until the condition holds. No test sleeps for a time that it hopes is enough. */
export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = START_LIMIT_MS,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `${what}: not within ${limitMs} ms`);
    await passes(LOOK_AGAIN_MS);
  }
}

/** A directory that goes away with the test, or with the suite that calls this. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-test-'));
  after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A port that nobody listens on at that address now. */
export async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address);
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}

/** An empty raw image of that size, in bytes; holes all over. */
export async function sparseFile(path: string, sizeBytes: number): Promise<string> {
  await writeFile(path, '');
  await truncate(path, sizeBytes);
  return path;
}

/** One argument, or an option with its value. */
export type Argument = string | readonly string[];

/** Starts qemu-storage-daemon and returns when it has done all that its arguments tell. */
export function startStorageDaemon(
  directory: string,
  args: readonly Argument[],
): Promise<ServerProcess> {
  return start('qemu-storage-daemon', directory, (pidFile) => ['--pidfile', pidFile, ...args]);
}

/** Starts nbdkit in the foreground and returns when it serves. */
export function startNbdkit(directory: string, args: readonly Argument[]): Promise<ServerProcess> {
  return start('nbdkit', directory, (pidFile) => ['--foreground', '--pidfile', pidFile, ...args]);
}

/** Arguments that serve a raw file on a unix socket, under a name, with nothing refused. */
export function serveRawFile(file: string, socketPath: string, exportName: string): Argument[] {
  const node = { driver: 'file', 'node-name': 'n0', filename: file, discard: 'unmap' };
  const served = { type: 'nbd', id: 'e0', 'node-name': 'n0', name: exportName, writable: true };
  return [
    ['--blockdev', JSON.stringify(node)],
    ['--nbd-server', `addr.type=unix,addr.path=${socketPath},max-connections=0`],
    ['--export', JSON.stringify(served)],
  ];
}

let started = 0;

async function start(
  program: string,
  directory: string,
  argumentsFor: (pidFile: string) => readonly Argument[],
): Promise<ServerProcess> {
  started += 1;
  const pidFile = join(directory, `${program}-${started}.pid`);
  const server = startProgram(program, argumentsFor(pidFile).flat());
  await waitFor(`${program} serves`, () => {
    assert.ok(server.isRunning(), `${program} ended: ${server.said()}`);
    return existsSync(pidFile);
  });
  return server;
}

/** Starts a program in the foreground; whoever calls finds out when it serves. */
export function startProgram(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): ServerProcess {
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  running.add(child);
  const ended = new Promise<void>((resolve) => {
    const gone = (): void => {
      running.delete(child);
      resolve();
    };
    child.once('exit', gone);
    child.once('error', gone);
  });
  const end = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await ended;
    clearTimeout(timer);
  };
  after(() => end('SIGKILL'));
  return {
    pid: child.pid ?? 0,
    said: () => said,
    isRunning: () => running.has(child),
    ended,
    end,
  };
}
