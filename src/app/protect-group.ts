import { newId } from '../domain/ids.ts';
import type { GroupId, PointId, PolicyId, SagaId, SessionId, SiteId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { newest } from '../domain/recovery-point.ts';
import { refuse } from '../domain/refusal.ts';
import {
  advance,
  DEFAULT_RETAINED_POINTS,
  MAX_RETAINED_POINTS,
  MAX_RPO_SECONDS,
  MIN_RPO_SECONDS,
} from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { Transaction } from '../ports/store.ts';
import { needSession, sessionOf } from '../sagas/offer.ts';
import { lockGroup } from '../sagas/operation.ts';
import { forgetSession, protect, unprotect } from '../sagas/protect.ts';
import { startCycle } from '../sagas/replicate.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { MIN_BYTES_PER_SECOND } from './limit-link.ts';
import { refuseStandIn } from './pair-volumes.ts';
import { checkMode, synchronyOf, withMode } from './session-mode.ts';
import type { ModeSettings } from './session-mode.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

export interface SessionSettings extends ModeSettings {
  readonly rpoSeconds?: number | undefined;
  /** Of the link, for one cycle; `null` lifts the limit. */
  readonly bytesPerSecond?: number | null | undefined;
  readonly retainedPoints?: number | undefined;
}

export interface ProtectGroup extends SessionSettings {
  readonly groupId: GroupId;
  readonly peerId: SiteId;
  readonly rpoSeconds: number;
}

/**
 * Begins replicating a group to a peer; the first cycle copies everything.
 *
 * @throws Refusal `invalid`, `not_found`, `not_holder`, `already_protected`, `operation_running`,
 *   `unsupported` (a synchronous session whose stalls nothing bounds); the saga ends undone when the peer does not answer or has other things of those names
 */
export function protectGroup(
  { store, clock, here, stallBound }: Deps & Pick<AppPorts, 'stallBound'>,
  request: ProtectGroup,
): Promise<Job & { readonly sessionId: SessionId }> {
  checkSettings(request);
  checkMode({ stallBound }, request);
  return store.transaction((tx) => beginProtection(tx, { clock, here }, request));
}

/**
 * The same in the caller's transaction, with settings that have been checked.
 *
 * @param assigning the policy that was assigned just now: it goes again if the saga is undone
 */
export async function beginProtection(
  tx: Transaction,
  { clock, here }: Pick<Deps, 'clock' | 'here'>,
  { groupId, peerId, ...settings }: ProtectGroup,
  assigning?: PolicyId,
): Promise<Job & { readonly sessionId: SessionId }> {
  const group = await tx.groups.need(groupId);
  await tx.peers.need(peerId);
  requireHolder(groupId, group.ownership, here);
  const existing = await sessionOf(tx, groupId);
  if (existing !== undefined) {
    refuse({ code: 'already_protected', groupId, sessionId: existing.id });
  }
  if (group.volumeIds.length === 0) {
    refuse({
      code: 'invalid',
      field: 'group',
      wanted: 'at least one volume in it',
      seen: 'none',
    });
  }
  for (const id of group.volumeIds) await refuseStandIn(tx, id);
  const sagaId = newId<SagaId>();
  const sessionId = newId<SessionId>();
  const now = clock.now();
  await lockGroup(tx, groupId, sagaId);
  await tx.sessions.insert({
    id: sessionId,
    groupId,
    peerId,
    role: 'source',
    rpoSeconds: settings.rpoSeconds,
    bytesPerSecond: settings.bytesPerSecond ?? undefined,
    retainedPoints: settings.retainedPoints ?? DEFAULT_RETAINED_POINTS,
    sync: synchronyOf(settings, now),
    state: 'initializing',
    stateSince: now,
    parkedBecause: undefined,
    pause: undefined,
    line: 1,
    cycle: undefined,
    lastCycle: undefined,
    createdAt: now,
  });
  const input = { sessionId, groupId, peerId, assigning };
  await startSaga(tx, protect, input, { sagaId, groupId, now });
  return { sessionId, jobId: sagaId };
}

/**
 * Changes a session's settings; the destination learns them with the next cycle. Another limit holds
 * at once, also for the cycle that runs.
 *
 * @throws Refusal `invalid`, `not_found`, `not_holder`
 */
export async function changeSession(
  { store, clock, here, stallBound, engine }: Deps & Pick<AppPorts, 'stallBound' | 'engine'>,
  { sessionId, ...settings }: SessionSettings & { readonly sessionId: SessionId },
): Promise<ReplicationSession> {
  checkSettings(settings);
  checkMode({ stallBound }, settings);
  const changed = await store.transaction(async (tx) => {
    const { groupId } = await tx.sessions.need(sessionId);
    requireHolder(groupId, (await tx.groups.need(groupId)).ownership, here);
    const { rpoSeconds, bytesPerSecond, retainedPoints } = settings;
    const newestSequence = newest(await tx.points.where({ groupId }))?.sequence ?? 0;
    const facts = { at: clock.now(), newestSequence };
    return tx.sessions.change(sessionId, (s) => ({
      ...withMode(s, settings, facts),
      rpoSeconds: rpoSeconds ?? s.rpoSeconds,
      bytesPerSecond:
        bytesPerSecond === undefined ? s.bytesPerSecond : (bytesPerSecond ?? undefined),
      retainedPoints: retainedPoints ?? s.retainedPoints,
    }));
  });
  if (settings.bytesPerSecond !== undefined) {
    await engine.limitSend(changed.groupId, changed.bytesPerSecond);
  }
  return changed;
}

export interface EndProtection {
  readonly groupId: GroupId;
  readonly discardCopy: boolean;
  /** Do it although the other site does not answer; at the destination: although it is not asked. */
  readonly force?: boolean | undefined;
}

/** Ends a group's replication in the caller's transaction, as `unprotectGroup` says it. */
export async function endProtection(
  tx: Transaction,
  { clock, here }: Pick<Deps, 'clock' | 'here'>,
  { groupId, discardCopy, force = false }: EndProtection,
): Promise<Job> {
  const { ownership } = await tx.groups.need(groupId);
  const session = await needSession(tx, groupId);
  const isOrphan = force && session.role === 'destination';
  if (!isOrphan) requireHolder(groupId, ownership, here);
  const sagaId = newId<SagaId>();
  const now = clock.now();
  await lockGroup(tx, groupId, sagaId);
  await tx.sessions.change(session.id, (s) => advance(s, 'delete', now));
  const input = { sessionId: session.id, groupId, peerId: session.peerId, discardCopy, force };
  await startSaga(tx, isOrphan ? forgetSession : unprotect, input, { sagaId, groupId, now });
  return { jobId: sagaId };
}

/**
 * Starts a cycle now. While one runs, that one is the answer.
 *
 * @throws Refusal `not_protected`, `not_holder`, `operation_running`, `wrong_state`
 */
export function synchronizeGroup(
  { store, clock, here }: Deps,
  { groupId }: { readonly groupId: GroupId },
): Promise<Job> {
  return store.transaction(async (tx) => {
    const group = await tx.groups.need(groupId);
    const session = await needSession(tx, groupId);
    requireHolder(groupId, group.ownership, here);
    if (session.cycle !== undefined) return { jobId: session.cycle.sagaId };
    const now = clock.now();
    const moved = advance(session, 'sync', now);
    if (group.operation !== undefined) await lockGroup(tx, groupId, newId<SagaId>());
    await tx.sessions.change(session.id, () => moved);
    const cycle = { session: moved, sagaId: newId<SagaId>(), pointId: newId<PointId>(), now };
    return { jobId: await startCycle(tx, cycle) };
  });
}

/** @throws Refusal `invalid` */
export function checkSettings({
  rpoSeconds,
  bytesPerSecond,
  retainedPoints,
}: SessionSettings): void {
  checkWhole('rpoSeconds', rpoSeconds, MIN_RPO_SECONDS, MAX_RPO_SECONDS);
  const most = Number.MAX_SAFE_INTEGER;
  checkWhole('bytesPerSecond', bytesPerSecond ?? undefined, MIN_BYTES_PER_SECOND, most);
  checkWhole('retainedPoints', retainedPoints, 1, MAX_RETAINED_POINTS);
}

function checkWhole(field: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined) return;
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  refuse({
    code: 'invalid',
    field,
    wanted: `a whole number from ${least} to ${most}`,
    seen: String(value),
  });
}
