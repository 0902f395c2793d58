import type { Instant } from './ids.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import { newestCommon } from './recovery-point.ts';
import type { CycleReport, ReplicationSession, SessionState } from './replication-session.ts';
import { mayHold, needsCycle, wantsMirror } from './synchrony.ts';

/**
 * A cycle is started this much earlier than its last duration asks for: on a busy machine the next one
 * may take a second longer than the last.
 */
const SAFETY_FACTOR = 1.5;
const SAFETY_MS = 1500;
/** Between the starts of two cycles, however short the RPO and long the cycles. */
export const MIN_CYCLE_INTERVAL_MS = 1000;
/** A parked session is tried again after this long. */
export const PARKED_RETRY_MS = 5000;

/** Somebody waits: until a cycle is complete the group cannot be handed over. */
const atOnce = new Set<SessionState>(['initializing', 'resuming', 'reprotecting']);

/**
 * When the next cycle should start so that the newest complete point at the destination is
 * never older than the RPO: it ages until the *next* one is complete, so the cycle's own
 * duration comes off the interval.
 */
export function nextCycleAt(
  session: ReplicationSession,
  points: readonly RecoveryPoint[],
): Instant {
  if (session.state === 'system_paused') return session.stateSince + PARKED_RETRY_MS;
  if (atOnce.has(session.state)) return session.stateSince;
  const last = newestCommon(points);
  if (last === undefined) return session.createdAt;
  // The mirror waits for it.
  const waits = wantsMirror(session) || session.sync?.isEnding === true;
  if (waits && session.sync?.condition.state !== 'in_sync') {
    if (needsCycle(session, points)) return last.sealedAt + MIN_CYCLE_INTERVAL_MS;
  }
  const reserveMs = (session.lastCycle?.durationMs ?? 0) * SAFETY_FACTOR + SAFETY_MS;
  const intervalMs = Math.max(session.rpoSeconds * 1000 - reserveMs, MIN_CYCLE_INTERVAL_MS);
  return last.sealedAt + intervalMs;
}

/**
 * Whether the next cycle should start. Where it would count from an instant that has not come yet,
 * this site's clock was set back or another site's is ahead, and nobody knows how long ago it was.
 */
export function cycleIsDue(
  session: ReplicationSession,
  points: readonly RecoveryPoint[],
  now: Instant,
): boolean {
  if (mayHold(session)) return false;
  if (now >= nextCycleAt(session, points)) return true;
  if (session.state === 'system_paused') return session.stateSince > now;
  return (newestCommon(points)?.sealedAt ?? session.createdAt) > now;
}

/** How long so many bytes should take: at the limit, or as fast as the last cycle was. */
export function expectedSeconds(
  bytes: number,
  limitBytesPerSecond: number | undefined,
  last: Pick<CycleReport, 'sentBytes' | 'durationMs'> | undefined,
): number | undefined {
  const measured =
    last === undefined || last.sentBytes === 0
      ? undefined
      : (last.sentBytes * 1000) / Math.max(1, last.durationMs);
  const rates = [limitBytesPerSecond, measured].filter((rate) => rate !== undefined);
  return rates.length === 0 ? undefined : Math.ceil(bytes / Math.min(...rates));
}

/** A delta below this many bytes, or a few rounds, and the fence may close. */
export const WARM_ENOUGH_BYTES = 16 * 1024 * 1024;
export const MAX_WARM_UP_CYCLES = 4;

/** Whether another cycle before the fence would still shorten the outage. */
export function warmEnough(cyclesDone: number, lastSentBytes: number | undefined): boolean {
  if (cyclesDone >= MAX_WARM_UP_CYCLES) return true;
  return lastSentBytes !== undefined && lastSentBytes <= WARM_ENOUGH_BYTES;
}
