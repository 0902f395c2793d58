/**
 * Both sites as this API shows them: one region of two zones. A volume is a disk in the zone where
 * it was made; its copy is known by the disk of the other zone that was paired with it, or, where it
 * is replicated without having been paired here, by a disk whose id follows from the volume's.
 */
import type { App } from '../../app/app.ts';
import type { Instant, PairId, SiteId, VolumeId } from '../../domain/ids.ts';
import { copyDiskId, copyPairId } from './ids.ts';

type BothSites = Awaited<ReturnType<App['showBothSites']>>;
export type SeenGroup = BothSites['groups'][number];
type SeenVolume = SeenGroup['volumes'][number];

export interface Region {
  readonly here: SiteId;
  readonly zones: readonly Zone[];
  readonly disks: readonly Disk[];
  readonly pairs: readonly Pair[];
  /** The groups that users made: those of lone volumes are not shown. */
  readonly groups: readonly SeenGroup[];
}

export interface Zone {
  readonly siteId: SiteId;
  readonly name: string;
  readonly answers: boolean;
}

export interface Disk {
  readonly id: VolumeId;
  readonly name: string;
  readonly zone: string;
  readonly siteId: SiteId;
  readonly sizeBytes: number;
  readonly state: SeenVolume['state'];
  /** Hosts that may write it now: none on the side that receives. */
  readonly hosts: readonly string[];
  readonly createdAt: Instant;
}

export interface Pair {
  readonly id: PairId;
  readonly name: string;
  readonly description: string;
  readonly volume: SeenVolume;
  readonly group: SeenGroup;
  /** The disk at home first, as it was when the two were paired. */
  readonly diskIds: readonly [VolumeId, VolumeId];
  readonly homeId: SiteId;
  readonly otherId: SiteId;
  /** The zone that hosts write in now. */
  readonly station: string;
  /** It was replicated by itself, and never paired in this API. */
  readonly isUnnamed: boolean;
  /** One of its disks is gone, though its site answers. */
  readonly isBroken: boolean;
  readonly createdAt: Instant;
}

export async function seeRegion(app: App): Promise<Region> {
  return regionOf(await app.showBothSites());
}

export function regionOf({ here, sites, groups }: BothSites): Region {
  const zones = sites.map(({ id, name, answers }) => ({ siteId: id, name, answers }));
  const own = groups.flatMap((group) =>
    group.volumes.map((volume) => ({ group, volume, ...endsOf(zones, group, volume) })),
  );
  const ids = new Set(own.map(({ volume }) => volume.id));
  const pairs = own.flatMap(({ group, volume, homeId, otherId }): readonly Pair[] => {
    if (otherId === undefined) return [];
    const { standIn } = volume;
    const isGone =
      standIn !== undefined && !ids.has(standIn.volumeId) && zoneOf(zones, otherId).answers;
    return [
      {
        id: standIn?.pairId ?? copyPairId(volume.id),
        name: standIn?.name ?? volume.name,
        description: standIn?.description ?? '',
        volume,
        group,
        diskIds: [volume.id, standIn?.volumeId ?? copyDiskId(volume.id, otherId)],
        homeId,
        otherId,
        station: zoneOf(zones, group.ownership.holder).name,
        isUnnamed: standIn === undefined,
        isBroken: isGone,
        createdAt: standIn?.createdAt ?? group.session?.stateSince ?? volume.createdAt,
      },
    ];
  });
  const disks = own.map(({ group, volume, homeId }) => {
    const as = pairs.find((pair) => pair.diskIds[1] === volume.id);
    const serving = as?.group ?? group;
    const isServed = serving.ownership.holder === (as?.otherId ?? homeId);
    return diskAt(zoneOf(zones, homeId), volume, isServed ? serving.hosts : []);
  });
  return {
    here,
    zones,
    disks: [...disks, ...copyDisks(zones, pairs, ids)],
    pairs,
    groups: groups.filter((group) => !group.implicit),
  };
}

/** Disks of the other zone that no volume of that site stands for, or none that can be seen now. */
function copyDisks(
  zones: readonly Zone[],
  pairs: readonly Pair[],
  seen: ReadonlySet<VolumeId>,
): readonly Disk[] {
  return pairs
    .filter(({ diskIds, isBroken }) => !isBroken && !seen.has(diskIds[1]))
    .map(({ volume, group, diskIds, otherId }) => ({
      ...diskAt(
        zoneOf(zones, otherId),
        volume,
        group.ownership.holder === otherId ? group.hosts : [],
      ),
      id: diskIds[1],
    }));
}

function diskAt(zone: Zone, volume: SeenVolume, hosts: readonly string[]): Disk {
  const { id, name, sizeBytes, state, createdAt } = volume;
  return { id, name, zone: zone.name, siteId: zone.siteId, sizeBytes, state, hosts, createdAt };
}

function endsOf(
  zones: readonly Zone[],
  group: SeenGroup,
  { standIn }: SeenVolume,
): { readonly homeId: SiteId; readonly otherId: SiteId | undefined } {
  if (standIn !== undefined) return { homeId: standIn.homeId, otherId: standIn.siteId };
  const { homeId, session } = group;
  if (session === undefined) return { homeId, otherId: undefined };
  return { homeId, otherId: zones.find(({ siteId }) => siteId !== homeId)?.siteId };
}

function zoneOf(zones: readonly Zone[], siteId: SiteId): Zone {
  return zones.find((z) => z.siteId === siteId) ?? { siteId, name: siteId, answers: false };
}
