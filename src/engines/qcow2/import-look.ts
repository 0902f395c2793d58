/**
 * A daemon of its own that looks at a source, or at a copy that another daemon fills, and shows
 * what it sees on a unix socket to this process. It ends with the look, however that ends.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../domain/refusal.ts';
import { connectNbd } from '../nbd/connection.ts';
import type { NbdConnection } from '../nbd/connection.ts';
import type { StatusKind } from '../nbd/target.ts';
import { QmpClient } from '../qmp/client.ts';
import { fields } from '../qmp/fields.ts';
import type { Fields } from '../qmp/fields.ts';
import { monitorOptions } from '../qmp/monitor-options.ts';
import type { Site } from './group.ts';

const START_LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 5;
/** A source that does not answer for so long is gone; the look ends, nobody else waits for it. */
const STALL_LIMIT_MS = 20_000;

const LOOK = 'look-';
const OURS = `${LOOK}${process.pid}-`;

export interface Look {
  readonly qmp: QmpClient;
  /** For certificates of sources. */
  readonly tlsDirectory: string;
  /** Opens a node of the daemon for this process to read. */
  readonly show: (node: string, status?: StatusKind) => Promise<NbdConnection>;
}

export async function look<T>(
  { options: { runDirectory } }: Site,
  work: (look: Look) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  await mkdir(runDirectory, { recursive: true, mode: 0o700 });
  await removeLeftovers(runDirectory);
  // Short: a unix socket's path has 107 bytes.
  const stem = join(runDirectory, `${OURS}${crypto.randomUUID().slice(0, 8)}`);
  const [control, data, tlsDirectory] = [`${stem}.qmp`, `${stem}.nbd`, `${stem}.tls`];
  const daemon = startDaemon(control);
  const stop = (): void => void daemon.child.kill('SIGKILL');
  signal?.addEventListener('abort', stop, { once: true });
  const open: NbdConnection[] = [];
  try {
    signal?.throwIfAborted();
    const qmp = await connectMonitor(control, daemon);
    const address = { type: 'unix', data: { path: data } };
    await qmp.execute('nbd-server-start', { addr: address, 'max-connections': 0 });
    const show: Look['show'] = async (node, status = 'zeroes') => {
      await qmp.execute('block-export-add', {
        type: 'nbd',
        id: node,
        'node-name': node,
        name: node,
        'allocation-depth': status === 'layers',
      });
      const target = { address: { socketPath: data }, exportName: node, status };
      const connection = await connectNbd({ ...target, stallTimeoutMs: STALL_LIMIT_MS });
      open.push(connection);
      return connection;
    };
    return await work({ qmp, tlsDirectory, show });
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause;
  } finally {
    signal?.removeEventListener('abort', stop);
    for (const connection of open) connection.destroy();
    stop();
    await daemon.ended;
    await Promise.all([control, data].map((path) => rm(path, { force: true })));
    await rm(tlsDirectory, { recursive: true, force: true });
  }
}

/** The options of a layer whose file another daemon has locked, and which is only looked at. */
export function besideItsWriter(layer: Fields): Fields {
  const file = fields(layer['file']);
  return {
    ...layer,
    file: { ...file, 'read-only': true, 'auto-read-only': false, locking: 'off' },
  };
}

/** What a process left that was killed while it looked; its daemons ended with it. */
async function removeLeftovers(runDirectory: string): Promise<void> {
  const names = await readdir(runDirectory);
  const left = names.filter((name) => name.startsWith(LOOK) && !name.startsWith(OURS));
  await Promise.all(
    left.map((name) => rm(join(runDirectory, name), { recursive: true, force: true })),
  );
}

interface LookDaemon {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  /** Why the process ended, and what it said, once it has. */
  readonly end: () => string | undefined;
}

function startDaemon(control: string): LookDaemon {
  const daemon = ['qemu-storage-daemon', ...monitorOptions('c', control, { isAwaited: true })];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...daemon], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  let end: string | undefined;
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (said = (said + text).slice(-2000)));
  const ended = new Promise<void>((resolve) => {
    child.once('error', (cause) => {
      end = cause.message;
      resolve();
    });
    // After what it said was read.
    child.once('close', (code, signal) => {
      end ??= `${signal ?? `exit code ${code}`}: ${said}`;
      resolve();
    });
  });
  return { child, ended, end: () => end };
}

async function connectMonitor(control: string, daemon: LookDaemon): Promise<QmpClient> {
  const giveUpAt = performance.now() + START_LIMIT_MS;
  for (;;) {
    try {
      return await QmpClient.connect(control);
    } catch (cause) {
      const end = daemon.end() ?? (performance.now() > giveUpAt ? 'it does not answer' : undefined);
      if (end !== undefined) {
        throw new Failure(`the daemon that looks at a source did not start: ${end}`, { cause });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
