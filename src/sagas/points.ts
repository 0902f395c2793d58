import type { GroupId, PointId, VolumeId } from '../domain/ids.ts';
import { bySequence, newest } from '../domain/recovery-point.ts';
import type { Transaction } from '../ports/store.ts';

/**
 * Forgets the rows of points that came after this one; their bytes are in a fork by now. Their
 * numbers stay used: the other site may have them yet, and goes by numbers which point is newest.
 */
export async function dropPointsAfter(
  tx: Transaction,
  groupId: GroupId,
  pointId: PointId,
): Promise<void> {
  const { sequence } = await tx.points.need(pointId);
  const highestSequence = (await nextSequence(tx, groupId)) - 1;
  await tx.groups.change(groupId, (g) => ({ ...g, highestSequence }));
  for (const point of await tx.points.where({ groupId })) {
    if (point.sequence > sequence) await tx.points.remove(point.id);
  }
}

/** The number of the group's next point: above that of every point that it has or had here. */
export async function nextSequence(tx: Transaction, groupId: GroupId): Promise<number> {
  const { highestSequence = 0 } = await tx.groups.need(groupId);
  const top = newest(await tx.points.where({ groupId }))?.sequence ?? 0;
  return Math.max(highestSequence, top) + 1;
}

/**
 * A volume has left the group with its bytes, those of its points included. A point that is yet to
 * be sent goes without it: nothing here could be sent for its part of that instant.
 */
export async function leavePoints(
  tx: Transaction,
  groupId: GroupId,
  volumeId: VolumeId,
): Promise<void> {
  for (const { id } of await tx.points.where({ groupId })) {
    await tx.points.change(id, (p) => ({
      ...p,
      volumes: p.volumes.filter((v) => v.volumeId !== volumeId),
    }));
  }
}

/**
 * The points here are of a history that the other site has nothing of: whatever comes from there is
 * newer, so theirs are numbered below it, the newest zero.
 */
export async function leaveLine(tx: Transaction, groupId: GroupId): Promise<void> {
  const points = bySequence(await tx.points.where({ groupId }));
  for (const [index, { id }] of points.entries()) {
    const sequence = index + 1 - points.length;
    await tx.points.change(id, (p) => ({ ...p, sequence, commonAt: undefined }));
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
