import type { GroupInspection, VolumeInspection } from '../../ports/engine.ts';
import { QmpClosed, QmpTimeout } from '../qmp/errors.ts';
import { queryExports, queryJobs } from '../qmp/queries.ts';
import { inspectCopy } from './copies.ts';
import { findProcess } from './daemon-process.ts';
import { DaemonHung } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { HOST_EXPORT, RECEIVING_EXPORT } from './exports.ts';
import { forkOf } from './forks.ts';
import type { Group } from './group.ts';
import { allocatedBytes } from './layer-file.ts';
import { layerFile } from './record.ts';
import type { GroupRecord, VolumeRecord } from './record.ts';
import { GATHER_JOB, SEND_JOB } from './send-plan.ts';

type OfDaemon = Pick<
  GroupInspection,
  'dataPlane' | 'instance' | 'pid' | 'serving' | 'receiving' | 'sending' | 'sendingTo'
>;

/** Looks without waiting for work on the group, and without changing anything. */
export async function inspect(group: Group): Promise<GroupInspection> {
  const record = await group.record();
  const { port } = record;
  const [ofDaemon, volumes, forks, copies] = await Promise.all([
    inspectDaemon(group, record),
    Promise.all(record.volumes.map((volume) => inspectVolume(group, volume))),
    Promise.all(record.forks.map((fork) => forkOf(group, fork))),
    Promise.all(record.copies.map((copy) => inspectCopy(group, copy))),
  ]);
  // A comparison goes on in this process alone.
  const comparing = group.working.has('send') ? record.comparing : undefined;
  const comparingTo = comparing && { host: comparing.target.host, port: comparing.target.port };
  return {
    groupId: group.id,
    ...ofDaemon,
    sending: ofDaemon.sending ?? comparing?.pointId,
    sendingTo: ofDaemon.sendingTo ?? comparingTo,
    address: port === undefined ? undefined : { host: group.site.options.address, port },
    hasPresent: record.hasPresent,
    volumes,
    forks,
    copies,
  };
}

async function inspectDaemon(group: Group, record: GroupRecord): Promise<OfDaemon> {
  const away = { serving: false, receiving: undefined, sending: undefined, sendingTo: undefined };
  try {
    const daemon = await group.findDaemon();
    if (!daemon) return { dataPlane: 'stopped', instance: undefined, pid: undefined, ...away };
    const { instance, pid } = daemon;
    return { dataPlane: 'running', instance, pid, ...(await inspectWork(daemon, record)) };
  } catch (cause) {
    // It ended while it was asked: the next look finds none, or another one.
    if (cause instanceof QmpClosed) return inspectDaemon(group, record);
    if (!(cause instanceof DaemonHung || cause instanceof QmpTimeout)) throw cause;
    const pid = await findProcess(group.seat.paths);
    return { dataPlane: 'hung', instance: undefined, pid, ...away };
  }
}

async function inspectWork(
  { qmp, instance }: Daemon,
  { receiving, sending }: GroupRecord,
): Promise<Pick<OfDaemon, 'serving' | 'receiving' | 'sending' | 'sendingTo'>> {
  const [exports, jobs] = await Promise.all([queryExports(qmp), queryJobs(qmp)]);
  const isOpen = (kind: string): boolean =>
    exports.some(({ id, shuttingDown }) => id.startsWith(kind) && !shuttingDown);
  const sends = jobs.some(({ id }) => id.startsWith(SEND_JOB) || id.startsWith(GATHER_JOB));
  return {
    serving: isOpen(HOST_EXPORT),
    receiving:
      receiving?.instance === instance && isOpen(RECEIVING_EXPORT) ? receiving.pointId : undefined,
    sending: sends ? sending?.pointId : undefined,
    sendingTo:
      sends && sending ? { host: sending.target.host, port: sending.target.port } : undefined,
  };
}

async function inspectVolume(
  group: Group,
  { volumeId, sizeBytes, layers }: VolumeRecord,
): Promise<VolumeInspection> {
  const sizes = await Promise.all(
    layers.map(({ number }) => allocatedBytes(group.path(layerFile(volumeId, number)))),
  );
  const bytes = sizes.reduce((sum, one) => sum + one, 0);
  return { volumeId, sizeBytes, layers: layers.length, allocatedBytes: bytes };
}
