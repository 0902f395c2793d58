/**
 * Sending a sealed point: one copy job per volume in the daemon, which go on when this process
 * dies. Only what is certain about the target's instance makes a repeat go on where they were.
 *
 *   prepare (locked), for the next point: record `sending` ─ make its overlays ─ open the links
 *   begin (locked): same target instance, same daemon? ── no ──▶ end the jobs, start anew
 *   watch (not locked): start ▸ copy ▸ ready ▸ end ▸ concluded   | paused ──▶ throw, keep
 *   finish (locked): record `sent` ─ dismiss jobs, delete nodes
 */
import { Failure } from '../../domain/refusal.ts';
import type { SendPoint, SendWatch, SentPoint } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import { dismissJob } from '../qmp/commands.ts';
import { queryJobs } from '../qmp/queries.ts';
import type { Daemon } from './daemon.ts';
import { enter, enterRunning } from './enter.ts';
import { readGraph } from './graph.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { LongWork } from './long-work.ts';
import { linkNode } from './nodes.ts';
import { makeAhead, overlaysOfPresent } from './overlays.ts';
import { findVolume } from './record.ts';
import type { GroupRecord, Sending, Sent } from './record.ts';
import { deleteSendNodes, dropSend, endSend, sendJobs } from './send-end.ts';
import { SEND_JOB, planSend } from './send-plan.ts';
import type { VolumeSend } from './send-plan.ts';
import { openLink, prepareLink, setLimit } from './send-copy.ts';
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
      const { qmp } = begun.daemon;
      if (!(await isLinked(qmp, begun.plan))) await reachTarget(group, request, signal);
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

/** What the next point and its send need, as far as it can be done before that point is sealed. */
export function prepareSend(group: Group, request: SendPoint): Promise<void> {
  return group.sends.run(async () => {
    await reachTarget(group, request);
    await group.alone(['merge'], async () => {
      const { record, daemon } = await enterRunning(group);
      const { qmp } = daemon;
      const current = await recordSending(group, daemon, record, request);
      await makeAhead(group, daemon, overlaysOfPresent(current.record));
      await prepareLink(group, qmp, request);
      const { nodes } = await readGraph(qmp);
      for (const { volumeId, exportName } of request.target.exports) {
        const volume = findVolume(current.record, volumeId);
        if (volume === undefined) continue;
        await openLink({ group, qmp, request, nodes }, { key: volume.key, exportName });
      }
    });
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
  const { record: current, sending } = await recordSending(group, daemon, record, request);
  return { group, request, daemon, sending, plan: planSend(current, point, request) };
}

/** From here on a repeat, or another process, goes on with what this send has in the daemon. */
async function recordSending(
  group: Group,
  daemon: Daemon,
  known: GroupRecord,
  request: SendPoint,
): Promise<{ readonly record: GroupRecord; readonly sending: Sending }> {
  const { record, restarted, before } = await continueOrRestart(group, known, daemon, request);
  const { pointId, basePointId, peerId, target } = request;
  const { instance } = daemon;
  const attempt = { pointId, basePointId, peerId, target, instance };
  const sending = { ...attempt, restarted, sentBytesBefore: before };
  const { sending: earlier } = record;
  const isSame = earlier?.restarted === restarted && earlier.sentBytesBefore === before;
  return { record: isSame ? record : await group.save({ ...record, sending }), sending };
}

/** Whether nothing is left to connect. */
async function isLinked(qmp: QmpClient, plan: readonly VolumeSend[]): Promise<boolean> {
  const { nodes } = await readGraph(qmp);
  return plan.every(({ key }) => nodes.has(linkNode(key)));
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

/**
 * Every copy has ended well: first that is recorded, then the jobs that prove it are dismissed. All
 * before the target closes its exports: a link that is deleted later tries for its whole reconnect
 * delay to flush, and holds the daemon, hosts included.
 */
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
