import type { PointId, VolumeId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import { enter } from './enter.ts';
import { openGraph } from './graph.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { createLayers } from './layers.ts';
import { putOnLayers, readyOverlays } from './overlays.ts';
import type { Overlay } from './overlays.ts';
import { addLayer, findVolume, sealedLayer, withVolume } from './record.ts';
import type { GroupRecord } from './record.ts';
import { giveUp } from './receive.ts';
import { giveUpStandby } from './standby.ts';

export function promote(
  group: Group,
  pointId: PointId,
  volumeIds?: readonly VolumeId[],
): Promise<void> {
  return group.locked(async () => {
    const entered = await enter(group);
    const point = needPoint(group, entered.record, pointId);
    if (standsOn(entered.record, pointId)) return;
    if (entered.record.hasPresent) {
      throw new Failure(
        `group ${group.id} has a present already, which does not stand on ${pointId}`,
      );
    }
    if (entered.record.points.at(-1) !== point) {
      throw new Failure(`group ${group.id}: points after ${pointId} must be set aside first`);
    }
    const received = await giveUp(group, entered.record, entered.daemon);
    const record = await giveUpStandby(group, received, entered.daemon);
    const members = point.volumes.filter((v) => volumeIds?.includes(v.volumeId) ?? true);
    const overlays = members.map(({ volumeId, sizeBytes }): Overlay => {
      const volume = findVolume(record, volumeId);
      const below = volume && sealedLayer(volume, pointId);
      if (!below) throw new Failure(`group ${group.id}: no layer of ${volumeId} seals ${pointId}`);
      const { key } = volume;
      return { volumeId, key, sizeBytes, number: record.nextLayer, below: below.number };
    });
    const { daemon } = entered;
    if (daemon) await readyOverlays(group, daemon, overlays);
    else await createLayers(group, overlays);
    // Where this process dies now, they are strays: nothing was written to them.
    if (daemon) await putOnLayers(daemon.qmp, overlays);
    const nextLayer = record.nextLayer + 1;
    let next: GroupRecord = { ...record, nextLayer, hasPresent: true, sent: undefined };
    for (const { volumeId, name, sizeBytes } of members) {
      const layer = { number: record.nextLayer, seals: undefined, isRoot: false };
      next = withVolume(next, volumeId, (v) => ({ ...addLayer(v, layer), name, sizeBytes }));
    }
    await group.save(next);
    // So that `serve` finds it done: hosts wait for it.
    if (daemon) await openGraph(group, daemon.qmp, next);
  });
}

/** A present stands on the newest point: nothing was sealed since. */
function standsOn({ hasPresent, points }: GroupRecord, pointId: PointId): boolean {
  return hasPresent && points.at(-1)?.pointId === pointId;
}
