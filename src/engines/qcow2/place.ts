/** A place for what comes from the peer: an empty overlay per volume, on the layers of a point. */
import type { PointId } from '../../domain/ids.ts';
import type { ReceivingTarget, VolumeSpec } from '../../ports/engine.ts';
import type { Group } from './group.ts';
import { createLayers } from './layers.ts';
import { addLayer, findVolume, sealedLayer, specOf, withVolume } from './record.ts';
import type { GroupRecord, ReceivingVolume, VolumeRecord } from './record.ts';

interface Place {
  readonly volumes: readonly ReceivingVolume[];
  /** The record once the place is recorded, too. */
  readonly next: GroupRecord;
}

/**
 * Makes the overlays, durable with their names. They are nothing until the record names them.
 *
 * @throws Refusal `no_space`
 */
export async function makePlace(
  group: Group,
  record: GroupRecord,
  specs: readonly VolumeSpec[],
  basePointId: PointId | undefined,
): Promise<Place> {
  let { nextKey } = record;
  const volumes = specs.map((spec): ReceivingVolume => {
    const known = findVolume(record, spec.volumeId);
    const base = known && basePointId !== undefined ? sealedLayer(known, basePointId) : undefined;
    const key = known?.key ?? nextKey++;
    return { ...specOf(spec), key, number: record.nextLayer, base: base?.number };
  });
  const layers = volumes.map((volume) => ({ ...volume, below: volume.base }));
  await createLayers(group, layers);
  return { volumes, next: { ...record, nextKey, nextLayer: record.nextLayer + 1 } };
}

/** The record with the place's overlays as the top of their volumes' chains. */
export function withPlaceOnTop(
  record: GroupRecord,
  place: readonly ReceivingVolume[],
  seals: PointId,
): GroupRecord {
  let next = record;
  for (const { key, number, base, ...spec } of place) {
    const layer = { number, seals, isRoot: base === undefined };
    if (!findVolume(next, spec.volumeId)) {
      const added: VolumeRecord = { ...specOf(spec), key, layers: [] };
      next = { ...next, volumes: [...next.volumes, added] };
    }
    next = withVolume(next, spec.volumeId, (v) => ({ ...addLayer(v, layer), ...specOf(spec) }));
  }
  return next;
}

/** Where the group's daemon is found by the peer. */
export function addressOf(
  group: Group,
  port: number | undefined,
  instance: string,
  exports: ReceivingTarget['exports'],
): ReceivingTarget {
  const { address, tls } = group.site.options;
  return { host: address, port: port ?? 0, tlsName: tls.tlsName, instance, exports };
}
