/** Forks and copies in a memory engine: contents that stand on a point of the group. */
import type { CopyId, ForkId, PointId, VolumeId } from '../../src/domain/ids.ts';
import { refuse } from '../../src/domain/refusal.ts';
import type {
  AdoptFork,
  AdoptedFork,
  CopyInspection,
  CopyOf,
  OpenCopy,
} from '../../src/ports/engine-copies.ts';
import type { Fork } from '../../src/ports/engine.ts';
import { findPoint, needFork, specOf } from './memory-group.ts';
import type { MemoryCopy, MemoryFork, MemoryGroup, MemoryPoint } from './memory-group.ts';
import { BLOCK_BYTES, differs, writtenSince } from './volume-content.ts';
import type { GroupContent } from './volume-content.ts';

/** What a copy shows, and the points above the base that lead there. */
type Shown = Pick<MemoryCopy, 'basePointId' | 'points' | 'content'>;

export function shown(group: MemoryGroup, of: CopyOf): Shown {
  if ('forkId' in of) {
    const { basePointId, points, content } = needFork(group, of.forkId);
    return { basePointId, points, content };
  }
  const { pointId } = of;
  const inLine = findPoint(group, pointId);
  if (inLine !== undefined) return { basePointId: pointId, points: [], content: inLine.content };
  for (const { basePointId, points } of group.forks) {
    const index = points.findIndex(({ sealed }) => sealed.pointId === pointId);
    const point = points[index];
    if (point === undefined) continue;
    return { basePointId, points: points.slice(0, index + 1), content: point.content };
  }
  return refuse({ code: 'point_missing', groupId: group.id, pointId });
}

/** @throws Refusal `already_exists` unless the copy that is there is the one that is wanted */
export function requireSame(copy: MemoryCopy, { of, writable }: OpenCopy): void {
  const isSame = JSON.stringify([copy.of, copy.writable]) === JSON.stringify([of, writable]);
  if (!isSame) refuse({ code: 'already_exists', what: 'copy', name: copy.copyId });
}

export function keepCopy(group: MemoryGroup, copyId: CopyId, forkId: ForkId): Fork {
  const kept = group.forks.find((fork) => fork.forkId === forkId);
  if (kept !== undefined) return forkOf(group, kept);
  const copy = group.copies.find((one) => one.copyId === copyId);
  if (copy === undefined) return refuse({ code: 'not_found', what: 'copy', id: copyId });
  if (!copy.writable) {
    const why = 'it was opened read-only, so there is nothing to keep';
    refuse({ code: 'unsupported', what: `keeping copy ${copyId}`, why });
  }
  const { basePointId, points, content } = copy;
  const fork: MemoryFork = { forkId, basePointId, points, content: new Map(content) };
  group.forks = [...group.forks, fork];
  group.copies = group.copies.filter((one) => one !== copy);
  return forkOf(group, fork);
}

/** Goes back to a point; what stood above it becomes a fork, if it is anything. */
export function setAside(group: MemoryGroup, point: MemoryPoint, forkId: ForkId): void {
  const { pointId } = point.sealed;
  const index = group.points.indexOf(point);
  const later = group.points.slice(index + 1);
  const top = group.present ?? later.at(-1)?.content;
  const isSomething = top !== undefined && (later.length > 0 || differs(top, point.content));
  const fork = { forkId, basePointId: pointId, content: new Map(top), points: later };
  group.forks = group.forks.map((one) => rebased(one, pointId, later));
  group.copies = group.copies.map((one) => rebased(one, pointId, later));
  if (isSomething) group.forks = [...group.forks, fork];
  group.points = group.points.slice(0, index + 1);
  group.present = undefined;
  group.adopted = undefined;
}

/** What stood on a point that is set aside, too, stands on the one below it, and has that point itself. */
function rebased<T extends MemoryFork | MemoryCopy>(
  one: T,
  pointId: PointId,
  later: readonly MemoryPoint[],
): T {
  const index = later.findIndex(({ sealed }) => sealed.pointId === one.basePointId);
  if (index === -1) return one;
  return { ...one, basePointId: pointId, points: [...later.slice(0, index + 1), ...one.points] };
}

/** @throws Refusal `unsupported` unless the fork has exactly the volumes that are wanted */
export function requireVolumes({ forkId, content }: MemoryFork, wanted: readonly VolumeId[]): void {
  const refuseFor = (why: string): never =>
    refuse({ code: 'unsupported', what: `adopting fork ${forkId}`, why });
  const missing = wanted.find((id) => !content.has(id));
  if (missing !== undefined) refuseFor(`it has no volume ${missing}, which the group has now`);
  const surplus = [...content.keys()].find((id) => !wanted.includes(id));
  if (surplus !== undefined) refuseFor(`its volume ${surplus} is not in the group any more`);
}

export function adopt(group: MemoryGroup, { forkId, asideForkId }: AdoptFork): AdoptedFork {
  const fork = needFork(group, forkId);
  const base = findPoint(group, fork.basePointId);
  if (base === undefined) throw new Error(`fork ${forkId} stands on nothing`);
  setAside(group, base, asideForkId);
  group.points = [...group.points, ...fork.points];
  group.present = new Map(fork.content);
  group.forks = group.forks.filter((one) => one.forkId !== forkId);
  const pointIds = fork.points.map(({ sealed }) => sealed.pointId);
  const volumes = [...fork.content.values()].map(specOf);
  group.adopted = { forkId, asideForkId, pointIds, volumes };
  return adopted(group, group.adopted);
}

export function adopted(
  group: MemoryGroup,
  { asideForkId, pointIds, volumes }: NonNullable<MemoryGroup['adopted']>,
): AdoptedFork {
  const aside = group.forks.find((one) => one.forkId === asideForkId);
  const points = group.points.filter(({ sealed }) => pointIds.includes(sealed.pointId));
  return {
    aside: aside && forkOf(group, aside),
    points: points.map(({ sealed }) => sealed),
    volumes,
  };
}

export function forkOf(group: MemoryGroup, fork: MemoryFork): Fork {
  const { forkId, basePointId, content, points } = fork;
  return {
    forkId,
    basePointId,
    allocatedBytes: writtenBytes(content, findPoint(group, basePointId)?.content),
    volumes: [...content.values()].map(specOf),
    pointIds: points.map(({ sealed }) => sealed.pointId),
  };
}

export function inspectCopy(copy: MemoryCopy, host: string): CopyInspection {
  const { copyId, of, writable, hosts, port, content, base, plane } = copy;
  return {
    copyId,
    of,
    writable,
    dataPlane: plane === undefined ? 'stopped' : plane.hung ? 'hung' : 'running',
    pid: plane === undefined ? undefined : port,
    address: { host, port },
    hosts,
    volumes: [...content.values()].map(specOf),
    writtenBytes: writtenBytes(content, base),
  };
}

function writtenBytes(content: GroupContent, base: GroupContent | undefined): number {
  const blocks = [...content.values()].flatMap((v) => writtenSince(v, base?.get(v.volumeId)));
  return blocks.length * BLOCK_BYTES;
}

/** @throws Refusal `in_use` — a fork (unless it may go along) or a copy has a part of the volume */
export function refuseHeld(
  { forks, copies }: Pick<MemoryGroup, 'forks' | 'copies'>,
  volumeId: VolumeId,
  { unlessFork = false } = {},
): void {
  const has = ({ content, points }: MemoryFork | MemoryCopy): boolean =>
    content.has(volumeId) || points.some((point) => point.content.has(volumeId));
  const fork = unlessFork ? undefined : forks.find(has);
  const copy = copies.find((one) => has(one) || one.base.has(volumeId));
  const by = fork ? `fork ${fork.forkId}` : copy && `copy ${copy.copyId}`;
  if (by !== undefined) refuse({ code: 'in_use', what: 'volume', id: volumeId, by });
}
