import type { RecoveryPoint } from './recovery-point.ts';
import { bySequence, newestCommon } from './recovery-point.ts';
import { MAX_RETAINED_POINTS } from './replication-session.ts';
import type { ReplicationSession } from './replication-session.ts';

/**
 * Merging costs the more the oftener it is done, because blocks that hosts rewrite are moved each
 * time; so points go in batches. With the retained ones this keeps a volume under 16 layers.
 */
export const BATCH_POINTS = 5;
const MAX_POINTS = MAX_RETAINED_POINTS + BATCH_POINTS;
/** As many as the points kept by plan have; what is more waits to be merged. */
export const LONG_CHAIN_LAYERS = MAX_POINTS;

/**
 * Which points a site may let go of, oldest first; none until a batch is full.
 *
 * The newest common point is what the next delta and every return stand on: it and everything
 * newer stays, and so do the session's newest few below it. Both sites keep the same ones, so that
 * after a failover to any of them the way back is a delta.
 */
export function expendable(
  session: ReplicationSession,
  points: readonly RecoveryPoint[],
): readonly RecoveryPoint[] {
  const past = pastPoints(session, points);
  const begun = past.some((p) => p.expiring);
  return begun || past.length >= BATCH_POINTS ? past : [];
}

/**
 * Which points must go before another one comes, oldest first. The source merges between cycles;
 * where they leave no time in between, the next cycle waits for it, or chains grew without end.
 */
export function overdue(
  session: ReplicationSession,
  points: readonly RecoveryPoint[],
): readonly RecoveryPoint[] {
  const past = pastPoints(session, points);
  // What is expiring already and still here is kept by a fork.
  const isLate = points.length >= MAX_POINTS && past.some((p) => !p.expiring);
  return isLate ? past : [];
}

function pastPoints(
  { retainedPoints }: ReplicationSession,
  points: readonly RecoveryPoint[],
): readonly RecoveryPoint[] {
  const common = newestCommon(points);
  if (common === undefined) return [];
  const upToCommon = bySequence(points).filter((p) => p.sequence <= common.sequence);
  return upToCommon.slice(0, Math.max(0, upToCommon.length - retainedPoints));
}
