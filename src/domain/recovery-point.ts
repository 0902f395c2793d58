import type { GroupId, Instant, PointId, VolumeId } from './ids.ts';
import type { Remarks } from './remarks.ts';

/**
 * One instant over all volumes of a group, named by one id at every site that has it.
 * A row exists at the source when the point is sealed, at the destination when it is complete.
 */
export interface RecoveryPoint {
  readonly id: PointId;
  readonly groupId: GroupId;
  /**
   * Grows by one with each point of the group, across changes of holder. Zero or less: of a history
   * that the other site has nothing of.
   */
  readonly sequence: number;
  readonly epoch: number;
  readonly sealedAt: Instant;
  readonly volumes: readonly PointVolume[];
  /** When the other site, too, had it complete. Absent: this site alone has it. */
  readonly commonAt: Instant | undefined;
  /** On its way out: it can no longer be chosen, its bytes may be merged away. */
  readonly expiring: boolean;
  readonly remarks?: Remarks | undefined;
}

export interface PointVolume {
  readonly volumeId: VolumeId;
  readonly name: string;
  readonly sizeBytes: number;
}

export function newest(points: readonly RecoveryPoint[]): RecoveryPoint | undefined {
  return bySequence(points).at(-1);
}

export function newestCommon(points: readonly RecoveryPoint[]): RecoveryPoint | undefined {
  return newest(points.filter((p) => p.commonAt !== undefined && !p.expiring));
}

/**
 * The sealed point that is sent before a new one is sealed: the oldest that the other site does not
 * have yet. Where nothing is common the older ones would only be copied to be left behind, and those
 * of another history stay where they are.
 */
export function nextUnsent(points: readonly RecoveryPoint[]): RecoveryPoint | undefined {
  const common = newestCommon(points);
  if (common === undefined) return newest(points.filter(({ sequence }) => sequence > 0));
  return bySequence(points).find((p) => p.sequence > common.sequence);
}

/**
 * How old it is, in whole seconds, rounded up: what a failover to it would lose is never told smaller
 * than it is. A point from a clock that is ahead is new.
 */
export function ageSeconds({ sealedAt }: Pick<RecoveryPoint, 'sealedAt'>, now: Instant): number {
  return Math.max(0, Math.ceil((now - sealedAt) / 1000));
}

/** Oldest first. */
export function bySequence(points: readonly RecoveryPoint[]): readonly RecoveryPoint[] {
  return points.toSorted((a, b) => a.sequence - b.sequence);
}
