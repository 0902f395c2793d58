/**
 * A followed volume as a block device of this host's kernel:
 *
 *   programs ─▶ /dev/nbdN ─ kernel, held by nbd-client ─ unix ─▶ bridge ─▶ line ═▶ site
 *
 * The process is known by the socket that it was told to connect to; there is no file to lose. The
 * device is ours as long as the kernel names that process as its holder.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as passes } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BridgeRefused } from './bridge-refusal.ts';
import { sendSignal } from './daemon-process.ts';

const CLIENT = 'nbd-client';
const LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 10;
/** What partition tables count in. */
const BLOCK_BYTES = 512;

export interface VolumeDevice {
  /** `/dev/nbd3` */
  readonly path: string;
  /** The bridge's. Absolute. */
  readonly socketPath: string;
}

/**
 * A device that nobody has.
 *
 * @throws BridgeRefused `host_cannot`, `daemon_missing`
 */
export async function freeDevice(): Promise<string> {
  if (process.getuid?.() !== 0) {
    throw new BridgeRefused('host_cannot', `Only root may have kernel devices. ${OTHERWISE}`);
  }
  const devices = (await readdir('/sys/block')).filter((name) => /^nbd\d+$/.test(name));
  if (devices.length === 0) {
    const message = `This host's kernel has no nbd devices: load its module ("modprobe nbd"). ${OTHERWISE}`;
    throw new BridgeRefused('host_cannot', message);
  }
  await promisify(execFile)(CLIENT, ['-V']).catch(refuseMissing);
  for (const name of devices.toSorted((a, b) => Number(a.slice(3)) - Number(b.slice(3)))) {
    if ((await holderOf(`/dev/${name}`)) === undefined) return `/dev/${name}`;
  }
  throw new BridgeRefused('host_cannot', `All ${devices.length} nbd devices are in use.`);
}

const OTHERWISE = 'Without that, attach with --fuse or --socket.';

/** `-V` fails in older ones, which are there all the same. */
function refuseMissing(cause: unknown): void {
  if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') return;
  const message = `${CLIENT} is not installed on this host. Install nbd-client.`;
  throw new BridgeRefused('daemon_missing', message, { cause });
}

/**
 * Connects the device to a bridge. Its process goes on when this one ends.
 *
 * @param name the export's
 * @throws BridgeRefused `daemon_missing`, `daemon_failed` (also when another has the device now) —
 *   nothing is left
 */
export async function connectDevice(device: VolumeDevice, name: string): Promise<void> {
  const { path, socketPath } = device;
  const where = ['-unix', socketPath, path, '-name', name];
  const how = ['-block-size', `${BLOCK_BYTES}`, '-nonetlink', '-nofork'];
  const child = spawn(CLIENT, [...where, ...how], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    cwd: '/',
  });
  try {
    await ready(child, path);
  } catch (reason) {
    child.kill('SIGKILL');
    throw reason;
  }
  child.stderr?.destroy();
  child.unref();
}

/** Programs that have it open get errors from then on. Safe to repeat, in whatever state it is. */
export async function disconnectDevice(device: VolumeDevice): Promise<void> {
  const pid = await clientOf(device);
  if (pid === undefined) return;
  const isHolder = (await holderOf(device.path)) === pid;
  if (isHolder) await promisify(execFile)(CLIENT, ['-d', device.path]).catch(() => undefined);
  const deadline = performance.now() + (isHolder ? LIMIT_MS : 0);
  while ((await clientOf(device)) === pid) {
    if (performance.now() > deadline) sendSignal(pid, 'SIGKILL');
    await passes(LOOK_AGAIN_MS);
  }
}

/** Whether its process runs, and has the device. */
export async function isConnected(device: VolumeDevice): Promise<boolean> {
  const pid = await clientOf(device);
  return pid !== undefined && (await holderOf(device.path)) === pid;
}

async function clientOf({ path, socketPath }: VolumeDevice): Promise<number | undefined> {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    const words = command.split('\0');
    const isClient = basename(words[0] ?? '') === CLIENT;
    if (isClient && words.includes(socketPath) && words.includes(path)) return Number(entry);
  }
  return undefined;
}

async function ready(child: ChildProcess, path: string): Promise<void> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const over = new AbortController();
  const ended = new Promise<never>((_, reject) => {
    const failed = (why: string): void => {
      const message = `${CLIENT} could not connect ${path}: ${said.trim() || why}`;
      reject(new BridgeRefused('daemon_failed', message));
    };
    child.once('error', (error) => failed(error.message));
    child.once('close', (code) => failed(`it ended with code ${code}`));
  });
  ended.catch(() => undefined);
  const connected = async (): Promise<void> => {
    const deadline = performance.now() + LIMIT_MS;
    while (!over.signal.aborted && !(await isReady(path, child.pid))) {
      if (performance.now() > deadline) {
        throw new BridgeRefused('daemon_failed', `${path} was not there in ${LIMIT_MS} ms.`);
      }
      await passes(LOOK_AGAIN_MS);
    }
  };
  try {
    await Promise.race([ended, connected()]);
  } finally {
    over.abort();
  }
}

/** The process that the kernel names as the one that has it. */
async function holderOf(path: string): Promise<number | undefined> {
  const told = await readFile(`/sys/block/${basename(path)}/pid`, 'utf8').catch(() => undefined);
  return told === undefined ? undefined : Number(told);
}

/** Another program's device has a size, too. */
async function isReady(path: string, pid: number | undefined): Promise<boolean> {
  const sectors = await readFile(`/sys/block/${basename(path)}/size`, 'utf8').catch(() => '0');
  return Number(sectors) > 0 && (await holderOf(path)) === pid;
}
