/**
 * Sending a sealed point: one copy job per volume in the daemon, which go on when this process
 * dies. Only what is certain about the target's instance makes a repeat go on where they were.
 *
 *   begin (locked): same target instance, same daemon? ── no ──▶ end the jobs, start anew
 *   watch (not locked): start ▸ copy ▸ ready ▸ end ▸ concluded   | paused ──▶ throw, keep
 *   finish (locked): record `sent` ─ dismiss jobs, delete nodes
 */
import { Failure } from '../../domain/refusal.ts';
import type { SendPoint, SendWatch, SentPoint } from '../../ports/engine.ts';
import { dismissJob } from '../qmp/commands.ts';
import { queryJobs } from '../qmp/queries.ts';
import type { Daemon } from './daemon.ts';
import { enter, enterRunning } from './enter.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { LongWork } from './long-work.ts';
import type { GroupRecord, Sending, Sent } from './record.ts';
import { deleteSendNodes, dropSend, endSend, sendJobs } from './send-end.ts';
import { SEND_JOB, planSend } from './send-plan.ts';
import type { VolumeSend } from './send-plan.ts';
import { prepareLink, setLimit } from './send-copy.ts';
import { watchCopies } from './send-watch.ts';
import { reachTarget } from './target-probe.ts';

/** A send that is under way, as one call sees it. */
export interface Attempt {
  readonly group: Group;
  readonly request: SendPoint;
  readonly daemon: Daemon;
  readonly sending: Sending;
  readonly plan: readonly VolumeSend[];
}

export function sendPoint(group: Group, request: SendPoint, watch: SendWatch): Promise<SentPoint> {
  return group.sends.run(async () => {
    watch.signal.throwIfAborted();
    const work = new LongWork('send', `group ${group.id}: the send of point ${request.pointId}`);
    const signal = AbortSignal.any([watch.signal, work.signal]);
    try {
      // A send reads the chain that a merge changes.
      const begun = await group.alone(['merge'], () => begin(group, request, work));
      if ('sent' in begun) return begun.sent;
      await reachTarget(group, request, signal);
      const { qmp } = begun.daemon;
      await prepareLink(group, qmp, request);
      const { peerId, bytesPerSecond: own } = request;
      const apply = (limit: number | undefined): Promise<void> => setLimit(qmp, limit);
      const limited = { groupId: group.id, peerId, own, apply };
      await group.site.limits.enter(limited);
      try {
        const sentBytes = await watchCopies(begun, { ...watch, signal });
        return await group.locked(() => finish(begun, sentBytes));
      } finally {
        await group.site.limits.leave(limited);
      }
    } finally {
      group.end(work);
    }
  });
}

async function begin(
  group: Group,
  request: SendPoint,
  work: LongWork,
): Promise<Attempt | { readonly sent: SentPoint }> {
  needPoint(group, await group.record(), request.pointId);
  const { record, daemon } = await enterRunning(group);
  const point = needPoint(group, record, request.pointId);
  if (request.basePointId !== undefined) needPoint(group, record, request.basePointId);
  const sent = alreadySent(record, request);
  if (sent) return { sent };
  group.begin(work);
  const {
    record: current,
    restarted,
    before,
  } = await continueOrRestart(group, record, daemon, request);
  const plan = planSend(current, point, request);
  const { pointId, basePointId, peerId, target } = request;
  const { instance } = daemon;
  const isSame =
    current.sending?.restarted === restarted && current.sending.sentBytesBefore === before;
  const sending = {
    pointId,
    basePointId,
    peerId,
    target,
    instance,
    restarted,
    sentBytesBefore: before,
  };
  if (!isSame) await group.save({ ...current, sending });
  return { group, request, daemon, sending, plan };
}

function alreadySent({ sent }: GroupRecord, request: SendPoint): SentPoint | undefined {
  const isThis =
    sent?.pointId === request.pointId &&
    sent.basePointId === request.basePointId &&
    sent.targetInstance === request.target.instance;
  if (!isThis) return undefined;
  const { sentBytes, restarted, wholeVolumes } = sent;
  return { sentBytes, restarted, wholeVolumes };
}

/** Decides whether jobs that an earlier call left may go on. */
async function continueOrRestart(
  group: Group,
  record: GroupRecord,
  daemon: Daemon,
  request: SendPoint,
): Promise<{ readonly record: GroupRecord; readonly restarted: boolean; readonly before: number }> {
  const { sending } = record;
  const isSamePoint =
    sending?.pointId === request.pointId &&
    sending.basePointId === request.basePointId &&
    sending.peerId === request.peerId;
  if (!sending || !isSamePoint) {
    return { record: await dropSend(group, record, daemon), restarted: false, before: 0 };
  }
  const goesOn =
    sending.target.instance === request.target.instance && sending.instance === daemon.instance;
  if (goesOn) return { record, restarted: sending.restarted, before: sending.sentBytesBefore };
  const before = sending.sentBytesBefore + (await bytesOfJobs(daemon));
  await endSend(group, daemon.qmp);
  return { record, restarted: true, before };
}

async function bytesOfJobs({ qmp }: Daemon): Promise<number> {
  const jobs = (await queryJobs(qmp)).filter(({ id }) => id.startsWith(SEND_JOB));
  return jobs.reduce((sum, { doneBytes }) => sum + doneBytes, 0);
}

/** Every copy has ended well: first that is recorded, then the jobs that prove it are dismissed. */
async function finish(
  { group, request, sending, plan }: Attempt,
  sentBytes: number,
): Promise<SentPoint> {
  const { record, daemon } = await enter(group);
  if (record.sending?.target.instance !== sending.target.instance || !daemon) {
    throw new Failure(`group ${group.id}: the send of point ${request.pointId} was ended`);
  }
  const base = request.basePointId;
  const result: SentPoint = {
    sentBytes: sending.sentBytesBefore + sentBytes,
    restarted: sending.restarted,
    wholeVolumes: plan.filter(({ isWhole }) => isWhole).map(({ volumeId }) => volumeId),
  };
  const sent: Sent = {
    pointId: request.pointId,
    basePointId: base,
    targetInstance: request.target.instance,
    ...result,
  };
  await group.save({ ...record, sending: undefined, sent });
  const jobs = await sendJobs(daemon.qmp);
  await Promise.all(jobs.map(({ id }) => dismissJob(daemon.qmp, id)));
  await deleteSendNodes(group, daemon.qmp);
  return result;
}

export async function cancelSend(group: Group): Promise<void> {
  await group.alone(['send'], async () => {
    const { record, daemon } = await enter(group);
    await dropSend(group, record, daemon);
  });
}

export async function limitSend(group: Group, bytesPerSecond: number | undefined): Promise<void> {
  if (await group.site.limits.changeOwn(group.id, bytesPerSecond)) return;
  // One that goes on in the daemon while nobody waits for it.
  const daemon = await group.findDaemon();
  if (daemon) await setLimit(daemon.qmp, bytesPerSecond);
}
