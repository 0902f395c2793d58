/** The source's half of a mirror: begins it where it should be, and ends it where it should not. */
import { newId } from '../domain/ids.ts';
import type { MirrorId } from '../domain/ids.ts';
import { reconnectSeconds } from '../domain/mirror-sight.ts';
import type { Judgement } from '../domain/mirror-sight.ts';
import { Failure, Refusal } from '../domain/refusal.ts';
import { newest } from '../domain/recovery-point.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import { mirrorStep, proven, provenPoint, withFact } from '../domain/synchrony.ts';
import type { MirrorState } from '../domain/synchrony.ts';
import { LinkFailure } from '../ports/engine.ts';
import type { Transaction } from '../ports/store.ts';
import { offerOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'engine' | 'peer' | 'clock' | 'log' | 'here'>;

/** Writes down what a look at the mirror says; one that changes nothing leaves no trace. */
export async function noteFact(
  { store, clock, log }: Pick<Deps, 'store' | 'clock' | 'log'>,
  { id, groupId, sync: before }: ReplicationSession,
  { fact, why }: Judgement,
): Promise<void> {
  const after = await store.transaction(async (tx) => {
    // Another mirror, or none: then the look was at something else.
    const known = await tx.sessions.get(id);
    if (known === undefined || known.sync?.mirrorId !== before?.mirrorId) return undefined;
    return changeFact(tx, known, { fact, why }, clock.now());
  });
  const [fromState, toState] = [before?.condition.state, after?.sync?.condition.state];
  if (toState === undefined || fromState === toState) return;
  log.warn({ event: 'data_condition_changed', groupId, fromState, toState, why });
}

async function changeFact(
  tx: Transaction,
  { id, groupId }: ReplicationSession,
  { fact, why }: Judgement,
  at: number,
): Promise<ReplicationSession> {
  const newestSequence = newest(await tx.points.where({ groupId }))?.sequence ?? 0;
  return tx.sessions.change(id, (s) => withFact(s, fact, { why, at, newestSequence }));
}

/** Does what should be done about a session's mirror now. Does nothing while an operation runs. */
export async function keepMirror(
  ports: Deps,
  session: ReplicationSession,
  mirror: MirrorState,
): Promise<void> {
  const { store, engine, clock, here } = ports;
  const { groupId } = session;
  const seen = await store.read(async (tx) => ({
    group: await tx.groups.get(groupId),
    link: await tx.links.get(session.peerId),
    points: await tx.points.where({ groupId }),
    mirrorId: (await tx.sessions.get(session.id))?.sync?.mirrorId,
  }));
  if (seen.group === undefined || seen.group.operation !== undefined) return;
  // Begun since the look, which says nothing of it.
  if (seen.mirrorId !== session.sync?.mirrorId) return;
  const step = mirrorStep(session, seen.points, mirror, clock.now());
  if (step === 'end') {
    // First the word, then the deed: from then on hosts' writes are here alone.
    const isStale = session.sync?.isStale === true;
    const why = isStale ? 'another mirror with other terms' : `the session is ${session.state}`;
    await noteFact(ports, session, { fact: 'ended', why });
    return engine.stopMirror(groupId);
  }
  if (mirror === 'failed') return engine.stopMirror(groupId);
  if (step !== 'begin' || session.cycle !== undefined || seen.link?.state === 'down') return;
  const base = newest(seen.points);
  if (base === undefined || seen.group.ownership.holder !== here) return;
  await beginMirror(ports, session, base);
}

/**
 * Compares what was written since the two sites were parted; only then may they be in sync again.
 * Where they differ the mirror is ended, and everything since then is compared once more with the next.
 */
export async function proveMirror(
  ports: Deps,
  session: ReplicationSession,
  signal: AbortSignal,
): Promise<void> {
  const { store, engine, log } = ports;
  const { groupId, peerId, sync } = session;
  if (sync?.mirrorId === undefined) return;
  const { mirrorId } = sync;
  const points = await store.read((tx) => tx.points.where({ groupId }));
  const afterPointId = provenPoint(sync, points)?.id;
  const request = { groupId, mirrorId, peerId, afterPointId };
  const watch = { signal, onProgress: () => undefined };
  try {
    const { comparedBytes, differing } = await engine.compareMirror(request, watch);
    const [first] = differing;
    if (first === undefined) {
      await store.transaction((tx) => tx.sessions.change(session.id, (s) => proven(s, mirrorId)));
      log.info({ event: 'mirror_compared', groupId, mirrorId, comparedBytes });
      return;
    }
    log.error({ event: 'mirror_differs', groupId, mirrorId, comparedBytes, differing });
    const why = `volume ${first.volumeId} differs at byte ${first.offset}`;
    await noteFact(ports, session, { fact: 'broken', why });
    await engine.stopMirror(groupId);
  } catch (error) {
    if (signal.aborted) return;
    if (!isOfTheWorld(error)) throw error;
    log.warn({ event: 'mirror_not_compared', groupId, mirrorId, why: error.message });
  }
}

function isOfTheWorld(error: unknown): error is Error {
  return [Refusal, Failure, LinkFailure].some((kind) => error instanceof kind);
}

/** One that does not come to be counts as lost, as its standby may hold something by now. */
async function beginMirror(
  ports: Deps,
  session: ReplicationSession,
  base: RecoveryPoint,
): Promise<void> {
  const { store, engine, peer, log } = ports;
  const { groupId, peerId } = session;
  const mirrorId = newId<MirrorId>();
  const begun = await store.transaction((tx) => recordBegin(tx, ports, session, mirrorId));
  if (begun?.sync === undefined) return;
  try {
    const offer = await store.read((tx) => offerOf(tx, begun));
    const basePointId = base.id;
    const { volumes } = base;
    const target = await peer.openStandby(peerId, { offer, mirrorId, basePointId, volumes });
    const reconnect = { reconnectSeconds: reconnectSeconds(begun.sync) };
    await engine.startMirror({ groupId, mirrorId, basePointId, peerId, target, ...reconnect });
  } catch (error) {
    if (!isOfTheWorld(error)) throw error;
    log.warn({ event: 'mirror_not_begun', groupId, mirrorId, why: error.message });
    await noteFact(ports, begun, { fact: 'broken', why: error.message });
  }
}

async function recordBegin(
  tx: Transaction,
  { clock, here }: Pick<Deps, 'clock' | 'here'>,
  { id, groupId, sync: seen }: ReplicationSession,
  mirrorId: MirrorId,
): Promise<ReplicationSession | undefined> {
  const known = await tx.sessions.get(id);
  const { operation, ownership } = await tx.groups.need(groupId);
  // Decided on what was seen before; where that has changed the next look decides again.
  const isSame = known?.sync?.mirrorId === seen?.mirrorId && known?.cycle === undefined;
  if (known === undefined || !isSame || operation !== undefined || ownership.holder !== here) {
    return undefined;
  }
  const why = 'a mirror has begun';
  await changeFact(tx, known, { fact: 'begun', why }, clock.now());
  return tx.sessions.change(id, (s) => ({
    ...s,
    sync: s.sync && { ...s.sync, mirrorId, isStale: undefined },
  }));
}
