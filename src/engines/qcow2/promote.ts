import type { PointId, VolumeId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import { enter } from './enter.ts';
import { openGraph } from './graph.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { createLayers } from './layers.ts';
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
    const wanted = members.map((spec) => {
      const volume = findVolume(record, spec.volumeId);
      const below = volume && sealedLayer(volume, pointId);
      if (!below)
        throw new Failure(`group ${group.id}: no layer of ${spec.volumeId} seals ${pointId}`);
      return { ...spec, number: record.nextLayer, below: below.number };
    });
    await createLayers(group, wanted);
    const nextLayer = record.nextLayer + 1;
    let next: GroupRecord = { ...record, nextLayer, hasPresent: true, sent: undefined };
    for (const { volumeId, name, sizeBytes, number } of wanted) {
      const layer = { number, seals: undefined, isRoot: false };
      next = withVolume(next, volumeId, (v) => ({ ...addLayer(v, layer), name, sizeBytes }));
    }
    await group.save(next);
    // So that `serve` finds it done: hosts wait for it.
    if (entered.daemon) await openGraph(group, entered.daemon.qmp, next);
  });
}

/** A present stands on the newest point: nothing was sealed since. */
function standsOn({ hasPresent, points }: GroupRecord, pointId: PointId): boolean {
  return hasPresent && points.at(-1)?.pointId === pointId;
}
