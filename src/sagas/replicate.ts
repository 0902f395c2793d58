/**
 * One cycle: the group's present becomes a point at the other site.
 *
 *   source: merge what is overdue ─ seal ─▶ open a place at the destination ─▶ send ─▶ destination: complete ─▶ source: common
 *
 * A sealed point that did not get through stays and is sent before a new one is sealed. What was
 * already sent of it stays, too: the next cycle goes on there while both data planes live.
 */
import type { GroupId, Instant, MirrorId, PointId, SagaId, SessionId } from '../domain/ids.ts';
import { newestCommon, nextUnsent } from '../domain/recovery-point.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import { Refusal } from '../domain/refusal.ts';
import { advance } from '../domain/replication-session.ts';
import type { CycleReport, ReplicationSession } from '../domain/replication-session.ts';
import { goesOn, surpassed, surpasses, wantsMirror } from '../domain/synchrony.ts';
import type { DigestsThere } from '../ports/engine-comparison.ts';
import type { SealedPoint, SendPoint, SentPoint } from '../ports/engine.ts';
import type { ReceiveAnswer } from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import { keepChainsShort } from './forget-points.ts';
import { offerOf } from './offer.ts';
import { nextSequence } from './points.ts';
import { saga, startSaga } from './saga.ts';
import type { SagaPorts, StepControl } from './saga.ts';

/** Hosts' writes are never held longer for a point. */
export const PAUSE_LIMIT_MS = 2000;

/** Small enough that scattered changes move little, large enough that digests are few. */
const COMPARED_RANGE_BYTES = 256 * 1024;

export interface Replicate {
  readonly sessionId: SessionId;
  readonly groupId: GroupId;
  readonly pointId: PointId;
}

interface Delivery {
  readonly completedAt: Instant;
  readonly kind: CycleReport['kind'];
  readonly why: string;
  readonly sentBytes: number;
  readonly restarts: number;
}

export const replicate = saga<Replicate>('replicate')
  .ifUndone(async (tx, { sessionId }, { sagaId, now, why }) => {
    // After a change of holder the session is about something else, and no longer names this cycle.
    if ((await tx.sessions.get(sessionId))?.cycle?.sagaId !== sagaId) return;
    await tx.sessions.change(sessionId, (s) => {
      const failed = advance(s, 'cycle_failed', now);
      const parkedBecause = failed.state === 'system_paused' ? why : undefined;
      return { ...failed, cycle: undefined, parkedBecause };
    });
  })
  .step('keep-chains-short', {
    do: async (ports, { sessionId, groupId }, _done, { signal }) => {
      const [session, group] = await ports.store.read((tx) =>
        Promise.all([tx.sessions.get(sessionId), tx.groups.get(groupId)]),
      );
      // While hosts are kept out nothing is done that can wait.
      if (session === undefined || group?.fencedBy !== undefined) return;
      await keepChainsShort(ports, session, signal);
    },
  })
  .step('seal', {
    do: ({ engine }, { groupId, pointId }) => engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS),
    undo: async ({ store, engine }, { groupId, pointId }) => {
      // What is sealed stays, as every point that did not get through: nobody else knows of it.
      if (!(await engine.points(groupId)).includes(pointId)) return;
      const seal = await engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
      await store.transaction((tx) => recordPoint(tx, groupId, seal));
    },
  })
  .commit('record-point', (tx, { groupId }, { seal }) => recordPoint(tx, groupId, seal))
  .step('deliver', { do: (ports, request, _done, control) => deliver(ports, request, control) })
  .commit(
    'record-common',
    async (tx, { sessionId, pointId }, { deliver: delivered, seal }, { now }) => {
      const { completedAt, kind, why, sentBytes, restarts } = delivered;
      await tx.points.change(pointId, (p) => ({ ...p, commonAt: completedAt }));
      await tx.sessions.change(sessionId, (s) => ({
        ...advance(s, 'cycle_completed', now),
        cycle: undefined,
        parkedBecause: undefined,
        comparesWith: undefined,
        lastCycle: {
          pointId,
          kind,
          why,
          sealedAt: seal.sealedAt,
          completedAt,
          // Below zero the clock was set back meanwhile.
          durationMs: Math.max(0, now - (s.cycle?.startedAt ?? seal.sealedAt)),
          sentBytes,
          restarts,
        },
      }));
    },
  );

/** A repeat changes nothing. */
export async function recordPoint(
  tx: Transaction,
  groupId: GroupId,
  { pointId, sealedAt, volumes }: SealedPoint,
): Promise<RecoveryPoint> {
  const known = await tx.points.get(pointId);
  if (known !== undefined) return known;
  const { ownership } = await tx.groups.need(groupId);
  return tx.points.insert({
    id: pointId,
    groupId,
    sequence: await nextSequence(tx, groupId),
    epoch: ownership.epoch,
    sealedAt,
    volumes,
    commonAt: undefined,
    expiring: false,
  });
}

/** Where the destination has let go of the base meanwhile, another one serves. */
async function deliver(
  ports: SagaPorts,
  request: Replicate,
  control: StepControl,
): Promise<Delivery> {
  const look = (): Promise<CycleFacts> => ports.store.read((tx) => factsOf(tx, request));
  const facts = await look();
  const { session, basePointId } = facts;
  const place = await openPlace(ports, facts).catch(async (error: unknown) => {
    if (basePointId === undefined || !isMissing(error, basePointId)) throw error;
    await learnCommon(ports, session, basePointId);
    return undefined;
  });
  if (place !== undefined) return send(ports, facts, place, control);
  const learned = await look();
  return send(ports, learned, await openPlace(ports, learned), control);
}

function openPlace(
  { peer }: Pick<SagaPorts, 'peer'>,
  { session, offer, point, basePointId }: CycleFacts,
): Promise<ReceiveAnswer> {
  const { id: pointId, volumes } = point;
  return peer.receivePoint(session.peerId, { offer, pointId, basePointId, volumes });
}

function isMissing(error: unknown, pointId: PointId): boolean {
  if (!(error instanceof Refusal)) return false;
  return error.reason.code === 'point_missing' && error.reason.pointId === pointId;
}

/**
 * Each site lets go of points by itself, and after a restore the newest common one may be so old
 * that the other site has it no more. What is there is compared with where nothing else is.
 */
async function learnCommon(
  { store, peer }: Pick<SagaPorts, 'store' | 'peer'>,
  { id: sessionId, groupId, peerId }: ReplicationSession,
  missing: PointId,
): Promise<void> {
  const { points } = await peer.describeGroup(peerId, groupId);
  const theirs = points.filter((id) => id !== missing);
  await store.transaction(async (tx) => {
    for (const { id } of await tx.points.where({ groupId })) {
      if (theirs.includes(id)) continue;
      await tx.points.change(id, (p) => ({ ...p, commonAt: undefined }));
    }
    await tx.sessions.change(sessionId, (s) => ({ ...s, comparesWith: theirs.at(-1) }));
  });
}

async function send(
  { store, engine, peer, clock }: SagaPorts,
  { session, offer, point, base, comparesWith, basePointId }: CycleFacts,
  place: ReceiveAnswer,
  { onProgress, signal }: StepControl,
): Promise<Delivery> {
  const { id: sessionId, groupId, peerId, bytesPerSecond } = session;
  const { id: pointId, volumes, sealedAt, sequence } = point;
  const { epoch } = offer.ownership;
  const { target } = place;
  const request = { groupId, pointId, peerId, target, bytesPerSecond };
  const sending: Promise<Sent> =
    comparesWith === undefined
      ? engine.sendPoint({ ...request, basePointId }, { onProgress, signal })
      : sendCompared({ engine, peer }, { ...request, comparesWith }, { onProgress, signal });
  const sent = await sending.catch(async (error: unknown): Promise<Sent> => {
    if (!place.isComplete || signal.aborted) throw error;
    // It got there once and this engine has forgotten that it did, as it does when a send is cancelled.
    await engine.cancelSend(groupId);
    return { sentBytes: 0, restarted: false, wholeVolumes: [] };
  });
  const past = await surpassedMirror({ store, engine }, sessionId, point);
  const { completedAt } = await peer.completePoint(peerId, {
    groupId,
    epoch,
    pointId,
    sequence,
    sealedAt,
    toldAt: clock.now(),
    volumes,
    place: target.instance,
    surpasses: past,
  });
  if (past !== undefined) {
    // First: of a session that is asynchronous from then on nobody looks after a mirror.
    await engine.stopMirror(groupId);
    await store.transaction((tx) => leaveMirror(tx, sessionId, past));
  }

  return {
    completedAt,
    sentBytes: sent.sentBytes,
    restarts: sent.restarted ? 1 : 0,
    ...(comparesWith === undefined
      ? reasonFor(session, base, sent.wholeVolumes.length, volumes.length)
      : { kind: 'delta', why: comparedWhy(sent.comparedBytes) }),
  };
}

type Sent = SentPoint & { readonly comparedBytes?: number };

/** What two sites without a point in common have different: only digests and that travel. */
async function sendCompared(
  { engine, peer }: Pick<SagaPorts, 'engine' | 'peer'>,
  { comparesWith, ...request }: Omit<SendPoint, 'basePointId'> & { readonly comparesWith: PointId },
  { onProgress, signal }: Pick<StepControl, 'onProgress' | 'signal'>,
): Promise<Sent> {
  const { groupId, peerId } = request;
  const digestsThere: DigestsThere = (ranges) =>
    peer
      .digestRanges(peerId, { groupId, pointId: comparesWith, ...ranges })
      .catch((error: unknown) => {
        // It was no volume of the group there: all of it is sent.
        if (error instanceof Refusal && error.reason.code === 'not_found') return undefined;
        throw error;
      });
  const sent = await engine.sendDifference(
    { ...request, rangeBytes: COMPARED_RANGE_BYTES, digestsThere },
    { onProgress: (progress) => onProgress({ ...progress, comparing: true }), signal },
  );
  return { ...sent, wholeVolumes: [] };
}

function comparedWhy(comparedBytes: number | undefined): string {
  const all = comparedBytes === undefined ? 'all' : `${comparedBytes}`;
  return `the sites had no point in common: ${all} bytes were compared by their hashes`;
}

/**
 * The mirror whose standby the point takes the place of. Asked when the point is there: where the mirror
 * was lost after it was sealed, its standby is ahead of it. One that only heartbeats had given up, and
 * that is level, goes on.
 */
async function surpassedMirror(
  { store, engine }: Pick<SagaPorts, 'store' | 'engine'>,
  id: SessionId,
  point: RecoveryPoint,
): Promise<MirrorId | undefined> {
  const session = await store.read((tx) => tx.sessions.need(id));
  const lost = surpasses(session, point);
  if (lost === undefined || !wantsMirror(session) || session.sync?.isStale === true) return lost;
  const seen = await engine.inspectMirror(session.groupId);
  if (seen?.mirrorId !== lost || seen.state !== 'level') return lost;
  // First the word: where this process dies now, the standby is not taken for older than the point.
  await store.transaction((tx) => tx.sessions.change(id, (s) => goesOn(s, lost, point)));
  return undefined;
}

/** The destination goes by the point from now on. A repeat changes nothing. */
async function leaveMirror(tx: Transaction, id: SessionId, mirrorId: MirrorId): Promise<void> {
  await tx.sessions.change(id, (s) => (s.sync?.mirrorId === mirrorId ? surpassed(s) : s));
}

interface CycleFacts {
  readonly session: ReplicationSession;
  readonly offer: Awaited<ReturnType<typeof offerOf>>;
  readonly point: RecoveryPoint;
  readonly base: RecoveryPoint | undefined;
  /** Without a base: a point of the destination's own, which this site has not. */
  readonly comparesWith: PointId | undefined;
  /** What the place stands on, of these two. */
  readonly basePointId: PointId | undefined;
}

async function factsOf(
  tx: Transaction,
  { sessionId, pointId }: Pick<Replicate, 'sessionId' | 'pointId'>,
): Promise<CycleFacts> {
  const session = await tx.sessions.need(sessionId);
  const point = await tx.points.need(pointId);
  const points = await tx.points.where({ groupId: session.groupId });
  const older = points.filter((p) => p.sequence < point.sequence);
  const base = newestCommon(older);
  const comparesWith = base === undefined ? session.comparesWith : undefined;
  const basePointId = base?.id ?? comparesWith;
  return { session, offer: await offerOf(tx, session), point, base, comparesWith, basePointId };
}

function reasonFor(
  session: ReplicationSession,
  base: RecoveryPoint | undefined,
  wholeVolumes: number,
  allVolumes: number,
): Pick<CycleReport, 'kind' | 'why'> {
  if (base === undefined) {
    const why =
      session.lastCycle === undefined ? 'first copy' : 'the sites have no point in common';
    return { kind: 'full', why };
  }
  const since = `changes since point ${base.sequence}`;
  if (wholeVolumes === 0) return { kind: 'delta', why: since };
  if (wholeVolumes === allVolumes)
    return { kind: 'full', why: 'no volume is in the last common point' };
  return { kind: 'delta', why: `${since}; ${wholeVolumes} new volume(s) whole` };
}

export interface StartCycle {
  readonly session: ReplicationSession;
  readonly sagaId: SagaId;
  /** Used when a new point is sealed; a point that waits to be sent goes first. */
  readonly pointId: PointId;
  readonly parentId?: SagaId;
  readonly now: Instant;
}

/**
 * Starts a cycle in the caller's transaction. While one runs that one is the answer.
 * The caller has checked that the session's state allows it.
 */
export async function startCycle(
  tx: Transaction,
  { session, sagaId, pointId, parentId, now }: StartCycle,
): Promise<SagaId> {
  if (session.cycle !== undefined) return session.cycle.sagaId;
  const { id: sessionId, groupId } = session;
  const waiting = nextUnsent(await tx.points.where({ groupId }));
  const chosen = waiting?.id ?? pointId;
  await tx.sessions.change(sessionId, (s) => ({
    ...s,
    cycle: { sagaId, pointId: chosen, startedAt: now },
  }));
  const input: Replicate = { sessionId, groupId, pointId: chosen };
  return startSaga(tx, replicate, input, { sagaId, now, groupId, ...(parentId && { parentId }) });
}
