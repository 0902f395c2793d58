/**
 * A fork becomes the present: the line goes back to the fork's base, then on through its layers.
 *
 *   close to hosts ─ close the nodes above the base ─ new active layers where needed ─ record ─ open
 */
import type { VolumeId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { AdoptFork, AdoptedFork } from '../../ports/engine-copies.ts';
import { collectGarbage, enter } from './enter.ts';
import { forkOf } from './forks.ts';
import { openGraph } from './graph.ts';
import type { Group } from './group.ts';
import { frozenLayers, needFork } from './histories.ts';
import { createLayers } from './layers.ts';
import type { WantedLayer } from './layers.ts';
import { addLayer, findVolume, withVolume } from './record.ts';
import type { Adopted, ForkRecord, GroupRecord } from './record.ts';
import { setAside } from './set-aside.ts';

export function adoptFork(group: Group, request: AdoptFork): Promise<AdoptedFork> {
  return group.alone(['send', 'merge'], async () => {
    const { forkId, asideForkId, volumeIds } = request;
    const { record, daemon } = await enter(group);
    if (record.adopted?.forkId === forkId) return answer(group, record, record.adopted);
    const fork = needFork(record, forkId);
    requireVolumes(fork, volumeIds);
    const line = continued(
      await setAside(group, record, daemon, fork.basePointId, asideForkId),
      fork,
    );
    const tops = newTops(line, fork);
    await createLayers(group, tops);
    const { points, members } = fork;
    const pointIds = points.map(({ pointId }) => pointId);
    const adopted = { forkId, asideForkId, pointIds, volumes: members };
    const next = await group.save({ ...withTops(line, tops), adopted });
    await collectGarbage(group, next);
    if (daemon) await openGraph(group, daemon.qmp, next);
    return answer(group, next, adopted);
  });
}

/** @throws Refusal `unsupported` unless the fork has exactly the volumes that are wanted */
function requireVolumes({ forkId, members }: ForkRecord, wanted: readonly VolumeId[]): void {
  const refuseFor = (why: string): never =>
    refuse({ code: 'unsupported', what: `adopting fork ${forkId}`, why });
  const has = new Set(members.map(({ volumeId }) => volumeId));
  const missing = wanted.find((id) => !has.has(id));
  if (missing !== undefined) refuseFor(`it has no volume ${missing}, which the group has now`);
  const surplus = members.find(({ volumeId }) => !wanted.includes(volumeId));
  if (surplus) refuseFor(`its volume ${surplus.volumeId} is not in the group any more`);
}

/** The line, which ends at the fork's base, with all that the fork holds. */
function continued(record: GroupRecord, fork: ForkRecord): GroupRecord {
  let next: GroupRecord = {
    ...record,
    hasPresent: true,
    points: [...record.points, ...fork.points],
    forks: record.forks.filter(({ forkId }) => forkId !== fork.forkId),
  };
  for (const { base: _base, ...own } of fork.volumes) {
    const { volumeId } = own;
    const spec = fork.members.find((member) => member.volumeId === volumeId);
    const line = findVolume(next, volumeId);
    next = line
      ? withVolume(next, volumeId, (v) => ({
          ...v,
          ...spec,
          layers: [...v.layers, ...own.layers],
        }))
      : { ...next, volumes: [...next.volumes, { ...own, ...spec }] };
  }
  return next;
}

/** Active layers for volumes that have none of their own: hosts write neither a point nor another fork. */
function newTops(line: GroupRecord, { members }: ForkRecord): readonly WantedLayer[] {
  const frozen = frozenLayers(line);
  return members.flatMap((spec): readonly WantedLayer[] => {
    const top = findVolume(line, spec.volumeId)?.layers.at(-1);
    const isFree = top?.seals === undefined && !frozen.get(spec.volumeId)?.has(top?.number ?? -1);
    return isFree ? [] : [{ ...spec, number: line.nextLayer, below: top?.number }];
  });
}

function withTops(line: GroupRecord, tops: readonly WantedLayer[]): GroupRecord {
  let next: GroupRecord = { ...line, nextLayer: line.nextLayer + 1 };
  for (const { volumeId, number } of tops) {
    next = withVolume(next, volumeId, (v) =>
      addLayer(v, { number, seals: undefined, isRoot: false }),
    );
  }
  return next;
}

async function answer(
  group: Group,
  record: GroupRecord,
  { asideForkId, pointIds, volumes }: Adopted,
): Promise<AdoptedFork> {
  const aside = record.forks.find(({ forkId }) => forkId === asideForkId);
  return {
    aside: aside && (await forkOf(group, aside)),
    points: record.points
      .filter(({ pointId }) => pointIds.includes(pointId))
      .map(({ pointId, sealedAt, pauseMs, volumes: members }) => ({
        pointId,
        sealedAt,
        pauseMs,
        volumes: members,
      })),
    volumes,
  };
}
