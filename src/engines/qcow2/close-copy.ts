/** The ends of a copy. */
import type { CopyId, ForkId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Fork } from '../../ports/engine.ts';
import { needCopy, scratchLayers } from './copies.ts';
import { removeRunFiles } from './daemon-process.ts';
import { collectGarbage, enter } from './enter.ts';
import { forkOf } from './forks.ts';
import type { Group } from './group.ts';
import { layersOf, withGarbage } from './histories.ts';
import { addLayer } from './record.ts';
import type { CopyRecord, ForkRecord } from './record.ts';

export function closeCopy(group: Group, copyId: CopyId): Promise<void> {
  return group.copies.run(async () => {
    const { copies } = await group.record();
    if (copies.some((copy) => copy.copyId === copyId)) await group.copySeat(copyId).end();
  });
}

export function discardCopy(group: Group, copyId: CopyId): Promise<void> {
  return group.copies.run(async () => {
    const { copies } = await group.record();
    if (!copies.some((copy) => copy.copyId === copyId)) return;
    await endCopy(group, copyId);
    await group.locked(async () => {
      const { record } = await enter(group);
      const copy = needCopy(record, copyId);
      const others = record.copies.filter((one) => one !== copy);
      // A fork that it showed may have gone before it.
      const layers = [...scratchLayers(copy), ...layersOf(copy.volumes)];
      const saved = await group.save(withGarbage({ ...record, copies: others }, layers));
      await collectGarbage(group, saved);
    });
  });
}

export function keepCopy(group: Group, copyId: CopyId, forkId: ForkId): Promise<Fork> {
  return group.copies.run(async () => {
    const before = await group.record();
    const kept = before.forks.find((fork) => fork.forkId === forkId);
    if (kept) return forkOf(group, kept);
    if (!needCopy(before, copyId).writable) {
      const why = 'it was opened read-only, so there is nothing to keep';
      refuse({ code: 'unsupported', what: `keeping copy ${copyId}`, why });
    }
    await endCopy(group, copyId);
    const fork = await group.locked(async () => {
      const { record } = await enter(group);
      const copy = needCopy(record, copyId);
      const made = forkFrom(copy, forkId);
      const copies = record.copies.filter((one) => one !== copy);
      await group.save({ ...record, copies, forks: [...record.forks, made] });
      return made;
    });
    return forkOf(group, fork);
  });
}

/** What it showed, and its scratch layers on top. */
function forkFrom(
  { basePointId, volumes, members, points, chains }: CopyRecord,
  forkId: ForkId,
): ForkRecord {
  return {
    forkId,
    basePointId,
    members,
    points,
    volumes: volumes.map((volume) => {
      const number = chains.find(({ volumeId }) => volumeId === volume.volumeId)?.scratch;
      if (number === undefined) return volume;
      return { ...volume, ...addLayer(volume, { number, seals: undefined, isRoot: false }) };
    }),
  };
}

/** Ends a copy's daemon for good. What it wrote is flushed if it answers, and stays. */
export async function endCopy(group: Group, copyId: CopyId): Promise<void> {
  const seat = group.copySeat(copyId);
  await seat.end();
  await removeRunFiles(seat.paths);
  group.leaveCopySeat(copyId);
  await group.site.ports.give(copyId);
}
