/**
 * The mirror at the source: one job per volume between the hosts and the head, which writes what
 * they write to the standby as well.
 *
 *   record `mirror` ─ open the standby's exports ─ jobs (in the background) ─▶ look: ready ▸ switch
 *   to write-blocking ▸ level      finish: cancel when ready (a clean end) ─ record none
 *
 * Its jobs live and die with the daemon. One that failed is never resumed: QEMU would count blocks
 * as copied that the other daemon may have lost.
 */
import { HOLD_SECONDS } from '../../domain/mirror-sight.ts';
import { Failure } from '../../domain/refusal.ts';
import type { MirrorId } from '../../domain/ids.ts';
import { LinkFailure } from '../../ports/engine.ts';
import type { ReceivingTarget } from '../../ports/engine.ts';
import type { StartMirror } from '../../ports/mirroring.ts';
import type { QmpClient } from '../qmp/client.ts';
import { addNode, addObject, concludeJob, tolerating } from '../qmp/commands.ts';
import { QmpError, QmpTimeout } from '../qmp/errors.ts';
import { findJob, queryBlockJobs } from '../qmp/queries.ts';
import { queryObjects } from '../qmp/queries.ts';
import { enter, enterRunning } from './enter.ts';
import type { Running } from './enter.ts';
import { readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { LongWork } from './long-work.ts';
import {
  MIRROR_JOB,
  MIRROR_TLS,
  deleteMirrorNodes,
  dropHolding,
  dropMirror,
  endMirror,
  mirrorJobs,
} from './mirror-end.ts';
import { headNode, mirrorFilterNode, mirrorLinkNode } from './nodes.ts';
import { activeLayer, presentVolumes, sealedLayer } from './record.ts';
import type { GroupRecord, VolumeRecord } from './record.ts';
import { cutLink } from './send-end.ts';
import { reachTarget } from './target-probe.ts';

/** A larger unit would copy what was never written. */
const GRANULARITY_BYTES = 4096;

export async function startMirror(group: Group, request: StartMirror): Promise<void> {
  if (!(await isRunning(group, request))) await reachTarget(group, request);
  await group.locked(async () => {
    const entered = await enterRunning(group);
    const { mirrorId, target } = request;
    const known = entered.record.mirror;
    const { instance } = entered.daemon;
    if (known?.mirrorId === mirrorId && known.instance !== instance) {
      throw new Failure(`group ${group.id}: mirror ${mirrorId} was lost with its data plane`);
    }
    const work = new LongWork('mirror', `group ${group.id}: beginning mirror ${mirrorId}`);
    group.begin(work);
    try {
      if (known?.mirrorId !== mirrorId) {
        checkBase(group, entered.record, request);
        const record = await dropMirror(group, entered.record, entered.daemon);
        const holds = request.reconnectSeconds >= HOLD_SECONDS;
        await group.save({ ...record, mirror: { mirrorId, target, instance, holds } });
      }
      await startJobs(group, entered, request);
    } catch (cause) {
      await dropMirror(group, await group.record(), entered.daemon);
      throw cause;
    } finally {
      group.end(work);
    }
    group.site.options.log?.info({
      event: 'mirror_started',
      groupId: group.id,
      mirrorId,
      instance,
    });
  });
}

async function isRunning(group: Group, { mirrorId }: StartMirror): Promise<boolean> {
  return (await group.record()).mirror?.mirrorId === mirrorId;
}

/** The target has what lies below the active layers, and nothing of those. */
function checkBase(group: Group, record: GroupRecord, { basePointId }: StartMirror): void {
  const volumes = presentVolumes(record);
  const isOnBase = volumes.every((volume) => {
    const base = sealedLayer(volume, basePointId);
    return base !== undefined && volume.layers.at(-2) === base;
  });
  if (record.hasPresent && isOnBase) return;
  throw new Failure(`group ${group.id}: its present does not stand on point ${basePointId}`);
}

async function startJobs(
  group: Group,
  { daemon: { qmp }, record }: Running,
  request: StartMirror,
): Promise<void> {
  if (!(await queryObjects(qmp)).includes(MIRROR_TLS)) {
    await addObject(qmp, 'tls-creds-x509', MIRROR_TLS, {
      dir: group.site.options.tls.peerDirectory(request.peerId),
      endpoint: 'client',
      'verify-peer': true,
      // The authority is the peer's, which did not issue the certificate beside it.
      'sanity-check': false,
    });
  }
  const jobs = await mirrorJobs(qmp);
  const { nodes } = await readGraph(qmp);
  for (const volume of presentVolumes(record)) {
    const { key } = volume;
    if (findJob(jobs, mirrorJob(volume))) continue;
    if (!nodes.has(mirrorLinkNode(key))) await openLink(group, qmp, volume, request);
    await qmp.execute('blockdev-mirror', {
      'job-id': mirrorJob(volume),
      device: headNode(key),
      target: mirrorLinkNode(key),
      'filter-node-name': mirrorFilterNode(key),
      // What lies below the active layer the standby has already.
      sync: 'top',
      granularity: GRANULARITY_BYTES,
      'copy-mode': 'background',
      'on-source-error': 'report',
      'on-target-error': 'stop',
      'auto-dismiss': false,
    });
  }
}

export function mirrorJob({ key }: Pick<VolumeRecord, 'key'>): string {
  return `${MIRROR_JOB}${key}`;
}

async function openLink(
  group: Group,
  qmp: QmpClient,
  { volumeId, key }: VolumeRecord,
  { target, reconnectSeconds }: StartMirror,
): Promise<void> {
  const exported = target.exports.find((e) => e.volumeId === volumeId);
  if (!exported) throw new Failure(`group ${group.id}: the standby has no volume ${volumeId}`);
  try {
    await addNode(qmp, {
      driver: 'nbd',
      'node-name': mirrorLinkNode(key),
      server: { type: 'inet', host: target.host, port: `${target.port}` },
      export: exported.exportName,
      'tls-creds': MIRROR_TLS,
      'tls-hostname': target.tlsName,
      'reconnect-delay': reconnectSeconds,
      discard: 'unmap',
    });
  } catch (cause) {
    if (cause instanceof QmpTimeout) await cutLink(group, target);
    if (!(cause instanceof QmpTimeout || cause instanceof QmpError)) throw cause;
    throw new LinkFailure(whereOf(target, cause.message), { cause });
  }
}

function whereOf({ host, port }: ReceivingTarget, what: string): string {
  return `${host}:${port}: ${what}`;
}

export async function finishMirror(group: Group, mirrorId: MirrorId): Promise<void> {
  await group.locked(async () => {
    const { record, daemon } = await enter(group);
    const { mirror } = record;
    if (mirror?.mirrorId !== mirrorId || mirror.instance !== daemon?.instance) {
      await dropMirror(group, record, daemon);
      throw new Failure(`group ${group.id}: mirror ${mirrorId} was lost`);
    }
    const trouble = await endLevel(daemon.qmp, record);
    if (trouble !== undefined) await endMirror(group, daemon.qmp, mirror);
    else await deleteMirrorNodes(daemon.qmp);
    await group.save({ ...record, mirror: undefined });
    if (trouble === undefined) return;
    throw new Failure(`group ${group.id}: mirror ${mirrorId} was not level: ${trouble}`);
  });
}

/** Ends the jobs so that each proves its target equal. @returns why that was not possible */
async function endLevel(qmp: QmpClient, record: GroupRecord): Promise<string | undefined> {
  const ids = presentVolumes(record).filter(activeLayer).map(mirrorJob);
  const jobs = await queryBlockJobs(qmp);
  for (const id of ids) {
    const job = findJob(jobs, id);
    if (!job?.activelySynced || job.ioStatus !== 'ok') return `${id} is ${job?.ioStatus ?? 'gone'}`;
  }
  try {
    for (const id of ids) {
      await tolerating(/not found|cannot accept command/, () =>
        qmp.execute('block-job-cancel', { device: id }),
      );
      const error = await concludeJob(qmp, id);
      if (error !== undefined) return `${id}: ${error}`;
    }
    return undefined;
  } catch (cause) {
    if (cause instanceof QmpTimeout) return cause.message;
    throw cause;
  }
}

export async function stopMirror(group: Group): Promise<void> {
  await group.locked(async () => {
    const known = await group.record();
    // One that holds its hosts may answer nothing.
    if (known.mirror?.holds === true) return void (await dropHolding(group, known, known.mirror));
    const { record, daemon } = await enter(group);
    await dropMirror(group, record, daemon);
  });
}
