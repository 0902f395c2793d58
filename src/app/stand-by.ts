/** The destination's half of a mirror: where the source's writes arrive, and what becomes of it. */
import type { GroupId, Instant, SiteId } from '../domain/ids.ts';
import { byOwnClock } from '../domain/own-clock.ts';
import { requireEpoch } from '../domain/ownership.ts';
import { newest } from '../domain/recovery-point.ts';
import { refuse } from '../domain/refusal.ts';
import { isPaused } from '../domain/replication-session.ts';
import { withoutMirror } from '../domain/synchrony.ts';
import type { Synchrony } from '../domain/synchrony.ts';
import type { ReceivingTarget } from '../ports/engine.ts';
import type {
  CompleteAnswer,
  GroupBeat,
  KeepStandby,
  StandbyRequest,
  SyncBeat,
} from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import { needSession, sessionOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';
import { acceptOffer, ownOperationEnded, refuseOwnOperation } from './receive-for-peer.ts';

/** So often it is written down how far the standby is complete; what is known never is too much. */
const RECORD_STEP_MS = 1000;

/**
 * Opens a standby for a mirror of the peer's. The one before is given up, unless it is the newest
 * that this site has: then only a point that has all of it may take its place.
 *
 * @throws Refusal of `acceptOffer`, of `Engine.openStandby`; `busy`; `operation_running`
 */
export async function openStandby(
  ports: Pick<AppPorts, 'store' | 'clock' | 'here' | 'engine' | 'sagas'>,
  from: SiteId,
  { offer, mirrorId, basePointId, volumes }: StandbyRequest,
): Promise<ReceivingTarget> {
  const { store, engine } = ports;
  const { groupId } = offer;
  await acceptOffer(ports, from, offer);
  await ownOperationEnded(ports, groupId);
  await store.transaction((tx) => turnTo(tx, groupId, { mirrorId, basePointId }));
  return engine.openStandby({ groupId, mirrorId, basePointId, peerId: from, volumes });
}

async function turnTo(
  tx: Transaction,
  groupId: GroupId,
  { mirrorId, basePointId }: Pick<StandbyRequest, 'mirrorId' | 'basePointId'>,
): Promise<void> {
  await refuseOwnOperation(tx, await tx.groups.need(groupId));
  const session = await needSession(tx, groupId);
  const { sync } = session;
  if (sync === undefined || isPaused(session)) {
    refuse({ code: 'busy', groupId, doing: 'nothing that a mirror could fill' });
  }
  if (sync.mirrorId === mirrorId) return;
  if (sync.completeUpTo !== undefined) {
    refuse({ code: 'busy', groupId, doing: 'keeping a standby with writes that no point has yet' });
  }
  // A late word about a mirror that is gone: the one after it began on a newer point.
  if (newest(await tx.points.where({ groupId }))?.id !== basePointId) {
    refuse({ code: 'busy', groupId, doing: 'keeping a point that is newer than the mirror' });
  }
  await tx.sessions.change(session.id, (s) => ({ ...s, sync: { ...sync, mirrorId } }));
}

/**
 * Makes the standby the point that the source sealed behind its fence: first the bytes, then the
 * row. A repeat changes nothing.
 *
 * @throws Refusal `stale_epoch`, `point_missing`, `operation_running`
 */
export async function keepStandby(
  { store, engine, clock }: Pick<AppPorts, 'store' | 'engine' | 'clock'>,
  { mirrorId, toldAt, ...point }: KeepStandby,
): Promise<CompleteAnswer> {
  const sealedAt = byOwnClock({ ...point, toldAt }, clock.now());
  const { groupId, epoch, pointId } = point;
  const check = async (tx: Transaction): Promise<number | undefined> => {
    const group = await tx.groups.need(groupId);
    requireEpoch(groupId, group.ownership, epoch);
    await refuseOwnOperation(tx, group);
    return (await tx.points.get(pointId))?.commonAt;
  };
  const known = await store.read(check);
  if (known !== undefined) return { completedAt: known };

  await engine.keepStandby(groupId, mirrorId, pointId);

  return store.transaction(async (tx) => {
    const twin = await check(tx);
    if (twin !== undefined) return { completedAt: twin };
    const completedAt = clock.now();
    const { pointId: id, ...facts } = point;
    await tx.points.insert({ id, ...facts, sealedAt, commonAt: completedAt, expiring: false });
    const session = await needSession(tx, groupId);
    await tx.sessions.change(session.id, (s) =>
      withoutMirror(s, 'its standby became a point', completedAt),
    );
    return { completedAt };
  });
}

/** The source's word on its mirror. A late one says nothing new, one of another mirror nothing. */
export async function hearMirror(
  { store, clock, here }: Pick<AppPorts, 'store' | 'clock' | 'here'>,
  { groupId, ownership, sync: theirs }: GroupBeat,
): Promise<void> {
  if (theirs === undefined || ownership.holder === here) return;
  const isNews = await store.read((tx) => tells(tx, groupId, theirs));
  if (!isNews) return;
  await store.transaction(async (tx) => {
    const session = await sessionOf(tx, groupId);
    const { epoch } = (await tx.groups.need(groupId)).ownership;
    if (session === undefined || epoch !== ownership.epoch) return;
    if (!(await tells(tx, groupId, theirs))) return;
    await tx.sessions.change(session.id, (s) => ({
      ...s,
      sync: s.sync && heard(s.sync, theirs, clock.now()),
    }));
  });
}

async function tells(tx: Transaction, groupId: GroupId, theirs: SyncBeat): Promise<boolean> {
  const session = await sessionOf(tx, groupId);
  const { sync } = session ?? {};
  if (session?.role !== 'destination' || sync?.mirrorId !== theirs.mirrorId) return false;
  const furtherMs = (theirs.completeUpTo ?? 0) - (sync.completeUpTo ?? 0);
  const isChanged =
    sync.condition.state !== theirs.condition || (sync.holds ?? false) !== (theirs.holds ?? false);
  return isChanged || furtherMs >= RECORD_STEP_MS;
}

function heard(
  sync: Synchrony,
  { completeUpTo, condition: state, holds }: SyncBeat,
  now: Instant,
): Synchrony {
  const isSame = sync.condition.state === state;
  const condition = isSame ? sync.condition : { state, since: now, why: 'the source says so' };
  const upTo = Math.max(sync.completeUpTo ?? 0, completeUpTo ?? 0);
  return { ...sync, condition, completeUpTo: upTo > 0 ? upTo : undefined, holds };
}
