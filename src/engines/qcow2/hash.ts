/**
 * Hashing a point: a daemon of its own opens the sealed layers read-only, beside the group's daemon,
 * and serves them on a unix socket to this process.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PointId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { VolumeHash } from '../../ports/engine.ts';
import { connectNbd } from '../nbd/connection.ts';
import { hashVolume } from '../nbd/hash-volume.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { LongWork } from './long-work.ts';
import { enter } from './enter.ts';
import { layerNode, layerOptions } from './nodes.ts';
import { findVolume, layerBelow, layerFile, sealedLayer } from './record.ts';
import type { VolumeRecord } from './record.ts';

const START_LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 5;

interface SealedChain {
  readonly volume: VolumeRecord;
  /** Place of the layer that seals the point. */
  readonly top: number;
}

export async function hashPoint(group: Group, pointId: PointId): Promise<readonly VolumeHash[]> {
  const work = new LongWork('hash', `group ${group.id}: hashing point ${pointId}`);
  try {
    const chains = await group.alone(['merge'], async () => {
      const { record } = await enter(group);
      const point = needPoint(group, record, pointId);
      // From here on no merge begins.
      group.begin(work);
      return point.volumes.map(({ volumeId }) => {
        const volume = findVolume(record, volumeId);
        const layer = volume && sealedLayer(volume, pointId);
        if (!layer)
          throw new Failure(`group ${group.id}: no layer of ${volumeId} seals ${pointId}`);
        return { volume, top: volume.layers.indexOf(layer) };
      });
    });
    return await hashChains(group, chains, work.signal);
  } finally {
    group.end(work);
  }
}

async function hashChains(
  group: Group,
  chains: readonly SealedChain[],
  signal: AbortSignal,
): Promise<readonly VolumeHash[]> {
  if (chains.length === 0) return [];
  await mkdir(group.site.options.runDirectory, { recursive: true, mode: 0o700 });
  const stem = join(group.site.options.runDirectory, `hash-${crypto.randomUUID()}`);
  const socketPath = `${stem}.sock`;
  const server = startServer(await optionsFor(group, chains, socketPath, `${stem}.pid`));
  const stop = (): void => void server.child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    await serving(`${stem}.pid`, server, signal);
    const hashes: VolumeHash[] = [];
    for (const { volume, top } of chains) {
      const exportName = layerNode(volume.key, volume.layers[top]?.number ?? 0);
      const connection = await connectNbd({ address: { socketPath }, exportName });
      const { sha256, sizeBytes } = await hashVolume(connection);
      await connection.disconnect();
      hashes.push({ volumeId: volume.volumeId, sizeBytes, hash: sha256 });
    }
    return hashes;
  } catch (cause) {
    signal.throwIfAborted();
    throw cause;
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
    await server.ended;
    await Promise.all([rm(socketPath, { force: true }), rm(`${stem}.pid`, { force: true })]);
  }
}

async function optionsFor(
  group: Group,
  chains: readonly SealedChain[],
  socketPath: string,
  pidFile: string,
): Promise<readonly string[]> {
  const io = await group.site.io();
  const layers = chains.flatMap(({ volume, top }) =>
    volume.layers.slice(0, top + 1).flatMap(({ number }, index) => {
      const below = layerBelow(volume, index);
      const options = layerOptions({
        node: layerNode(volume.key, number),
        path: group.path(layerFile(volume.volumeId, number)),
        backing: below ? layerNode(volume.key, below.number) : null,
        readOnly: true,
        io,
      });
      return ['--blockdev', JSON.stringify(options)];
    }),
  );
  const exports = chains.flatMap(({ volume, top }) => {
    const name = layerNode(volume.key, volume.layers[top]?.number ?? 0);
    return ['--export', JSON.stringify({ type: 'nbd', id: name, 'node-name': name, name })];
  });
  const address = { type: 'unix', path: socketPath };
  const server = ['--nbd-server', JSON.stringify({ addr: address, 'max-connections': 0 })];
  return [...layers, ...server, ...exports, '--pidfile', pidFile];
}

interface HashServer {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly ended: Promise<void>;
}

/** Ends with this process, however that ends. */
function startServer(options: readonly string[]): HashServer {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-storage-daemon', ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (cause) => {
      said += cause.message;
      resolve();
    });
  });
  return { child, said: () => said, ended };
}

/** The pid file appears when all options are carried out. */
async function serving(
  pidFile: string,
  { ended, said }: HashServer,
  signal: AbortSignal,
): Promise<void> {
  const giveUpAt = performance.now() + START_LIMIT_MS;
  const state = { hasEnded: false };
  void ended.then(() => (state.hasEnded = true));
  while (!(await stat(pidFile).catch(() => undefined))) {
    signal.throwIfAborted();
    if (state.hasEnded || performance.now() > giveUpAt) {
      throw new Failure(`the daemon that serves a point for hashing did not start: ${said()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
