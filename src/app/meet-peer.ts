/**
 * What two sites' heartbeats do to each other's knowledge of the groups they share.
 */
import type { Group } from '../domain/group.ts';
import type { GroupId, Instant, MirrorId, SagaId, SiteId } from '../domain/ids.ts';
import { meet } from '../domain/ownership.ts';
import { Refusal } from '../domain/refusal.ts';
import { afterFailover } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import { holdsAtLoss } from '../domain/synchrony.ts';
import type { Beat, GroupBeat, SyncBeat } from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import { sessionOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';
import { requirePeerOfGroup } from './peer-of-group.ts';
import { hearMirror } from './stand-by.ts';
import { cancelHandover } from './take-group.ts';

type Deps = Pick<AppPorts, 'store' | 'engine' | 'clock' | 'here' | 'log' | 'sagas' | 'gate'>;

/** What this site's own data planes are like, as the supervisor last saw them. */
export type DataPlanes = (
  groupId: GroupBeat['groupId'],
) => DataPlaneSight | Promise<DataPlaneSight>;

export interface DataPlaneSight extends Pick<GroupBeat, 'dataPlane' | 'instance'> {
  /** When its mirror was level at the last look. */
  readonly level?: { readonly mirrorId: MirrorId; readonly at: Instant } | undefined;
}

/**
 * This site's word on every group that it shares with the peer.
 *
 * @param asked groups that the peer named: it hears of those also where this site has ended the
 *   session, so that a holder who was taken over always learns of it
 */
export async function beatFor(
  { store, clock, here }: Pick<Deps, 'store' | 'clock' | 'here'>,
  peerId: SiteId,
  dataPlanes: DataPlanes,
  asked: readonly Pick<GroupBeat, 'groupId'>[] = [],
): Promise<Beat> {
  const groups = await store.read(async (tx) => {
    const sessions = await tx.sessions.where({ peerId });
    const ids = new Set(sessions.map(({ groupId }) => groupId));
    for (const { groupId } of asked) {
      if ((await sessionOf(tx, groupId)) === undefined) ids.add(groupId);
    }
    const rows = await Promise.all([...ids].map((id) => tx.groups.get(id)));
    const known = rows.filter((row) => row !== undefined);
    return known.map((group) => ({ group, session: sessions.find((s) => s.groupId === group.id) }));
  });
  const beats = groups.map(async ({ group, session }): Promise<GroupBeat> => {
    const { id: groupId, ownership, operation } = group;
    const { level, ...sight } = await dataPlanes(groupId);
    const sync = session && syncBeat(session, level);
    return { groupId, ownership, operation, ...sight, sync };
  });
  return { siteId: here, at: clock.now(), groups: await Promise.all(beats) };
}

function syncBeat(
  { role, sync }: ReplicationSession,
  level: DataPlaneSight['level'],
): SyncBeat | undefined {
  if (sync?.mirrorId === undefined) return undefined;
  const { mirrorId, completeUpTo } = sync;
  const condition = sync.condition.state;
  if (role === 'destination') return { mirrorId, completeUpTo, condition };
  const levelAt = level?.mirrorId === mirrorId ? level.at : undefined;
  return { mirrorId, completeUpTo: levelAt, condition, holds: holdsAtLoss(sync) };
}

/**
 * Sends this site's word to a peer and acts on the answer.
 *
 * @throws Refusal `peer_unreachable`
 */
export async function exchangeBeats(
  ports: Deps & Pick<AppPorts, 'peer'>,
  peerId: SiteId,
  dataPlanes: DataPlanes,
): Promise<Beat> {
  const ours = await beatFor(ports, peerId, dataPlanes);
  const theirs = await ports.peer.heartbeat(peerId, ours);
  await meetPeer(ports, theirs);
  for (const group of theirs.groups) await dropForgottenLock(ports, ours, group);
  return theirs;
}

/** Acts on a peer's word about the groups that it shares with this site: a higher epoch wins. */
export async function meetPeer(ports: Deps, beat: Beat): Promise<void> {
  for (const theirs of beat.groups) {
    if (await isShared(ports, beat.siteId, theirs.groupId)) await meetGroup(ports, theirs);
  }
}

async function isShared(
  { store, log }: Pick<Deps, 'store' | 'log'>,
  from: SiteId,
  groupId: GroupId,
): Promise<boolean> {
  try {
    await requirePeerOfGroup({ store }, from, groupId);
    return true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    log.warn({ event: 'heartbeat_of_stranger', groupId, from, why: error.message });
    return false;
  }
}

async function meetGroup(ports: Deps, theirs: GroupBeat): Promise<void> {
  const { store, engine, here, log, gate } = ports;
  const { groupId } = theirs;
  const own = await store.read((tx) => tx.groups.get(groupId));
  if (own === undefined) return;
  const meeting = meet(own.ownership, theirs.ownership, here);
  if (meeting === 'they_are_behind') return;
  if (meeting === 'same') {
    await hearAcknowledgement(ports, own, theirs);
    return hearMirror(ports, theirs);
  }
  // Given to this site: the giver's `take` brings the point to stand on.
  if (theirs.ownership.holder === here) return;
  // In one go: between the fence and the record nobody may open the group again.
  const overtaken = await gate.through(groupId, async () => {
    if (meeting === 'fence_then_learn') await engine.fence(groupId);
    return store.transaction((tx) => learn(tx, ports, theirs));
  });
  log.warn({ event: 'higher_epoch_met', groupId, from: own.ownership, to: theirs.ownership });
  if (overtaken !== undefined) await endOvertaken(ports, overtaken);
}

/** @returns the operation of this site's that the other's claim has overtaken */
async function learn(
  tx: Transaction,
  { here, clock }: Deps,
  { groupId, ownership }: GroupBeat,
): Promise<SagaId | undefined> {
  const group = await tx.groups.need(groupId);
  if (meet(group.ownership, ownership, here) === 'they_are_behind') return undefined;
  await tx.groups.change(groupId, (g) => ({
    ...g,
    ownership,
    fencedBy: undefined,
    window: undefined,
    overtaken:
      g.ownership.holder === here
        ? { epoch: ownership.epoch, history: g.ownership.history }
        : g.overtaken,
  }));
  const session = await sessionOf(tx, groupId);
  if (session === undefined) return group.operation;
  await tx.sessions.change(session.id, (s) => ({
    ...afterFailover(s, 'destination', clock.now()),
    cycle: s.cycle,
  }));
  return group.operation ?? session.cycle?.sagaId;
}

/** It cannot succeed any more; where it is past its point of no return it finds that out itself. */
async function endOvertaken({ sagas, log }: Deps, sagaId: SagaId): Promise<void> {
  try {
    await sagas.abort(sagaId, 'the other site, which took the group');
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    log.info({ event: 'overtaken_operation_goes_on', sagaId, why: error.message });
  }
}

/** The holder's word on whether its claim was forced, and still stands, is the one that counts. */
async function hearAcknowledgement(
  { store, here }: Deps,
  own: Group,
  { groupId, ownership }: GroupBeat,
): Promise<void> {
  const { forced, provisional = false } = own.ownership;
  const isSame = forced === ownership.forced && provisional === (ownership.provisional ?? false);
  if (ownership.holder === here || isSame) return;
  await store.transaction((tx) =>
    tx.groups.change(groupId, (g) =>
      g.ownership.epoch === ownership.epoch ? { ...g, ownership } : g,
    ),
  );
}

/**
 * A handover locks the destination; when it was undone without a word reaching us, the holder no
 * longer names it. Only a lock that we had before we asked counts: a younger one the answer may
 * not know yet.
 */
async function dropForgottenLock(ports: Deps, ours: Beat, theirs: GroupBeat): Promise<void> {
  const { groupId } = theirs;
  const asked = ours.groups.find((g) => g.groupId === groupId);
  const held = asked?.operation;
  if (asked === undefined || held === undefined || held === theirs.operation) return;
  if (theirs.ownership.epoch !== asked.ownership.epoch) return;
  // A saga of our own knows itself when it is over.
  if ((await ports.store.read((tx) => tx.sagas.get(held))) !== undefined) return;
  await cancelHandover(ports, { groupId, sagaId: held });
}
