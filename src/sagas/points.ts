import type { GroupId, PointId } from '../domain/ids.ts';
import { bySequence } from '../domain/recovery-point.ts';
import type { Transaction } from '../ports/store.ts';

/** Forgets the rows of points that came after this one; their bytes are in a fork by now. */
export async function dropPointsAfter(
  tx: Transaction,
  groupId: GroupId,
  pointId: PointId,
): Promise<void> {
  const { sequence } = await tx.points.need(pointId);
  for (const point of await tx.points.where({ groupId })) {
    if (point.sequence > sequence) await tx.points.remove(point.id);
  }
}

/** The newest point of ours that the other site has, too. */
export async function newestSharedPoint(
  tx: Transaction,
  groupId: GroupId,
  theirs: readonly PointId[],
): Promise<PointId | undefined> {
  const shared = new Set(theirs);
  const ours = bySequence(await tx.points.where({ groupId }));
  return ours.findLast((p) => shared.has(p.id) && !p.expiring)?.id;
}
