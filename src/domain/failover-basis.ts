import { newId } from './ids.ts';
import type { Instant, MirrorId, PointId } from './ids.ts';
import { bySequence, newest } from './recovery-point.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import type { ReplicationSession } from './replication-session.ts';

/** What a failover stands on. */
export interface FailoverBasis {
  readonly point: RecoveryPoint;
  /** It becomes the newest point first: a mirror has filled it, and no point has all of it. */
  readonly standby: FilledStandby | undefined;
  /** Everything that was acknowledged at the source until then, by its clock, is in the point. */
  readonly completeUpTo: Instant;
  /**
   * Nothing was acknowledged after that, unless somebody at the source let its hosts go on: both were
   * in sync at its last word, and it holds its hosts when it loses this site.
   */
  readonly nothingAfter: boolean;
}

export interface FilledStandby {
  readonly mirrorId: MirrorId;
  readonly pointId: PointId;
  readonly completeUpTo: Instant;
}

/**
 * The newest that there is here, or the point that was named. A standby counts once the destination
 * has recorded that it is complete, and until a point has all that it has.
 */
export function failoverBasis(
  session: ReplicationSession | undefined,
  all: readonly RecoveryPoint[],
  pointId: PointId | undefined,
): FailoverBasis | undefined {
  const points = usable(all);
  const standby = filledStandby(session);
  const named = points.find((p) => p.id === pointId);
  const top = newest(points);
  if (pointId === undefined && standby !== undefined && top !== undefined) {
    const { pointId: id, completeUpTo: sealedAt } = standby;
    const { sequence } = newest(all) ?? top;
    const point = { ...top, id, sequence: sequence + 1, sealedAt, commonAt: undefined };
    const { condition, holds = false } = session?.sync ?? {};
    const nothingAfter = holds && condition?.state === 'in_sync';
    return { point, standby, completeUpTo: sealedAt, nothingAfter };
  }
  const point = pointId === undefined ? top : named;
  return point && { point, standby, completeUpTo: point.sealedAt, nothingAfter: false };
}

export function usable(points: readonly RecoveryPoint[]): readonly RecoveryPoint[] {
  return bySequence(points).filter((p) => !p.expiring);
}

function filledStandby(session: ReplicationSession | undefined): FilledStandby | undefined {
  const { mirrorId, completeUpTo } = session?.sync ?? {};
  if (session?.role !== 'destination' || mirrorId === undefined || completeUpTo === undefined) {
    return undefined;
  }
  return { mirrorId, completeUpTo, pointId: newId<PointId>() };
}
