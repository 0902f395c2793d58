/** The daemon's part of sending one volume: its nodes and jobs. */
import { rm } from 'node:fs/promises';
import { LinkFailure } from '../../ports/engine.ts';
import type { SendPoint } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import { addNode, addObject } from '../qmp/commands.ts';
import { QmpError, QmpTimeout } from '../qmp/errors.ts';
import { queryObjects } from '../qmp/queries.ts';
import { readGraph } from './graph.ts';
import type { Graph } from './graph.ts';
import type { Group } from './group.ts';
import { createLayerFile } from './layer-file.ts';
import {
  gatheredNode,
  jobHeadOptions,
  layerNode,
  layerOptions,
  linkNode,
  sendHeadNode,
} from './nodes.ts';
import { gatheredFile, layerFile } from './record.ts';
import { GATHER_JOB, SEND_JOB, SEND_LIMIT, SEND_TLS, cutLink } from './send-end.ts';
import type { VolumeSend } from './send-plan.ts';

/** Exactly these blocks travel. A larger unit would send what was never written. */
const GRANULARITY_BYTES = 4096;
/** A connection that breaks is tried again for this long before the copy pauses. */
const RECONNECT_SECONDS = 1;

export function sendJob({ key }: VolumeSend): string {
  return `${SEND_JOB}${key}`;
}

export function gatherJob({ key }: VolumeSend): string {
  return `${GATHER_JOB}${key}`;
}

/** Credentials and the limit, which all volumes share. A repeat changes the limit. */
export async function prepareLink(group: Group, qmp: QmpClient, request: SendPoint): Promise<void> {
  const objects = await queryObjects(qmp);
  const limits = { 'bps-read': request.bytesPerSecond ?? 0 };
  if (objects.includes(SEND_LIMIT)) {
    await qmp.execute('qom-set', {
      path: `/objects/${SEND_LIMIT}`,
      property: 'limits',
      value: limits,
    });
  } else {
    await addObject(qmp, 'throttle-group', SEND_LIMIT, { limits });
  }
  if (objects.includes(SEND_TLS)) return;
  await addObject(qmp, 'tls-creds-x509', SEND_TLS, {
    dir: group.site.options.tls.peerDirectory(request.peerId),
    endpoint: 'client',
    'verify-peer': true,
    // The authority is the peer's, which did not issue the certificate beside it.
    'sanity-check': false,
  });
}

/**
 * Starts the next job of a volume: gathering its layers, where there are several, or the copy.
 *
 * @throws LinkFailure when the target cannot be opened
 */
export async function startVolume(
  group: Group,
  qmp: QmpClient,
  request: SendPoint,
  volume: VolumeSend,
): Promise<void> {
  const graph = await readGraph(qmp);
  if (volume.mode === 'gathered' && !(await isGathered(group, qmp, graph, volume))) return;
  const { key } = volume;
  if (!graph.nodes.has(linkNode(key))) await openLink(group, qmp, request, volume);
  if (!graph.nodes.has(sendHeadNode(key))) {
    await addNode(qmp, jobHeadOptions(sendHeadNode(key), SEND_LIMIT, sourceNode(volume)));
  }
  await qmp.execute('blockdev-mirror', {
    'job-id': sendJob(volume),
    device: sendHeadNode(key),
    target: linkNode(key),
    sync: volume.mode === 'everything' ? 'full' : 'top',
    granularity: GRANULARITY_BYTES,
    'on-source-error': 'report',
    // Pauses the copy: it goes on when the target is there again.
    'on-target-error': 'stop',
    'auto-dismiss': false,
  });
}

function sourceNode({ mode, key, layer }: VolumeSend): string {
  return mode === 'gathered' ? gatheredNode(key) : layerNode(key, layer);
}

/** @returns whether all is in one layer; if not, the job that brings it there runs */
async function isGathered(
  group: Group,
  qmp: QmpClient,
  graph: Graph,
  { volumeId, key, layer, base, sizeBytes }: VolumeSend,
): Promise<boolean> {
  const node = gatheredNode(key);
  const baseNode = layerNode(key, base ?? 0);
  if (graph.backing.get(node) === baseNode) return true;
  if (!graph.nodes.has(node)) {
    const path = group.path(gatheredFile(volumeId));
    await rm(path, { force: true });
    await createLayerFile({ path, sizeBytes, backingFile: layerFile(volumeId, layer) });
    const io = await group.site.io();
    const opened = { node, path, backing: layerNode(key, layer), readOnly: false, io };
    await addNode(qmp, layerOptions(opened));
  }
  await qmp.execute('block-stream', {
    'job-id': `${GATHER_JOB}${key}`,
    device: node,
    'base-node': baseNode,
    'backing-file': layerFile(volumeId, base ?? 0),
    'auto-dismiss': false,
  });
  return false;
}

async function openLink(
  group: Group,
  qmp: QmpClient,
  { target }: SendPoint,
  { key, exportName }: VolumeSend,
): Promise<void> {
  try {
    await addNode(qmp, {
      driver: 'nbd',
      'node-name': linkNode(key),
      server: { type: 'inet', host: target.host, port: `${target.port}` },
      export: exportName,
      'tls-creds': SEND_TLS,
      'tls-hostname': target.tlsName,
      'reconnect-delay': RECONNECT_SECONDS,
      // Lets a whole copy zero the target at once instead of copying holes.
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
