import type { GroupId, PointId, SiteId, VolumeId } from '../domain/ids.ts';
import type { ReceivingTarget, SendWatch } from './engine.ts';

/**
 * Where two sites have no point in common any more: the destination tells digests of what it has,
 * and only ranges that differ travel.
 *
 *   destination: receivePoint on its own newest point ─▶ source: sendDifference
 *                digestRanges(that point) ◀── digestsThere ──┘ … completePoint
 */
export interface ComparisonEngine {
  /**
   * Digests of ranges of one volume at a point, comparable between sites and adapters. Ranges that
   * hold nothing cost almost nothing.
   *
   * @throws Refusal `point_missing`
   * @throws Refusal `not_found` — the point has no such volume
   * @throws Refusal `invalid` — a range size or number outside its limits
   */
  digestRanges(request: DigestRanges): Promise<RangeDigests>;

  /**
   * Sends a point to a place that stands on a point which is not here: reads both sites' digests,
   * and writes the ranges that differ. Returns when every byte is there (not yet flushed: that is
   * the destination's `completePoint`). `cancelSend` ends it, `limitSend` changes its limit.
   *
   * Its progress counts what is compared, not what is sent.
   *
   * When the link fails the call throws; a repeat goes on after the ranges that are there, if the
   * target is still the same instance, and else begins again and says so in `restarted`. A repeat
   * after the end returns the first result.
   *
   * @throws Failure `LinkFailure` — the target does not answer, or was cut off
   * @throws Refusal `point_missing`, `invalid` (the range size)
   * @throws Refusal `no_space` — the destination's disk is full; a repeat goes on when there is room
   */
  sendDifference(request: SendDifference, watch: SendWatch): Promise<SentDifference>;
}

export const MIN_RANGE_BYTES = 64 * 1024;
export const MAX_RANGE_BYTES = 16 * 1024 * 1024;
/** What one call may ask for. */
export const MAX_RANGES = 4096;

/** Lower-case hexadecimal SHA-256 of the range's bytes; of one that is all zeros, `zeros`. */
export type RangeDigest = string;
export const ZEROS: RangeDigest = 'zeros';

export interface DigestRanges {
  readonly groupId: GroupId;
  readonly pointId: PointId;
  readonly volumeId: VolumeId;
  /** A multiple of 4096, from `MIN_RANGE_BYTES` to `MAX_RANGE_BYTES`; 1 MiB is a good one. */
  readonly rangeBytes: number;
  readonly firstRange: number;
  /** From 1 to `MAX_RANGES`. The answer is shorter where the volume ends. */
  readonly ranges: number;
}

export interface RangeDigests {
  /** Of the volume at that point. Its last range ends there. */
  readonly sizeBytes: number;
  readonly digests: readonly RangeDigest[];
}

/** The same of the destination, for the point that the place stands on. */
export type DigestsThere = (
  request: Pick<DigestRanges, 'volumeId' | 'rangeBytes' | 'firstRange' | 'ranges'>,
) => Promise<RangeDigests | undefined>;

export interface SendDifference {
  readonly groupId: GroupId;
  readonly pointId: PointId;
  readonly peerId: SiteId;
  readonly target: ReceivingTarget;
  readonly rangeBytes: number;
  readonly bytesPerSecond: number | undefined;
  /** undefined: the point there lacks that volume, which is sent whole. */
  readonly digestsThere: DigestsThere;
}

export interface SentDifference {
  /** Looked at by their digests, over all volumes; with a repeat, of all attempts. */
  readonly comparedBytes: number;
  /** Differed and were written, ranges of zeros included; with a repeat, of all attempts. */
  readonly sentBytes: number;
  /** An earlier attempt's progress was lost and all was compared again. */
  readonly restarted: boolean;
}
