import type { ForkId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Fork } from '../../ports/engine.ts';
import { collectGarbage, enter } from './enter.ts';
import type { Group } from './group.ts';
import { layersOf, withGarbage } from './histories.ts';
import { allocatedBytes } from './layer-file.ts';
import { layerFile } from './record.ts';
import type { ForkRecord } from './record.ts';

export async function forkOf(
  group: Group,
  { forkId, basePointId, volumes, members, points }: ForkRecord,
): Promise<Fork> {
  const sizes = await Promise.all(
    layersOf(volumes).map(({ volumeId, number }) =>
      allocatedBytes(group.path(layerFile(volumeId, number))),
    ),
  );
  return {
    forkId,
    basePointId,
    allocatedBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    volumes: members,
    pointIds: points.map(({ pointId }) => pointId),
  };
}

export function discardFork(group: Group, forkId: ForkId): Promise<void> {
  return group.locked(async () => {
    const { record } = await enter(group);
    const fork = record.forks.find((one) => one.forkId === forkId);
    if (!fork) return;
    const copy = record.copies.find(({ of }) => 'forkId' in of && of.forkId === forkId);
    if (copy) refuse({ code: 'in_use', what: 'fork', id: forkId, by: `copy ${copy.copyId}` });
    const forks = record.forks.filter((one) => one !== fork);
    const saved = await group.save(withGarbage({ ...record, forks }, layersOf(fork.volumes)));
    await collectGarbage(group, saved);
  });
}
