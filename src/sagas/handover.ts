/**
 * Moves a group to its peer with no write lost.
 *
 *   holder A                                                        destination B
 *   lock-peer ────────────────────────────────────────────────────▶ locked
 *   settle, warm-up (cycles until little is left) ─────────────────▶ points
 *   open-way: room for the last point, its place, the way there ───▶ an empty place
 *   close-to-hosts, fence: no host write can be acknowledged
 *   last-point ────────────────────────────────────────────────────▶ the last point, complete
 *     (where a mirror is level nothing is sent: both ends of it are sealed as that point)
 *   ══ point of no return: given away, holder B, epoch e+1 (A's store) ══
 *   take ──────────────────────────────────────────────────────────▶ holder B, epoch e+1; serves
 *   demote, become-destination                                       replicates back, or not
 *
 * After that A never serves again by itself: a lost answer to `take` may hide a writable B.
 */
import type {
  ForkId,
  GroupId,
  Instant,
  MirrorId,
  PointId,
  SagaId,
  SessionId,
  SiteId,
} from '../domain/ids.ts';
import { warmEnough } from '../domain/cycle-plan.ts';
import { give } from '../domain/ownership.ts';
import { newestCommon } from '../domain/recovery-point.ts';
import { Failure, Refusal } from '../domain/refusal.ts';
import { advance, afterHandover } from '../domain/replication-session.ts';
import type { PrepareHandover } from '../ports/peer.ts';
import type { SagaPorts, StepControl } from './saga.ts';
import { POINT_OF_NO_RETURN, saga } from './saga.ts';
import {
  fenceGroup,
  ignoringSilence,
  isRefusedAs,
  noteOfMirror,
  serveGroup,
  settleCycle,
  unlockGroup,
} from './operation.ts';
import { PAUSE_LIMIT_MS, recordPoint, startCycle } from './replicate.ts';
import { needSession, offerOf } from './offer.ts';

/** Ids are chosen before the first step, so that a step that runs twice means the same thing. */
export interface PlannedCycle {
  readonly sagaId: SagaId;
  readonly pointId: PointId;
}

export interface Handover {
  readonly sessionId: SessionId;
  readonly groupId: GroupId;
  readonly to: SiteId;
  /** The holder's epoch when it was asked. */
  readonly epoch: number;
  readonly reverse: boolean;
  readonly warmUps: readonly PlannedCycle[];
  readonly last: PlannedCycle;
  readonly forkId: ForkId;
}

export const handover = saga<Handover>('handover')
  .ifUndone(async (tx, { sessionId, groupId }, { sagaId, now }) => {
    await unlockGroup(tx, groupId, sagaId);
    // Where the other site has taken the group meanwhile, the session says so and stays, or has ended.
    if ((await tx.sessions.get(sessionId)) === undefined) return;
    await tx.sessions.change(sessionId, (s) =>
      s.state === 'handing_over' ? advance(s, 'undo_hand_over', now) : s,
    );
  })
  .step('lock-peer', {
    do: ({ peer }, h, _done, { sagaId }) => peer.prepareHandover(h.to, lockOf(h, sagaId)),
    undo: async ({ peer }, h, { sagaId }) => {
      // The destination also lets go when our heartbeats no longer name this saga.
      await ignoringSilence(peer.cancelHandover(h.to, lockOf(h, sagaId)));
    },
  })
  .step('settle', {
    do: (ports, { groupId }, _done, control) => settleCycle(ports, groupId, control),
  })
  .step('warm-up', { do: (ports, h, _done, control) => warmUp(ports, h, control) })
  .step('open-way', {
    do: (ports, h) => openWay(ports, h),
    undo: async ({ store, engine }, { groupId, last }) => {
      // A point that was sealed goes on where it is with the next cycle.
      const isSealed = await store.read((tx) => tx.points.get(last.pointId));
      if (isSealed === undefined) await engine.cancelSend(groupId);
    },
  })
  .step('open-again', {
    // Undone last, when the store says again that hosts may write.
    do: () => Promise.resolve(),
    undo: (ports, { groupId }) => serveGroup(ports, groupId),
  })
  .commit(
    'close-to-hosts',
    async (tx, { groupId }, _done, { sagaId }) => {
      await tx.groups.change(groupId, (g) => ({ ...g, fencedBy: sagaId }));
    },
    async (tx, { groupId }) => {
      await tx.groups.change(groupId, (g) => ({ ...g, fencedBy: undefined }));
    },
  )
  .step('fence', { do: (ports, { groupId }) => fenceGroup(ports, groupId) })
  .step('finish-mirror', { do: (ports, h) => finishMirror(ports, h) })
  .step('last-point', {
    attempts: 1,
    do: async (ports, h, { 'finish-mirror': { level } }, control) => {
      if (level !== undefined) return sealBothEnds(ports, h, level);
      const { lastCycle } = await runCycle(ports, h, h.last, control);
      // Any other point than the one sealed behind the fence would lose what came after it.
      if (lastCycle?.pointId !== h.last.pointId) {
        throw new Failure(
          `group ${h.groupId}: wanted point ${h.last.pointId} sent, was ${lastCycle?.pointId}`,
        );
      }
      return { sentBytes: lastCycle.sentBytes };
    },
  })
  .pointOfNoReturn(async (tx, { groupId, to }, _done, { here }) => {
    const group = await tx.groups.change(groupId, (g) => ({
      ...g,
      ownership: give(groupId, g.ownership, here, to),
      fencedBy: undefined,
    }));
    return { epoch: group.ownership.epoch };
  })
  .step('take', {
    do: async ({ peer, store }, h, { [POINT_OF_NO_RETURN]: { epoch } }, { sagaId }) => {
      const { to, groupId, last, reverse } = h;
      const { ownership } = await store.read((tx) => tx.groups.need(groupId));
      // Somebody failed over in the meantime: there is nothing left to give.
      if (ownership.epoch !== epoch) return { overtaken: true };
      const taken = peer.takeGroup(to, { groupId, epoch, pointId: last.pointId, sagaId, reverse });
      return { overtaken: await isRefusedAs(taken, 'stale_epoch') };
    },
  })
  .step('demote', {
    do: async (ports, h, { take: { overtaken }, [POINT_OF_NO_RETURN]: { epoch } }) => {
      const { store, engine, gate } = ports;
      const { groupId, last, forkId } = h;
      // Through the gate: a failover that takes the group back opens it only after this.
      await gate.through(groupId, async () => {
        const group = await store.read((tx) => tx.groups.need(groupId));
        if (overtaken || group.ownership.epoch !== epoch) return;
        await engine.demote(groupId, last.pointId, forkId);
      });
    },
  })
  .commit('become-destination', async (tx, h, done, { sagaId, now }) => {
    const { sessionId, groupId, reverse } = h;
    await unlockGroup(tx, groupId, sagaId);
    const { ownership } = await tx.groups.need(groupId);
    if (done.take.overtaken || ownership.epoch !== done[POINT_OF_NO_RETURN].epoch) return;
    await tx.groups.change(groupId, (g) => ({ ...g, standsOn: undefined }));
    await tx.sessions.change(sessionId, (s) => afterHandover(s, 'destination', reverse, now));
  });

/**
 * Ends the mirror behind the fence, so that it proves both ends equal.
 *
 * @returns the mirror; undefined when there was none, or it was not level to the end: then the last
 *   point travels as any other
 */
async function finishMirror(
  { store, engine, clock }: SagaPorts,
  { groupId }: Handover,
): Promise<{ readonly level: MirrorId | undefined }> {
  const { sync } = await sessionAfter(store, groupId);
  const mirrorId = sync?.mirrorId;
  if (sync === undefined) return { level: undefined };
  const isLevel = sync.condition.state === 'in_sync' && mirrorId !== undefined;
  const finished = isLevel ? engine.finishMirror(groupId, mirrorId) : engine.stopMirror(groupId);
  const level = await finished.then(
    () => (isLevel ? mirrorId : undefined),
    (error: unknown) => {
      if (error instanceof Failure) return undefined;
      throw error;
    },
  );
  const [why, now] = ['the group is handed over', clock.now()];
  await store.transaction((tx) => noteOfMirror(tx, groupId, 'ended', why, now));
  return { level };
}

/** Nothing has been written since the mirror's end: what each site has is that same instant. */
async function sealBothEnds(
  { store, engine, peer, clock }: SagaPorts,
  { groupId, to, last: { pointId } }: Handover,
  mirrorId: MirrorId,
): Promise<{ readonly sentBytes: number }> {
  const seal = await engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
  const { sequence, epoch } = await store.transaction((tx) => recordPoint(tx, groupId, seal));
  const { sealedAt, volumes } = seal;
  const point = { pointId, sequence, sealedAt, toldAt: clock.now(), volumes };
  const { completedAt } = await peer.keepStandby(to, { groupId, epoch, mirrorId, ...point });
  await store.transaction((tx) =>
    tx.points.change(pointId, (p) => ({ ...p, commonAt: completedAt })),
  );
  return { sentBytes: 0 };
}

function lockOf({ groupId, epoch }: Handover, sagaId: SagaId): PrepareHandover {
  return { groupId, epoch, sagaId };
}

/** Cycles while hosts still write, so that little is left for the time when they cannot. */
async function warmUp(
  ports: SagaPorts,
  h: Handover,
  control: StepControl,
): Promise<{ readonly cycles: number }> {
  let cycles = 0;
  const { sync } = await sessionAfter(ports.store, h.groupId);
  if (sync?.condition.state === 'in_sync') return { cycles };
  for (const planned of h.warmUps) {
    const { lastCycle } = await runCycle(ports, h, planned, control);
    cycles += 1;
    if (warmEnough(cycles, lastCycle?.sentBytes)) break;
  }
  return { cycles };
}

/** What takes no host to wait is done before they do. Where a mirror is level nothing is to be sent. */
async function openWay(
  { store, engine, peer }: SagaPorts,
  { groupId, last: { pointId } }: Handover,
): Promise<void> {
  const [session, offer, base] = await store.read(async (tx) => {
    const found = await needSession(tx, groupId);
    const common = newestCommon(await tx.points.where({ groupId }));
    return [found, await offerOf(tx, found), common] as const;
  });
  if (base === undefined) return;
  if (session.sync?.condition.state === 'in_sync') return engine.prepareSeal(groupId);
  const { peerId, bytesPerSecond } = session;
  const { id: basePointId, volumes } = base;
  const place = { offer, pointId, basePointId, volumes };
  const { target } = await peer.receivePoint(peerId, place);
  await engine.prepareSend({ groupId, pointId, basePointId, peerId, target, bytesPerSecond });
}

/** @throws Failure when the cycle did not get through; it is then undone and the session says why */
async function runCycle(
  { store, clock }: SagaPorts,
  { groupId }: Handover,
  { sagaId, pointId }: PlannedCycle,
  control: StepControl,
): ReturnType<typeof sessionAfter> {
  control.signal.throwIfAborted();
  await store.transaction(async (tx) => {
    if ((await tx.sagas.get(sagaId)) !== undefined) return;
    const session = await needSession(tx, groupId);
    const now: Instant = clock.now();
    await startCycle(tx, { session, sagaId, pointId, parentId: control.sagaId, now });
  });
  const record = await control.ended(sagaId);
  if (record.state === 'undone') {
    const { reason, message } = record.outcome ?? {
      reason: undefined,
      message: 'for no known reason',
    };
    if (reason !== undefined) throw new Refusal(reason);
    throw new Failure(`the cycle before the handover did not get through: ${message}`);
  }
  return sessionAfter(store, groupId);
}

function sessionAfter(store: SagaPorts['store'], groupId: GroupId): ReturnType<typeof needSession> {
  return store.read((tx) => needSession(tx, groupId));
}
