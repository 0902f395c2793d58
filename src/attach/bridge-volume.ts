import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { resolve as absolute } from 'node:path';
import { setTimeout as passes } from 'node:timers/promises';
import { daemonArguments } from './bridge-daemon.ts';
import { BridgeRefused, checkExport } from './bridge-refusal.ts';
import type { BridgedExport } from './bridge-refusal.ts';
import { hideSocket, pidFileOf, removeBridgeFiles } from './bridge-socket.ts';

const DAEMON = 'qemu-storage-daemon';
const CONNECT_TIMEOUT_MS = 10_000;
const START_LIMIT_MS = 20_000;
const END_LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 5;
const KEPT_STDERR_CHARACTERS = 4_000;

export interface BridgeRequest extends BridgedExport {
  /** Where the volume shall appear on this host. */
  readonly socketPath: string;
  /**
   * Requests wait so long for a lost server, in seconds, before they fail with an I/O error. What
   * was acknowledged is not sent again: after a failover that lost writes a bridge must be ended.
   */
  readonly reconnectDelaySeconds: number;
  readonly connectTimeoutMs?: number;
}

export interface BridgedVolume {
  readonly pid: number;
  readonly socketPath: string;
  readonly pidFile: string;
  /** What other programs on this host open. The export without a name is the same volume. */
  readonly uri: string;
}

export interface Bridge extends BridgedVolume {
  /** Settles when the daemon is gone, with what it said last unless it was closed. */
  readonly ended: Promise<{ readonly closed: boolean; readonly said: string }>;
  /** Ends the daemon and removes its socket. Safe to repeat. */
  readonly close: () => Promise<void>;
}

/**
 * Bridges a volume to a unix socket of this host, for programs that know no certificates. The
 * bridge lives until it is closed or its daemon dies; a signal is the caller's to catch.
 *
 * @throws BridgeRefused — nothing was started, or nothing was left
 */
export async function bridgeVolume(request: BridgeRequest): Promise<Bridge> {
  const { child, gone, said } = await start(request);
  let closed = false;
  const close = async (): Promise<void> => {
    closed = true;
    await end(child, gone);
    await removeBridgeFiles(request.socketPath);
  };
  const ended = gone.then(async () => {
    if (!closed) await removeBridgeFiles(request.socketPath);
    return { closed, said: said() };
  });
  return { ...describe(request, child), ended, close };
}

/**
 * As `bridgeVolume`, but the daemon stays when this process ends; `endBridge` ends it.
 *
 * @throws BridgeRefused
 */
export async function bridgeVolumeDetached(request: BridgeRequest): Promise<BridgedVolume> {
  const { child } = await start(request);
  child.stderr?.destroy();
  child.unref();
  return describe(request, child);
}

interface Started {
  readonly child: ChildProcess;
  /** Settles when the process is gone: undefined after exit code 0, else why. */
  readonly gone: Promise<Error | undefined>;
  /** The end of what it said on standard error. */
  readonly said: () => string;
}

async function start(request: BridgeRequest): Promise<Started> {
  await checkExport(request, request.connectTimeoutMs ?? CONNECT_TIMEOUT_MS);
  const socket = await hideSocket(request.socketPath);
  const pidFile = pidFileOf(request.socketPath);
  try {
    await rm(pidFile, { force: true });
    const daemon = daemonArguments({
      ...request,
      credentialsDirectory: absolute(request.credentialsDirectory),
      socketPath: absolute(socket.path),
      pidFile,
    });
    // In a process group of its own: Ctrl-C ends us, and we end it.
    const child = spawn(DAEMON, daemon, {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      cwd: '/',
    });
    const started = follow(child);
    try {
      await ready(started, pidFile);
      await socket.show();
    } catch (reason) {
      await end(child, started.gone);
      await rm(pidFile, { force: true });
      throw reason;
    }
    return started;
  } finally {
    await socket.discard();
  }
}

function describe({ exportName, socketPath }: BridgeRequest, child: ChildProcess): BridgedVolume {
  const socket = encodeURIComponent(absolute(socketPath)).replaceAll('%2F', '/');
  const uri = `nbd+unix:///${encodeURIComponent(exportName)}?socket=${socket}`;
  return { pid: child.pid ?? 0, socketPath, pidFile: pidFileOf(socketPath), uri };
}

function follow(child: ChildProcess): Started {
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
  return { child, gone, said: () => said.trim() };
}

/** The daemon writes its pid file when all that its arguments tell is done. */
async function ready({ child, gone, said }: Started, pidFile: string): Promise<void> {
  const over = new AbortController();
  const dead = gone.then((failure) => {
    throw failed(failure ?? new Error('it ended'), said());
  });
  try {
    await Promise.race([dead, pidFileTells(pidFile, child.pid, over.signal)]);
  } finally {
    over.abort();
    dead.catch(() => undefined);
  }
}

async function pidFileTells(
  pidFile: string,
  pid: number | undefined,
  over: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (!over.aborted) {
    const told = Number(await readFile(pidFile, 'utf8').catch(() => ''));
    if (told === pid) return;
    if (performance.now() > deadline) {
      throw new BridgeRefused('daemon_failed', `${DAEMON} was not ready in ${START_LIMIT_MS} ms.`);
    }
    await passes(LOOK_AGAIN_MS);
  }
}

function failed(cause: Error, said: string): BridgeRefused {
  if ('code' in cause && cause.code === 'ENOENT') {
    const message = `${DAEMON} is not installed on this host. Install QEMU's storage daemon.`;
    return new BridgeRefused('daemon_missing', message, { cause });
  }
  const message = `${DAEMON} could not bridge the volume: ${said === '' ? cause.message : said}`;
  return new BridgeRefused('daemon_failed', message, { cause });
}

async function end(child: ChildProcess, gone: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS);
  await gone;
  clearTimeout(timer);
}
