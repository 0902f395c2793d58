/** Hosts write numbered blocks wherever the data plane lets them, and remember what was acknowledged. */
import type { GroupId, VolumeId } from '../../src/domain/ids.ts';
import type { Observed } from './check-lines.ts';
import { isServing } from './check-lines.ts';
import type { Random } from './random.ts';
import { Violation } from './story.ts';
import { blockOf } from './truth.ts';
import type { Truth } from './truth.ts';

const BLOCKS = 10;

interface Open {
  readonly at: Observed;
  readonly groupId: GroupId;
  readonly volumeId: VolumeId;
}

export function writeSomething(truth: Truth, observed: readonly Observed[], random: Random): void {
  const open = observed.flatMap((at) => openAt(truth, at));
  const chosen = random.pick(open);
  if (chosen === undefined) return;
  const { at, groupId, volumeId } = chosen;
  const block = random.between(0, BLOCKS - 1);
  const write = truth.nextWrite();
  try {
    at.site.engine.write(groupId, volumeId, block, blockOf(write));
  } catch {
    return;
  }
  at.site.touched += 1;
  const epoch = at.mirror.groups.get(groupId)?.ownership.epoch ?? 0;
  const line = truth.line(groupId, epoch);
  if (line === undefined)
    throw new Violation(`group ${groupId} was written in epoch ${epoch} of nobody`);
  const blocks = line.content.get(volumeId) ?? new Map<number, number>();
  line.content.set(volumeId, blocks.set(block, write));
}

function openAt(truth: Truth, at: Observed): readonly Open[] {
  return [...truth.lines.keys()].flatMap((groupId) => {
    const held = at.site.engine.held(groupId);
    if (!isServing(held) || held.plane?.hung === true) return [];
    return [...(held.plane?.served?.volumeIds ?? [])].map((volumeId) => ({
      at,
      groupId,
      volumeId,
    }));
  });
}
