import { Failure } from '../../domain/refusal.ts';
import type { VolumeSpec } from '../../ports/engine.ts';
import { enter } from './enter.ts';
import { freshContext, openVolume } from './graph.ts';
import type { Group } from './group.ts';
import { createLayers } from './layers.ts';
import { findVolume, specOf } from './record.ts';
import type { VolumeRecord } from './record.ts';

export function createVolume(group: Group, spec: VolumeSpec): Promise<void> {
  return group.locked(async () => {
    const { record, daemon } = await enter(group);
    if (findVolume(record, spec.volumeId)) return;
    if (!record.hasPresent && record.points.length > 0) {
      throw new Failure(`group ${group.id} has no present to add volume ${spec.volumeId} to`);
    }
    await createLayers(group, [{ ...spec, number: 0, below: undefined }]);
    const volume: VolumeRecord = {
      ...specOf(spec),
      key: record.nextKey,
      nextLayer: 1,
      layers: [{ number: 0, seals: undefined, isRoot: true }],
    };
    await group.save({
      ...record,
      hasPresent: true,
      nextKey: record.nextKey + 1,
      volumes: [...record.volumes, volume],
    });
    const io = await group.site.io();
    if (daemon) await openVolume(group, daemon.qmp, volume, freshContext(io, io.active));
  });
}
