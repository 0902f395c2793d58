/** The daemon's part of a send: nodes and jobs. */
import { rm } from 'node:fs/promises';
import { LinkFailure } from '../../ports/engine.ts';
import type { SendPoint } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import { addNode, addObject, tolerating } from '../qmp/commands.ts';
import { QmpError, QmpTimeout } from '../qmp/errors.ts';
import { queryObjects } from '../qmp/queries.ts';
import { allOf } from './graph.ts';
import type { Group } from './group.ts';
import { allocatedBytes, createLayerFile, layerSize } from './layer-file.ts';
import {
  gatheredNode,
  jobHeadOptions,
  layerNode,
  layerOptions,
  linkNode,
  sendHeadNode,
  windowNode,
} from './nodes.ts';
import { gatheredFile, layerFile } from './record.ts';
import { SEND_LIMIT, SEND_TLS, cutLink } from './send-end.ts';
import type { Copy, VolumeSend } from './send-plan.ts';

/** Exactly these blocks travel. A larger unit would send what was never written. */
const GRANULARITY_BYTES = 4096;
/** What a job reads ahead into. It touches all of it at its start, which takes 4 ms of the daemon's time. */
export const MAX_BUFFER_BYTES = 16 * 1024 * 1024;
const MIN_BUFFER_BYTES = 1024 * 1024;
/** A connection that breaks is tried again for this long before the copy pauses. */
const RECONNECT_SECONDS = 2;
/** The least there is: a copy that is held writes one piece, and waits. */
const HELD_BYTES_PER_SECOND = 1;
const UNLIMITED = 0;

/** Credentials and the limit, which all volumes share. */
export async function prepareLink(group: Group, qmp: QmpClient, request: SendPoint): Promise<void> {
  const objects = await queryObjects(qmp);
  if (!objects.includes(SEND_LIMIT)) await addObject(qmp, 'throttle-group', SEND_LIMIT, {});
  if (objects.includes(SEND_TLS)) return;
  await addObject(qmp, 'tls-creds-x509', SEND_TLS, {
    dir: group.site.options.tls.peerDirectory(request.peerId),
    endpoint: 'client',
    'verify-peer': true,
    // The authority is the peer's, which did not issue the certificate beside it.
    'sanity-check': false,
  });
}

/** Changes the limit of a send that is prepared; does nothing when none is. */
export async function setLimit(qmp: QmpClient, bytesPerSecond: number | undefined): Promise<void> {
  const value = { 'bps-read': bytesPerSecond ?? 0 };
  const path = `/objects/${SEND_LIMIT}`;
  await tolerating(/not found/, () => qmp.execute('qom-set', { path, property: 'limits', value }));
}

export interface CopyContext {
  readonly group: Group;
  readonly qmp: QmpClient;
  readonly request: SendPoint;
  /** Those that the daemon has. */
  readonly nodes: ReadonlySet<string>;
}

/** A copy whose nodes are open. */
export interface OpenedCopy {
  readonly copy: Copy;
  readonly head: string;
  readonly target: string;
  readonly bufferBytes: number;
}

/** Room for all that a small layer has, and for no more than keeps a link busy. */
export async function bufferOf(
  group: Group,
  { volumeId }: Pick<VolumeSend, 'volumeId'>,
  { layer, sync }: Copy,
): Promise<number> {
  if (sync === 'full') return MAX_BUFFER_BYTES;
  const file = layer === undefined ? gatheredFile(volumeId) : layerFile(volumeId, layer);
  const bytes = await allocatedBytes(group.path(file));
  return Math.min(MAX_BUFFER_BYTES, Math.max(MIN_BUFFER_BYTES, bytes));
}

/**
 * Opens what a copy reads and writes. Every change of the daemon's graph waits for requests of copies
 * that run, so this is done for all that are about to start before the first of them does.
 *
 * @throws LinkFailure when the target cannot be opened
 */
export async function openCopy(
  context: CopyContext,
  volume: VolumeSend,
  copy: Copy,
): Promise<OpenedCopy> {
  const { group, qmp, nodes } = context;
  const { source, into } = copy;
  if (into === 'target') await openLink(context, volume);
  const end = into === 'target' ? linkNode(volume.key) : gatheredNode(volume.key);
  if (into === 'gathered' && !nodes.has(end)) await openGathered(group, qmp, volume);
  const head = sendHeadNode(source);
  if (!nodes.has(head)) await addNode(qmp, jobHeadOptions(head, SEND_LIMIT, source));
  const target = await fitting(group, qmp, { nodes, target: end, volume, copy });
  return { copy, head, target, bufferBytes: await bufferOf(group, volume, copy) };
}

/**
 * A mirror of what does not change: it becomes ready when all is there, and is then cancelled,
 * which ends it well. `block-stream` would look at every 512 KiB of the volume (10 s for 1 TiB).
 *
 * It is held until `releaseCopies`: the start of the next one waits for what this one has on its way.
 */
export async function startCopy(
  qmp: QmpClient,
  { copy: { jobId, into, sync }, head, target, bufferBytes }: OpenedCopy,
): Promise<void> {
  await qmp.execute('blockdev-mirror', {
    'job-id': jobId,
    device: head,
    target,
    sync,
    granularity: GRANULARITY_BYTES,
    'buf-size': bufferBytes,
    speed: HELD_BYTES_PER_SECOND,
    'on-source-error': 'report',
    // Pauses the copy: it goes on when the target is there again.
    'on-target-error': into === 'target' ? 'stop' : 'report',
    'auto-dismiss': false,
  });
}

/** Has copies that run go as fast as they can; of others it does nothing. Safe to repeat. */
export async function releaseCopies(qmp: QmpClient, copies: readonly Copy[]): Promise<void> {
  await allOf(
    copies.map(({ jobId }) =>
      tolerating(/not found|cannot accept command/, () =>
        qmp.execute('block-job-set-speed', { device: jobId, speed: UNLIMITED }),
      ),
    ),
  );
}

interface Fit {
  readonly nodes: ReadonlySet<string>;
  readonly target: string;
  readonly volume: VolumeSend;
  readonly copy: Copy;
}

/** A layer from before the volume grew is smaller than the target, and a mirror wants equal sizes. */
async function fitting(
  group: Group,
  qmp: QmpClient,
  { nodes, target, volume: { volumeId, sizeBytes }, copy: { source, layer } }: Fit,
): Promise<string> {
  if (layer === undefined) return target;
  const size = await layerSize(group.path(layerFile(volumeId, layer)));
  if (size >= sizeBytes) return target;
  const window = windowNode(source);
  if (!nodes.has(window)) {
    await addNode(qmp, { driver: 'raw', 'node-name': window, file: target, size });
  }
  return window;
}

async function openGathered(
  group: Group,
  qmp: QmpClient,
  { volumeId, key, gatheredOn, sizeBytes }: VolumeSend,
): Promise<void> {
  const path = group.path(gatheredFile(volumeId));
  const base = gatheredOn ?? 0;
  await rm(path, { force: true });
  await createLayerFile({ path, sizeBytes, backingFile: layerFile(volumeId, base) });
  const io = await group.site.io();
  const backing = layerNode(key, base);
  await addNode(qmp, layerOptions({ node: gatheredNode(key), path, backing, readOnly: false, io }));
}

/**
 * The connection to a volume's place. Does nothing when it is open.
 *
 * @throws LinkFailure
 */
export async function openLink(
  { group, qmp, request: { target }, nodes }: CopyContext,
  { key, exportName }: Pick<VolumeSend, 'key' | 'exportName'>,
): Promise<void> {
  if (nodes.has(linkNode(key))) return;
  try {
    await addNode(qmp, {
      driver: 'nbd',
      'node-name': linkNode(key),
      server: { type: 'inet', host: target.host, port: `${target.port}` },
      export: exportName,
      'tls-creds': SEND_TLS,
      'tls-hostname': target.tlsName,
      'reconnect-delay': RECONNECT_SECONDS,
      // Lets a copy of everything zero the target at once instead of copying holes.
      discard: 'unmap',
    });
  } catch (cause) {
    if (cause instanceof QmpTimeout) await cutLink(group, target);
    if (cause instanceof QmpTimeout || cause instanceof QmpError) {
      throw new LinkFailure(`${target.host}:${target.port}: ${cause.message}`, { cause });
    }
    throw cause;
  }
}
