/** The destination's half of a handover. */
import type { Group } from '../domain/group.ts';
import type { SiteId } from '../domain/ids.ts';
import { requireEpoch, take } from '../domain/ownership.ts';
import { refuse } from '../domain/refusal.ts';
import { advance, afterHandover } from '../domain/replication-session.ts';
import type { PrepareHandover, TakeGroup } from '../ports/peer.ts';
import { needSession, sessionOf } from '../sagas/offer.ts';
import { lockGroup, openGroup, unlockGroup } from '../sagas/operation.ts';
import type { AppPorts } from './app-ports.ts';
import { refuseWhileTested } from './failover-test.ts';

/** A holder needs some room at once: every first write to a block takes new space. */
const ROOM_TO_SERVE_BYTES = 64 * 1024 * 1024;

/**
 * Locks the group here for a handover, or says why this site cannot take it.
 *
 * @throws Refusal `stale_epoch`, `operation_running`, `wrong_state` (also while the first copy is not
 *   complete), `not_protected`, `no_space`, `in_use` while a failover test runs here
 */
export async function prepareHandover(
  { store, engine, clock, here }: Pick<AppPorts, 'store' | 'engine' | 'clock' | 'here'>,
  { groupId, epoch, sagaId }: PrepareHandover,
): Promise<void> {
  await requireRoomToServe({ engine, here });
  await store.transaction(async (tx) => {
    const group = await tx.groups.need(groupId);
    requireEpoch(groupId, group.ownership, epoch);
    const session = await needSession(tx, groupId);
    if (group.operation === sagaId) return;
    await refuseWhileTested(tx, groupId);
    await lockGroup(tx, groupId, sagaId);
    await tx.sessions.change(session.id, (s) => advance(s, 'hand_over', clock.now()));
  });
}

/** @throws Refusal `no_space` where a group that is served here could not go far */
export async function requireRoomToServe({
  engine,
  here,
}: Pick<AppPorts, 'engine' | 'here'>): Promise<void> {
  const { freeBytes } = await engine.space();
  if (freeBytes >= ROOM_TO_SERVE_BYTES) return;
  refuse({ code: 'no_space', siteId: here, neededBytes: ROOM_TO_SERVE_BYTES, freeBytes });
}

/** Lets go of the lock of a handover or a return that was undone. Does nothing when it is not held. */
export function cancelHandover(
  { store, clock }: Pick<AppPorts, 'store' | 'clock'>,
  { groupId, sagaId }: Pick<PrepareHandover, 'groupId' | 'sagaId'>,
): Promise<void> {
  return store.transaction(async (tx) => {
    const group = await tx.groups.get(groupId);
    if (group?.operation !== sagaId) return;
    await unlockGroup(tx, groupId, sagaId);
    const session = await sessionOf(tx, groupId);
    if (session?.state !== 'handing_over') return;
    await tx.sessions.change(session.id, (s) => advance(s, 'undo_hand_over', clock.now()));
  });
}

/**
 * Takes a group that its holder gave away: ownership durably first, then the first write.
 * The supervisor finishes what a crash in between leaves open.
 *
 * @throws Refusal `stale_epoch` — also when this site took it by itself, to stand on another point;
 *   `point_missing`; `operation_running` while a failover is about to do that
 */
export async function takeGroup(
  ports: Pick<AppPorts, 'store' | 'engine' | 'clock' | 'here' | 'gate'>,
  from: SiteId,
  request: TakeGroup,
): Promise<void> {
  const { groupId, pointId } = request;
  await ports.store.transaction(async (tx) => {
    const group = await tx.groups.need(groupId);
    if (isTaken(group, ports.here, request.epoch)) return requireGiven(group, request);
    const point = await tx.points.get(pointId);
    if (point === undefined) refuse({ code: 'point_missing', groupId, pointId });
    const own = group.operation && (await tx.sagas.get(group.operation));
    if (own) refuse({ code: 'operation_running', groupId, sagaId: own.id, kind: own.kind });
    const session = await needSession(tx, groupId);
    await tx.groups.change(groupId, (g) => ({
      ...g,
      ownership: take(groupId, g.ownership, ports.here, request.epoch),
      operation: undefined,
      standsOn: pointId,
      offline: false,
    }));
    await tx.points.change(pointId, (p) => ({ ...p, commonAt: p.commonAt ?? ports.clock.now() }));
    const now = ports.clock.now();
    await tx.sessions.change(session.id, (s) => ({
      ...afterHandover(s, 'source', request.reverse, now),
      peerId: from,
    }));
  });
  await openGroup(ports, groupId);
}

/** What was taken by force may stand on another point: then nothing was handed over. */
function requireGiven({ id, ownership, standsOn }: Group, { epoch, pointId }: TakeGroup): void {
  if (ownership.epoch > epoch || standsOn === pointId) return;
  refuse({ code: 'stale_epoch', groupId: id, seenEpoch: epoch, ownEpoch: ownership.epoch });
}

function isTaken({ ownership }: Group, here: SiteId, epoch: number): boolean {
  return ownership.holder === here && ownership.epoch >= epoch;
}
