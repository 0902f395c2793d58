import type { HistoryId, PointId } from './ids.ts';

/**
 * One unbroken line of writes: whatever was acknowledged to a host is still there, or was sealed and
 * moved. A handover carries it on; a failover that may have lost writes begins another. A host that
 * has seen one may go on only with the same one: what it remembers would else not be what is on disk.
 */
export interface History {
  readonly id: HistoryId;
  /** The point that it began on; absent where it began with nothing written. */
  readonly pointId?: PointId;
}

/**
 * The name under which a volume is open to a host that follows it. Whoever connects again under this
 * name can only meet the history that it knows, even if nobody told it of another.
 *
 * @returns a name that no volume can have: `orders@0d9f…`
 */
export function followedName(volumeName: string, history: HistoryId): string {
  return `${volumeName}@${history}`;
}
