import { afterFact } from './data-condition.ts';
import type { ConditionFact, DataCondition } from './data-condition.ts';
import type { Instant, MirrorId } from './ids.ts';
import { newest } from './recovery-point.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import type { ReplicationSession, SessionState } from './replication-session.ts';

/**
 * What makes a session synchronous. Beside its cycles a *mirror* carries each write of the source's
 * hosts to a *standby* at the destination before the host is answered.
 */
export interface Synchrony {
  /** Hosts wait for the destination no longer than this before they go on alone. */
  readonly stallSeconds: number;
  /** What hosts do then; absent: they go on. */
  readonly onLoss?: OnLoss | undefined;
  /** Somebody let hosts go on, or parted the sites on purpose: until in sync again nothing is held. */
  readonly released?: boolean | undefined;
  /** Its mirror was begun with other terms, or was to hold hosts that are released: another is to come. */
  readonly isStale?: boolean | undefined;
  /** As the source sees it, and as it last told the destination. */
  readonly condition: DataCondition;
  /** The mirror that runs, is being begun, or was lost last. */
  readonly mirrorId: MirrorId | undefined;
  /**
   * The source's instant up to which the standby has everything that was acknowledged, as far as
   * the destination has recorded it. Absent: there is no such standby.
   */
  readonly completeUpTo: Instant | undefined;
  /** At the destination: the source said with its last word that it would hold its hosts at a loss. */
  readonly holds?: boolean | undefined;
  /**
   * At the source, once the mirror was lost: the sequence of its newest point then. Only a later
   * point has all that the standby has, so only that may take its place.
   */
  readonly lostAfter: number | undefined;
  /**
   * At the source, since it was parted from a destination it had been in sync with: the sequence of
   * its newest point then. What was written later is compared before it is in sync again.
   */
  readonly unproven: number | undefined;
  /** The mirror under which that was compared, and found or made equal. */
  readonly provenBy?: MirrorId | undefined;
  /** It becomes asynchronous once a point has all that the standby has. */
  readonly isEnding: boolean;
}

/**
 * `continue`: after the bound hosts go on alone. `hold`: they wait until both sites have their writes
 * again, or until somebody releases them.
 */
export type OnLoss = 'continue' | 'hold';

export const MIN_STALL_SECONDS = 1;
export const MAX_STALL_SECONDS = 10;
export const DEFAULT_STALL_SECONDS = 3;

/** Between two mirrors, so that a link that comes and goes does not make a storm of them. */
export const MIRROR_REST_MS = 1000;

export function newSynchrony(stallSeconds: number, why: string, at: Instant): Synchrony {
  return {
    stallSeconds,
    condition: { state: 'catching_up', since: at, why },
    mirrorId: undefined,
    completeUpTo: undefined,
    lostAfter: undefined,
    unproven: undefined,
    isEnding: false,
  };
}

/** States in which the source keeps a mirror. */
const mirrored = new Set<SessionState>(['ok', 'synchronizing', 'system_paused', 'handing_over']);

/** Whether this source should have a mirror now. */
export function wantsMirror(session: ReplicationSession): boolean {
  return (
    session.sync?.isEnding === false && session.role === 'source' && mirrored.has(session.state)
  );
}

/**
 * Whether hosts stay outside: a mirror that was to hold them is gone, with the process that held
 * them, and what they wrote now would be here alone.
 */
export function isHeldBack(session: ReplicationSession): boolean {
  const { sync } = session;
  if (sync?.onLoss !== 'hold' || sync.released === true) return false;
  return sync.unproven !== undefined && wantsMirror(session);
}

/** Whether its hosts may be waiting in their data plane for the mirror: then that seals nothing. */
export function mayHold({ sync }: Pick<ReplicationSession, 'sync'>): boolean {
  if (sync?.onLoss !== 'hold' || sync.released === true || sync.mirrorId === undefined)
    return false;
  return sync.unproven === undefined && sync.condition.state === 'fractured';
}

/** Whether its hosts wait if the mirror that runs is lost now, and not only the next one. */
export function holdsAtLoss({ onLoss, released, isStale }: Synchrony): boolean {
  return onLoss === 'hold' && released !== true && isStale !== true;
}

/** What the source finds of its mirror. */
export type MirrorState = 'copying' | 'level' | 'failed' | 'absent';

/** What it should do about it. */
export type MirrorStep = 'go_on' | 'begin' | 'cycle_first' | 'rest' | 'end' | 'none';

/**
 * A mirror begins on the newest point, once both sites have it, and copies only what was written
 * since. After a loss that point must have been sealed later than the loss.
 */
export function mirrorStep(
  session: ReplicationSession,
  points: readonly RecoveryPoint[],
  mirror: MirrorState,
  now: Instant,
): MirrorStep {
  const { sync } = session;
  if (sync === undefined || !wantsMirror(session)) return mirror === 'absent' ? 'none' : 'end';
  if (mirror === 'copying' || mirror === 'level') return sync.isStale === true ? 'end' : 'go_on';
  if (needsCycle(session, points)) return 'cycle_first';
  const sinceMs = now - sync.condition.since;
  // Before zero the clock was set back meanwhile.
  const rests = sync.lostAfter !== undefined && sinceMs >= 0 && sinceMs < MIRROR_REST_MS;
  return rests ? 'rest' : 'begin';
}

/** Whether a mirror cannot begin until another point is at both sites. */
export function needsCycle(
  { sync }: ReplicationSession,
  points: readonly RecoveryPoint[],
): boolean {
  if (sync === undefined) return false;
  const last = newest(points);
  if (last?.commonAt === undefined || last.expiring) return true;
  return last.sequence <= (sync.lostAfter ?? 0);
}

/** The session after a fact about its mirror. An asynchronous one stays as it is. */
export function withFact(
  session: ReplicationSession,
  fact: ConditionFact,
  { why, at, newestSequence }: { why: string; at: Instant; newestSequence: number },
): ReplicationSession {
  const { sync } = session;
  if (sync === undefined) return session;
  const condition = afterFact(sync.condition, fact, why, at);
  const lostAfter =
    fact === 'levelled' || fact === 'begun' ? undefined : (sync.lostAfter ?? newestSequence);
  const isParted = fact === 'broken' || fact === 'ended';
  const wasInSync = sync.condition.state !== 'catching_up';
  const isOneAgain = fact === 'levelled' && isCompared(sync);
  const since = sync.unproven ?? (isParted && wasInSync ? newestSequence : undefined);
  const unproven = isOneAgain ? undefined : since;
  // One with other terms does not hold, however level it is.
  const holdsAgain = fact === 'levelled' && sync.isStale !== true;
  const released = fact === 'ended' ? true : holdsAgain ? undefined : sync.released;
  const provenBy = isOneAgain ? undefined : sync.provenBy;
  const after = { ...sync, condition, lostAfter, unproven, provenBy, released };
  const isSame =
    condition === sync.condition &&
    lostAfter === sync.lostAfter &&
    unproven === sync.unproven &&
    released === sync.released;
  return isSame ? session : { ...session, sync: after };
}

/**
 * The session once what was written since it was parted is known to be the same at both sites, and
 * this mirror keeps it so. Hosts that are held back come in when it is in sync, not before.
 */
export function proven(session: ReplicationSession, mirrorId: MirrorId): ReplicationSession {
  const { sync } = session;
  if (sync?.mirrorId !== mirrorId || isCompared(sync)) return session;
  return { ...session, sync: { ...sync, provenBy: mirrorId } };
}

/** Whether nothing is left to compare before the mirror that runs may be called in sync. */
export function isCompared({ unproven, provenBy, mirrorId }: Synchrony): boolean {
  return unproven === undefined || (mirrorId !== undefined && provenBy === mirrorId);
}

/** The session whose mirror, if there is one, is to be ended whether it answers or not. */
export function withStaleMirror(session: ReplicationSession): ReplicationSession {
  const { sync } = session;
  return sync?.mirrorId === undefined ? session : { ...session, sync: { ...sync, isStale: true } };
}

/** The point after which everything is to be compared; undefined: there is none that old any more. */
export function provenPoint(
  { unproven }: Pick<Synchrony, 'unproven'>,
  points: readonly RecoveryPoint[],
): RecoveryPoint | undefined {
  return newest(points.filter(({ sequence }) => sequence <= (unproven ?? 0)));
}

/** The session once the holder has changed, or its standby has become a point: all begins anew. */
export function withoutMirror<T extends Pick<ReplicationSession, 'sync'>>(
  session: T,
  why: string,
  at: Instant,
): T {
  const { sync } = session;
  if (sync === undefined) return session;
  const { stallSeconds, onLoss } = sync;
  const anew = { ...newSynchrony(stallSeconds, why, at), onLoss };
  return { ...session, sync: sync.isEnding ? undefined : anew };
}

/** The session once a point took the standby's place: another mirror may begin. */
export function surpassed(session: ReplicationSession): ReplicationSession {
  const { sync } = session;
  if (sync === undefined) return session;
  const after = { ...sync, mirrorId: undefined, completeUpTo: undefined, holds: undefined };
  return { ...session, sync: sync.isEnding ? undefined : after };
}

/** The mirror whose standby has nothing that this point lacks, if it was lost before that was sealed. */
export function surpasses(
  { sync }: ReplicationSession,
  { sequence }: Pick<RecoveryPoint, 'sequence'>,
): MirrorId | undefined {
  if (sync?.lostAfter === undefined || sequence <= sync.lostAfter) return undefined;
  return sync.mirrorId;
}

/**
 * The session whose mirror was counted as lost and is found level when a point is at both sites: it
 * goes on, and whatever ends it from now on comes after that point. Another mirror's is left alone.
 */
export function goesOn(
  session: ReplicationSession,
  mirrorId: MirrorId,
  { sequence }: Pick<RecoveryPoint, 'sequence'>,
): ReplicationSession {
  const { sync } = session;
  if (sync?.mirrorId !== mirrorId || sync.lostAfter === undefined) return session;
  return { ...session, sync: { ...sync, lostAfter: Math.max(sync.lostAfter, sequence) } };
}
