/**
 * Reading a point: a daemon of its own opens the sealed layers read-only, beside the group's daemon,
 * and serves them on a unix socket to this process. No merge goes on meanwhile.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PointId, VolumeId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import { connectNbd } from '../nbd/connection.ts';
import type { NbdConnection } from '../nbd/connection.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { LongWork } from './long-work.ts';
import type { LongWorkName } from './long-work.ts';
import { enter } from './enter.ts';
import { layerNode, layerOptions } from './nodes.ts';
import { findVolume, layerBelow, layerFile, sealedLayer } from './record.ts';
import type { PointRecord, VolumeRecord } from './record.ts';

const START_LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 5;

interface SealedChain {
  readonly volume: VolumeRecord;
  /** Place of the layer that seals the point. */
  readonly top: number;
}

/** A point, as this process reads it. */
export interface OpenPoint {
  readonly point: PointRecord;
  /** Aborts when somebody needs the layers. */
  readonly signal: AbortSignal;
  readonly connect: (volumeId: VolumeId) => Promise<NbdConnection>;
}

export interface PointReading {
  readonly pointId: PointId;
  /** Whoever must be alone from such work ends it. */
  readonly name: LongWorkName;
  /** Completes the sentence: … was ended */
  readonly what: string;
  /** Ends the work, too. */
  readonly signal?: AbortSignal;
}

/** @throws Refusal `point_missing` */
export async function readingPoint<T>(
  group: Group,
  { pointId, name, what, signal: asked }: PointReading,
  read: (point: OpenPoint) => Promise<T>,
): Promise<T> {
  const work = new LongWork(name, `group ${group.id}: ${what}`);
  const signal = asked ? AbortSignal.any([asked, work.signal]) : work.signal;
  try {
    const { point, chains } = await group.alone(['merge'], async () => {
      const { record } = await enter(group);
      const found = needPoint(group, record, pointId);
      // From here on no merge begins.
      group.begin(work);
      return {
        point: found,
        chains: found.volumes.map(({ volumeId }) => {
          const volume = findVolume(record, volumeId);
          const layer = volume && sealedLayer(volume, pointId);
          if (!layer)
            throw new Failure(`group ${group.id}: no layer of ${volumeId} seals ${pointId}`);
          return { volume, top: volume.layers.indexOf(layer) };
        }),
      };
    });
    return await serveChains(group, chains, signal, (connect) => read({ point, signal, connect }));
  } finally {
    group.end(work);
  }
}

async function serveChains<T>(
  group: Group,
  chains: readonly SealedChain[],
  signal: AbortSignal,
  read: (connect: OpenPoint['connect']) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  await mkdir(group.site.options.runDirectory, { recursive: true, mode: 0o700 });
  const stem = join(group.site.options.runDirectory, `hash-${crypto.randomUUID()}`);
  const socketPath = `${stem}.sock`;
  const server = startServer(await optionsFor(group, chains, socketPath, `${stem}.pid`));
  const stop = (): void => void server.child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    await serving(`${stem}.pid`, server, signal);
    return await read((volumeId) => {
      const chain = chains.find(({ volume }) => volume.volumeId === volumeId);
      if (!chain) throw new Failure(`group ${group.id}: nothing serves volume ${volumeId}`);
      return connectNbd({ address: { socketPath }, exportName: exportName(chain) });
    });
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

function exportName({ volume, top }: SealedChain): string {
  return layerNode(volume.key, volume.layers[top]?.number ?? 0);
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
  const exports = chains.flatMap((chain) => {
    const name = exportName(chain);
    return ['--export', JSON.stringify({ type: 'nbd', id: name, 'node-name': name, name })];
  });
  const address = { type: 'unix', path: socketPath };
  const server = ['--nbd-server', JSON.stringify({ addr: address, 'max-connections': 0 })];
  return [...layers, ...server, ...exports, '--pidfile', pidFile];
}

interface PointServer {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly ended: Promise<void>;
}

/** Ends with this process, however that ends. */
function startServer(options: readonly string[]): PointServer {
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
  { ended, said }: PointServer,
  signal: AbortSignal,
): Promise<void> {
  const giveUpAt = performance.now() + START_LIMIT_MS;
  const state = { hasEnded: false };
  void ended.then(() => (state.hasEnded = true));
  while (!(await stat(pidFile).catch(() => undefined))) {
    signal.throwIfAborted();
    if (state.hasEnded || performance.now() > giveUpAt) {
      throw new Failure(`the daemon that serves a point did not start: ${said()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
