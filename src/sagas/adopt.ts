import type { CopyId, ForkId, GroupId, Instant, PointId } from '../domain/ids.ts';
import type { AdoptedFork } from '../ports/engine-copies.ts';
import type { Transaction } from '../ports/store.ts';
import { dropPointsAfter, nextSequence } from './points.ts';
import type { SagaPorts } from './saga.ts';

/** A fork that is to be the present: one that is here, or what a copy has written. */
export interface Adoption {
  readonly forkId: ForkId;
  /** Kept as that fork first. */
  readonly copyId: CopyId | undefined;
}

/** Makes it the present; what stood above the point that it stands on becomes `asideForkId`. */
export async function adopt(
  { engine, store }: Pick<SagaPorts, 'engine' | 'store'>,
  groupId: GroupId,
  { forkId }: Adoption,
  asideForkId: ForkId,
): Promise<AdoptedFork> {
  const { volumeIds } = await store.read((tx) => tx.groups.need(groupId));
  return engine.adoptFork({ groupId, forkId, asideForkId, volumeIds });
}

/** The rows follow: the fork's points are the group's newest, its sizes the volumes', it is none any more. */
export async function recordAdopted(
  tx: Transaction,
  groupId: GroupId,
  basePointId: PointId,
  { forkId, copyId }: Adoption,
  { points, volumes }: AdoptedFork,
): Promise<void> {
  await dropPointsAfter(tx, groupId, basePointId);
  const { ownership } = await tx.groups.need(groupId);
  for (const sealed of points) {
    await tx.points.insert({
      id: sealed.pointId,
      groupId,
      sequence: await nextSequence(tx, groupId),
      epoch: ownership.epoch,
      sealedAt: sealed.sealedAt satisfies Instant,
      volumes: sealed.volumes,
      commonAt: undefined,
      expiring: false,
    });
  }
  for (const { volumeId, sizeBytes } of volumes) {
    await tx.volumes.change(volumeId, (v) => ({ ...v, sizeBytes }));
  }
  await tx.forks.remove(forkId);
  if (copyId !== undefined) await tx.copies.remove(copyId);
}
