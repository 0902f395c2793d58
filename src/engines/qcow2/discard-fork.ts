import type { ForkId } from '../../domain/ids.ts';
import { collectGarbage, enter } from './enter.ts';
import type { Group } from './group.ts';
import { forkFile } from './record.ts';

export function discardFork(group: Group, forkId: ForkId): Promise<void> {
  return group.locked(async () => {
    const { record } = await enter(group);
    const fork = record.forks.find((one) => one.forkId === forkId);
    if (!fork) return;
    const files = fork.volumes.flatMap(({ volumeId, layers }) =>
      layers.map(({ number }) => forkFile(forkId, volumeId, number)),
    );
    const saved = await group.save({
      ...record,
      forks: record.forks.filter((one) => one !== fork),
      garbage: [...record.garbage, ...files],
    });
    await collectGarbage(group, saved);
  });
}
