/**
 * Histories beside the group's line: what forks hold and what copies show. Each names all layers
 * above a point of the line, so that none stands on another:
 *
 *   line:  p1 ◀─ p2 ◀─ p3 ◀─ present          fork on p1, from before the group went back there:
 *            └─ 4 (q) ◀─ 5                       base p1, layers 4 and 5, point q
 *                       └─ 6                  kept from a copy of it: base p1, layers 4, 5 and 6
 *
 * Layers of several histories are the same files. Whoever goes takes those that nobody else names.
 */
import type { GroupId, PointId, VolumeId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { CopyOf } from '../../ports/engine-copies.ts';
import { findPoint, findVolume, layerFile } from './record.ts';
import type {
  ForkRecord,
  GroupRecord,
  History,
  HistoryVolume,
  Layer,
  PointRecord,
  VolumeRecord,
} from './record.ts';

/** A volume's layers up to a point of the line, and above it. */
export interface Split {
  readonly volume: VolumeRecord;
  readonly upTo: readonly Layer[];
  readonly above: readonly Layer[];
}

export function splitAt(record: GroupRecord, volume: VolumeRecord, pointId: PointId): Split {
  const index = record.points.findIndex((point) => point.pointId === pointId);
  const kept = new Set(record.points.slice(0, index + 1).map((point) => point.pointId));
  const last = volume.layers.findLastIndex(({ seals }) => seals !== undefined && kept.has(seals));
  return { volume, upTo: volume.layers.slice(0, last + 1), above: volume.layers.slice(last + 1) };
}

/** @throws Refusal `not_found` */
export function needFork({ forks }: GroupRecord, forkId: ForkRecord['forkId']): ForkRecord {
  const fork = forks.find((one) => one.forkId === forkId);
  return fork ?? refuse({ code: 'not_found', what: 'fork', id: forkId });
}

/** @throws Refusal `point_missing`, `not_found` */
export function shownHistory(groupId: GroupId, record: GroupRecord, of: CopyOf): History {
  if ('forkId' in of) {
    const { basePointId, volumes, members, points } = needFork(record, of.forkId);
    return { basePointId, volumes, members, points };
  }
  const { pointId } = of;
  const inLine = findPoint(record, pointId);
  if (inLine) return { ...atPoint(record, inLine), points: [] };
  const fork = record.forks.find(({ points }) => points.some((p) => p.pointId === pointId));
  return fork ? cutHistory(fork, pointId) : refuse({ code: 'point_missing', groupId, pointId });
}

function atPoint(
  record: GroupRecord,
  { pointId, volumes: members }: PointRecord,
): Pick<History, 'basePointId' | 'volumes' | 'members'> {
  const volumes = members.flatMap(({ volumeId }): readonly HistoryVolume[] => {
    const volume = findVolume(record, volumeId);
    if (!volume) return [];
    const { upTo } = splitAt(record, volume, pointId);
    return [{ ...volume, layers: [], base: upTo.at(-1)?.number }];
  });
  return { basePointId: pointId, volumes, members };
}

/** A history up to one of its points. */
function cutHistory({ basePointId, volumes, points }: History, pointId: PointId): History {
  const index = points.findIndex((point) => point.pointId === pointId);
  const kept = points.slice(0, index + 1);
  const ids = new Set(kept.map((point) => point.pointId));
  return {
    basePointId,
    members: kept.at(-1)?.volumes ?? [],
    points: kept,
    volumes: volumes.map((volume) => {
      const { layers } = volume;
      const last = layers.findLastIndex(({ seals }) => seals !== undefined && ids.has(seals));
      return { ...volume, layers: layers.slice(0, last + 1) };
    }),
  };
}

/** The layers through which a member of a history reads, lowest first. */
export function chainOf(
  record: GroupRecord,
  { volumes }: History,
  volumeId: VolumeId,
): readonly Layer[] {
  const own = volumes.find((v) => v.volumeId === volumeId);
  const line = findVolume(record, volumeId)?.layers ?? [];
  const below = own?.base === undefined ? -1 : line.findIndex(({ number }) => number === own.base);
  const all = [...line.slice(0, below + 1), ...(own?.layers ?? [])];
  return all.slice(
    Math.max(
      0,
      all.findLastIndex(({ isRoot }) => isRoot),
    ),
  );
}

/**
 * A history whose base is above the point: when the line is cut there, it stands on that point and
 * has what lay between itself.
 */
export function rebased<T extends History>(record: GroupRecord, pointId: PointId, history: T): T {
  const indexOf = (id: PointId): number => record.points.findIndex((p) => p.pointId === id);
  const [cutAt, baseAt] = [indexOf(pointId), indexOf(history.basePointId)];
  if (baseAt <= cutAt) return history;
  const between = record.points.slice(cutAt + 1, baseAt + 1);
  const named = new Set(
    [...history.volumes, ...between.flatMap((point) => point.volumes)].map((v) => v.volumeId),
  );
  const volumes = record.volumes
    .filter(({ volumeId }) => named.has(volumeId))
    .map((volume): HistoryVolume => {
      const own = history.volumes.find((v) => v.volumeId === volume.volumeId);
      const { upTo } = splitAt(record, volume, pointId);
      const toBase = splitAt(record, volume, history.basePointId).upTo;
      const layers = [...toBase.slice(upTo.length), ...(own?.layers ?? [])];
      return { ...(own ?? volume), layers, base: upTo.at(-1)?.number };
    });
  const known = new Set(volumes.map(({ volumeId }) => volumeId));
  const others = history.volumes.filter(({ volumeId }) => !known.has(volumeId));
  return {
    ...history,
    basePointId: pointId,
    points: [...between, ...history.points],
    volumes: [...volumes, ...others],
  };
}

/** Layers whose files may neither change nor go, by volume: what copies read, what histories name. */
export function frozenLayers({ forks, copies }: GroupRecord): ReadonlyMap<VolumeId, Set<number>> {
  const frozen = new Map<VolumeId, Set<number>>();
  const freeze = (volumeId: VolumeId, numbers: readonly number[]): void => {
    frozen.set(volumeId, new Set([...(frozen.get(volumeId) ?? []), ...numbers]));
  };
  for (const { volumes } of [...forks, ...copies]) {
    for (const { volumeId, layers } of volumes) {
      freeze(
        volumeId,
        layers.map(({ number }) => number),
      );
    }
  }
  for (const { chains } of copies) {
    for (const { volumeId, numbers, scratch } of chains) {
      freeze(volumeId, scratch === undefined ? numbers : [...numbers, scratch]);
    }
  }
  return frozen;
}

/** Numbers of a volume's layers that histories and a standby stand on: their files stay. */
export function forkedLayers(
  { forks, copies, standby }: GroupRecord,
  volumeId: VolumeId,
): ReadonlySet<number> {
  const places: readonly Pick<HistoryVolume, 'volumeId' | 'base'>[] = standby?.volumes ?? [];
  const above = [...[...forks, ...copies].flatMap(({ volumes }) => volumes), ...places];
  const bases = above.filter((v) => v.volumeId === volumeId);
  return new Set(bases.flatMap(({ base }) => base ?? []));
}

export interface LayerName {
  readonly volumeId: VolumeId;
  readonly number: number;
}

export function layersOf(volumes: readonly VolumeRecord[]): readonly LayerName[] {
  return volumes.flatMap(({ volumeId, layers }) =>
    layers.map(({ number }) => ({ volumeId, number })),
  );
}

/** The record with these layers' files as garbage, those excepted that it still names. */
export function withGarbage(record: GroupRecord, layers: readonly LayerName[]): GroupRecord {
  const { volumes, receiving, standby, sealing, leaving } = record;
  const frozen = frozenLayers(record);
  const named = new Set(
    [
      ...layersOf([...volumes, ...leaving]),
      ...(receiving?.volumes ?? []),
      ...(standby?.volumes ?? []),
      ...(sealing?.overlays ?? []),
    ].map(({ volumeId, number }) => layerFile(volumeId, number)),
  );
  const gone = layers.filter(
    ({ volumeId, number }) =>
      !named.has(layerFile(volumeId, number)) && frozen.get(volumeId)?.has(number) !== true,
  );
  const files = new Set(gone.map(({ volumeId, number }) => layerFile(volumeId, number)));
  return { ...record, garbage: [...record.garbage, ...files] };
}

/** @throws Refusal `in_use` — a fork or copy would lose a part of its content with the volume */
export function refuseHeld(
  { forks, copies }: Pick<GroupRecord, 'forks' | 'copies'>,
  volumeId: VolumeId,
): void {
  const has = ({ volumes }: History): boolean => volumes.some((v) => v.volumeId === volumeId);
  const fork = forks.find(has);
  const copy = copies.find(has);
  const by = fork ? `fork ${fork.forkId}` : copy && `copy ${copy.copyId}`;
  if (by !== undefined) refuse({ code: 'in_use', what: 'volume', id: volumeId, by });
}
