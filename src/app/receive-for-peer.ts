/**
 * The destination's half of a session: what the source's messages do here.
 * Each may arrive twice or late; the group's epoch tells a late one from a repeat.
 */
import type { Group } from '../domain/group.ts';
import type { GroupId, PointId, SagaId, SiteId, VolumeId } from '../domain/ids.ts';
import { byOwnClock } from '../domain/own-clock.ts';
import { requireEpoch } from '../domain/ownership.ts';
import { bySequence } from '../domain/recovery-point.ts';
import { refuse } from '../domain/refusal.ts';
import { advance, isPaused } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import { newSynchrony, surpassed } from '../domain/synchrony.ts';
import type { Synchrony } from '../domain/synchrony.ts';
import type { DigestRanges, RangeDigests } from '../ports/engine-comparison.ts';
import type { VolumeHash } from '../ports/engine.ts';
import type {
  CompleteAnswer,
  CompleteRequest,
  EndSession,
  GroupDescription,
  GroupOffer,
  OfferAnswer,
  ReceiveAnswer,
  ReceiveRequest,
  ResizeRequest,
} from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import { forgetGroup, forgetPoints } from '../sagas/members.ts';
import { keepChainsShort } from '../sagas/forget-points.ts';
import { needSession, sessionOf } from '../sagas/offer.ts';
import { assign, keepPolicy } from '../sagas/policies.ts';
import type { AppPorts } from './app-ports.ts';
import { followSource } from './follow-source.ts';
import { refuseWhileTested } from './failover-test.ts';

/**
 * Makes or renews this site's copy of a peer's group.
 *
 * @throws Refusal `already_exists` when other things have its names here; `stale_epoch`;
 *   `already_protected` when it is replicated here from elsewhere; `wrong_state` when it is of a
 *   session that its source has ended
 */
export function acceptOffer(
  { store, clock, here }: Pick<AppPorts, 'store' | 'clock' | 'here'>,
  from: SiteId,
  offer: GroupOffer,
): Promise<OfferAnswer> {
  return store.transaction(async (tx) => {
    const existing = await tx.groups.get(offer.groupId);
    if (existing === undefined) await insertCopy(tx, offer);
    else await renewCopy(tx, existing, offer, here);
    await keepSession(tx, from, offer, clock.now());
    await keepPolicy(tx, from, offer.groupId, offer.policy, clock.now());
    const points = bySequence(await tx.points.where({ groupId: offer.groupId }));
    return { points: points.filter((p) => !p.expiring).map((p) => p.id) };
  });
}

/**
 * Opens a place for a point of the peer's. The new holder may ask before this site has ended its
 * side of the handover; then the answer waits for that.
 *
 * @throws Refusal of `acceptOffer`, of `Engine.receivePoint`; `wrong_state` while it is paused here
 */
export async function receivePoint(
  ports: Pick<AppPorts, 'store' | 'clock' | 'here' | 'engine' | 'sagas'>,
  from: SiteId,
  { offer, pointId, basePointId, volumes }: ReceiveRequest,
): Promise<ReceiveAnswer> {
  await acceptOffer(ports, from, offer);
  const { groupId } = offer;
  const operation = await ownOperationEnded(ports, groupId);
  const session = await ports.store.read((tx) => needSession(tx, groupId));
  refuseWhilePaused(session);
  await followSource(ports, session, offer.session.line, basePointId);
  // In a handover hosts may be waiting for this point: nothing is done that can wait.
  if (operation === undefined) await keepChainsShort(ports, session);
  const isComplete = (await ports.engine.points(groupId)).includes(pointId);
  const promotesNext = operation !== undefined;
  const place = { groupId, pointId, basePointId, peerId: from, volumes, promotesNext };
  return { target: await ports.engine.receivePoint(place), isComplete };
}

/**
 * Waits for an operation of this site's own, such as its half of the handover that made it one.
 *
 * @returns the operation that had the group
 */
export async function ownOperationEnded(
  { store, sagas }: Pick<AppPorts, 'store' | 'sagas'>,
  groupId: GroupId,
): Promise<SagaId | undefined> {
  const [operation, ownSaga] = await store.read(async (tx) => {
    const group = await tx.groups.need(groupId);
    return [group.operation, group.operation && (await tx.sagas.get(group.operation))] as const;
  });
  if (ownSaga) await sagas.ended(ownSaga.id);
  return operation;
}

/** Somebody paused it here while the source could not be told, and its cycles wait for that. */
function refuseWhilePaused(session: ReplicationSession): void {
  if (!isPaused(session)) return;
  refuse({
    code: 'wrong_state',
    what: 'replication_session',
    id: session.id,
    state: 'paused at its destination',
    event: 'sync',
    allowedIn: ['it is resumed there; pause it here, too, and then resume it'],
  });
}

/**
 * Makes what was received a point: first the bytes, then the row.
 *
 * @throws Refusal `stale_epoch`, `operation_running` while a failover of this site's stands on a
 *   point that it chose before; `point_missing` of `Engine.completePoint`
 */
export async function completePoint(
  { store, engine, clock }: Pick<AppPorts, 'store' | 'engine' | 'clock'>,
  request: CompleteRequest,
): Promise<CompleteAnswer> {
  const { groupId, epoch, pointId, sequence, volumes, place, surpasses } = request;
  const sealedAt = byOwnClock(request, clock.now());
  const known = await store.read(async (tx) => {
    const group = await tx.groups.need(groupId);
    requireEpoch(groupId, group.ownership, epoch);
    await refuseOwnOperation(tx, group);
    return tx.points.get(pointId);
  });
  if (known?.commonAt !== undefined) return { completedAt: known.commonAt };

  await engine.completePoint(groupId, pointId, place);

  return store.transaction(async (tx) => {
    // Since the look above this site may have taken the group, and set aside what came after.
    const group = await tx.groups.need(groupId);
    requireEpoch(groupId, group.ownership, epoch);
    await refuseOwnOperation(tx, group);
    const twin = await tx.points.get(pointId);
    if (twin?.commonAt !== undefined) return { completedAt: twin.commonAt };
    const completedAt = clock.now();
    const point = { id: pointId, groupId, sequence, epoch, sealedAt, volumes };
    await tx.points.insert({ ...point, commonAt: completedAt, expiring: false });
    const session = await sessionOf(tx, groupId);
    if (session !== undefined) {
      const isStandbyPast = surpasses !== undefined && session.sync?.mirrorId === surpasses;
      await tx.sessions.change(session.id, (s) =>
        advance(isStandbyPast ? surpassed(s) : s, 'cycle_completed', completedAt),
      );
    }
    return { completedAt };
  });
}

/**
 * Ends the session here. Does nothing when it has ended. Bytes that a clone or a test shows stay.
 *
 * @throws Refusal `stale_epoch`, `not_holder` when this site took the group, `operation_running`
 *   while an operation of this site's needs the session
 */
export async function endSession(
  { store, engine, here }: Pick<AppPorts, 'store' | 'engine' | 'here'>,
  { groupId, sessionId, epoch, discardCopy }: EndSession,
): Promise<void> {
  const isKnown = await store.transaction(async (tx) => {
    const group = await tx.groups.get(groupId);
    if (group === undefined) return false;
    // A late word about an earlier session says nothing about the one that runs now.
    const session = await sessionOf(tx, groupId);
    if (session !== undefined && session.id !== sessionId) return false;
    const { holder } = group.ownership;
    requireEpoch(groupId, group.ownership, epoch);
    // It was taken by this site: its session is no longer the other's to end.
    if (holder === here) refuse({ code: 'not_holder', groupId, holder, epoch });
    await refuseOwnOperation(tx, group);
    // First the word, then the deed: from now on no failover counts on the standby.
    if (session !== undefined) await tx.sessions.change(session.id, surpassed);
    return true;
  });
  if (!isKnown) return;
  await engine.abandonPoint(groupId);
  await engine.dropStandby(groupId);
  const discard = await store.transaction(async (tx) => {
    const group = await tx.groups.need(groupId);
    requireEpoch(groupId, group.ownership, epoch);
    await refuseOwnOperation(tx, group);
    await tx.sessions.remove(sessionId);
    await tx.groups.change(groupId, (g) => ({ ...g, endedSession: sessionId }));
    await assign(tx, groupId, undefined);
    // What was opened beside it still shows it.
    if ((await tx.copies.where({ groupId })).length > 0) return false;
    // A copy without a complete point is nothing, and would only keep its names taken.
    if (!discardCopy && (await tx.points.where({ groupId })).length > 0) return false;
    await forgetPoints(tx, groupId);
    return true;
  });
  if (!discard) return;
  await engine.deleteGroup(groupId);
  await store.transaction((tx) => forgetGroup(tx, groupId));
}

/**
 * Records that a volume grows. The bytes follow with the next point.
 *
 * @throws Refusal `stale_epoch`, `not_found`
 */
export function resizeCopy(
  { store }: Pick<AppPorts, 'store'>,
  { groupId, epoch, volumeId, sizeBytes }: ResizeRequest,
): Promise<void> {
  return store.transaction(async (tx) => {
    requireEpoch(groupId, (await tx.groups.need(groupId)).ownership, epoch);
    await tx.volumes.change(volumeId, (v) => ({ ...v, sizeBytes }));
  });
}

/** @throws Refusal `not_found` */
export async function describeGroup(
  { store, engine }: Pick<AppPorts, 'store' | 'engine'>,
  groupId: GroupId,
): Promise<GroupDescription> {
  const { hasPresent } = await engine.inspect(groupId);
  return store.read(async (tx) => {
    const { ownership, overtaken } = await tx.groups.need(groupId);
    const points = bySequence(await tx.points.where({ groupId })).filter((p) => !p.expiring);
    const aside = overtaken?.epoch === ownership.epoch ? overtaken.aside : undefined;
    return { ownership, hasPresent, points: points.map((p) => p.id), aside };
  });
}

/**
 * Tells the source what is here, where the two sites have no point in common.
 *
 * @throws Refusal of `Engine.digestRanges`
 */
export function digestRanges(
  { engine }: Pick<AppPorts, 'engine'>,
  request: DigestRanges,
): Promise<RangeDigests> {
  return engine.digestRanges(request);
}

/** @throws Refusal `not_found`, `point_missing` */
export async function hashPoint(
  { store, engine }: Pick<AppPorts, 'store' | 'engine'>,
  { groupId, pointId }: { readonly groupId: GroupId; readonly pointId: PointId },
): Promise<readonly VolumeHash[]> {
  await store.read((tx) => tx.points.need(pointId));
  return engine.hashPoint(groupId, pointId);
}

async function insertCopy(tx: Transaction, offer: GroupOffer): Promise<void> {
  const { groupId: id, name, description, implicit, ownership, hosts, createdAt } = offer;
  if ((await tx.groups.where({ name })).length > 0) {
    refuse({ code: 'already_exists', what: 'group', name });
  }
  await tx.groups.insert({
    id,
    name,
    description,
    implicit,
    volumeIds: [],
    ownership,
    operation: undefined,
    fencedBy: undefined,
    standsOn: undefined,
    hosts,
    policyId: undefined,
    createdAt,
  });
  await keepVolumes(tx, offer);
}

async function renewCopy(
  tx: Transaction,
  own: Group,
  offer: GroupOffer,
  here: SiteId,
): Promise<void> {
  const { groupId, name, description, ownership, hosts } = offer;
  const { epoch, holder } = own.ownership;
  if (epoch !== ownership.epoch || holder === here) {
    refuse({ code: 'stale_epoch', groupId, seenEpoch: ownership.epoch, ownEpoch: epoch });
  }
  const isSame = offer.volumes.every(({ id }) => own.volumeIds.includes(id));
  if (!isSame || offer.volumes.length !== own.volumeIds.length) {
    await refuseWhileTested(tx, groupId);
  }
  if (name !== own.name && (await tx.groups.where({ name })).length > 0) {
    refuse({ code: 'already_exists', what: 'group', name });
  }
  await tx.groups.change(groupId, (g) => ({ ...g, ownership, name, description, hosts }));
  await keepVolumes(tx, offer);
}

/** This site's rows of the group's volumes become the source's. */
async function keepVolumes(tx: Transaction, { groupId, volumes }: GroupOffer): Promise<void> {
  const offered = new Set<VolumeId>(volumes.map((v) => v.id));
  for (const { id } of await tx.volumes.where({ groupId })) {
    if (!offered.has(id)) await tx.volumes.remove(id);
  }
  for (const volume of volumes) {
    if ((await tx.volumes.get(volume.id))?.groupId === groupId) {
      await tx.volumes.change(volume.id, (v) => ({
        ...v,
        ...volume,
        standIn: volume.standIn,
        groupId,
      }));
      continue;
    }
    if ((await tx.volumes.where({ name: volume.name })).length > 0) {
      refuse({ code: 'already_exists', what: 'volume', name: volume.name });
    }
    await tx.volumes.insert({ ...volume, groupId, state: 'ready' });
  }
  await tx.groups.change(groupId, (g) => ({ ...g, volumeIds: volumes.map((v) => v.id) }));
}

/** An operation that runs here counts on its session until it ends; the peer asks again. */
export async function refuseOwnOperation(tx: Transaction, { id, operation }: Group): Promise<void> {
  const own = operation && (await tx.sagas.get(operation));
  if (own) refuse({ code: 'operation_running', groupId: id, sagaId: own.id, kind: own.kind });
}

async function keepSession(
  tx: Transaction,
  from: SiteId,
  { groupId, session: offered }: GroupOffer,
  now: number,
): Promise<ReplicationSession> {
  // Which line is followed is settled when a place is opened.
  const { id, createdAt, line: _, sync, ...settings } = offered;
  const known = await sessionOf(tx, groupId);
  // The source began another one: that the last has ended never reached this site.
  const isEnded = known?.peerId === from && known.id !== id;
  if (isEnded) {
    await refuseOwnOperation(tx, await tx.groups.need(groupId));
    await tx.sessions.remove(known.id);
  }
  const session = isEnded ? undefined : known;
  if (session === undefined) {
    refuseEnded(await tx.groups.need(groupId), id);
    return tx.sessions.insert({
      id,
      groupId,
      peerId: from,
      role: 'destination',
      ...settings,
      bytesPerSecond: settings.bytesPerSecond,
      sync: keptSynchrony(undefined, sync, now),
      state: 'initializing',
      stateSince: now,
      parkedBecause: undefined,
      pause: undefined,
      line: 0,
      cycle: undefined,
      lastCycle: undefined,
      createdAt,
    });
  }
  if (session.peerId !== from) {
    refuse({ code: 'already_protected', groupId, sessionId: session.id });
  }
  // After a handover that did not reverse, this is how the new destination learns of `reprotect`.
  const woken = session.state === 'failed_over' ? advance(session, 'reprotect', now) : session;
  const kept = keptSynchrony(session.sync, sync, now);
  return tx.sessions.change(session.id, () => ({ ...woken, ...settings, sync: kept }));
}

/** What was sent before its source ended it, and arrives after that. */
function refuseEnded({ endedSession }: Group, id: ReplicationSession['id']): void {
  if (endedSession !== id) return;
  refuse({
    code: 'wrong_state',
    what: 'replication_session',
    id,
    state: 'ended by its source',
    event: 'receive',
    allowedIn: ['another session has begun'],
  });
}

/** A standby that is the newest that there is here outlives that the source no longer wants it. */
function keptSynchrony(
  known: Synchrony | undefined,
  offered: GroupOffer['session']['sync'],
  now: number,
): Synchrony | undefined {
  if (offered === undefined) return known?.completeUpTo === undefined ? undefined : known;
  const { stallSeconds } = offered;
  return known
    ? { ...known, stallSeconds }
    : newSynchrony(stallSeconds, 'the source began it', now);
}
