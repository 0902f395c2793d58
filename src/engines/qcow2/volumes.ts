import type { VolumeId } from '../../domain/ids.ts';
import { Failure, refuse } from '../../domain/refusal.ts';
import type { VolumeSpec } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import { deleteObject } from '../qmp/commands.ts';
import { collectGarbage, enter } from './enter.ts';
import { closeHostExports, hostExport, openExports } from './exports.ts';
import { deleteNodes, freshContext, growVolumes, openVolume, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { createLayers } from './layers.ts';
import { admittedNow } from './nbd-server.ts';
import { headNode, layerNode, throttleGroup } from './nodes.ts';
import { layersOf, refuseHeld, withGarbage } from './histories.ts';
import { activeLayer, findVolume, specOf, withVolume } from './record.ts';
import type { GroupRecord, PointRecord, VolumeRecord } from './record.ts';
import { giveUp } from './receive.ts';
import { dropMirror } from './mirror-end.ts';
import { dropSend } from './send-end.ts';
import { giveUpStandby } from './standby.ts';

const SECTOR_BYTES = 512;

export function createVolume(group: Group, spec: VolumeSpec): Promise<void> {
  return group.locked(async () => {
    const { record, daemon } = await enter(group);
    const known = findVolume(record, spec.volumeId);
    if (known && activeLayer(known)) return;
    if (known) refuseStale(group, record, spec.volumeId);
    if (!record.hasPresent && record.points.length > 0) {
      throw new Failure(`group ${group.id} has no present to add volume ${spec.volumeId} to`);
    }
    const number = record.nextLayer;
    await createLayers(group, [{ ...spec, number, below: undefined }]);
    const volume: VolumeRecord = {
      ...specOf(spec),
      key: record.nextKey,
      layers: [{ number, seals: undefined, isRoot: true }],
    };
    await group.save({
      ...record,
      hasPresent: true,
      nextKey: record.nextKey + 1,
      nextLayer: number + 1,
      volumes: [...record.volumes, volume],
    });
    const io = await group.site.io();
    if (daemon) await openVolume(group, daemon.qmp, volume, freshContext(io));
  });
}

export async function deleteVolume(group: Group, volumeId: VolumeId): Promise<void> {
  await group.alone(['send', 'merge', 'hash'], async () => {
    const entered = await enter(group);
    const { daemon } = entered;
    refuseHeld({ forks: [], copies: entered.record.copies }, volumeId);
    let { record } = entered;
    if (record.receiving?.volumes.some((v) => v.volumeId === volumeId)) {
      record = await giveUp(group, record, daemon);
    }
    const volume = findVolume(record, volumeId);
    if (volume) {
      record = await giveUpStandby(group, record, daemon);
      record = await dropMirror(group, record, daemon);
      record = await dropSend(group, record, daemon);
    }
    if (volume && daemon) await closeHostExports(daemon.qmp, volume.key);
    const next = withoutVolume(record, volumeId);
    if (next === record) return;
    await group.save(next);
    if (volume && daemon) await closeVolume(daemon.qmp, volume);
    await collectGarbage(group, next);
  });
}

/** The record without the volume, its points' parts and its forks' parts. */
function withoutVolume(record: GroupRecord, volumeId: VolumeId): GroupRecord {
  const others = <T extends { readonly volumeId: VolumeId }>(all: readonly T[]): readonly T[] =>
    all.filter((one) => one.volumeId !== volumeId);
  const named = [record, ...record.forks].flatMap(({ volumes }) =>
    volumes.filter((v) => v.volumeId === volumeId),
  );
  const leaving = record.leaving.filter((v) => v.volumeId === volumeId);
  if (named.length === 0 && leaving.length === 0) return record;
  const withoutParts = (point: PointRecord): PointRecord => ({
    ...point,
    volumes: others(point.volumes),
  });
  const next: GroupRecord = {
    ...record,
    volumes: others(record.volumes),
    leaving: others(record.leaving),
    points: record.points.map(withoutParts),
    forks: record.forks.map((fork) => ({
      ...fork,
      volumes: others(fork.volumes),
      members: others(fork.members),
      points: fork.points.map(withoutParts),
    })),
  };
  return withGarbage(next, layersOf([...named, ...leaving]));
}

/** Points from before the volume left the group keep it. @throws Refusal `in_use` */
export function refuseStale(group: Group, record: GroupRecord, volumeId: VolumeId): never {
  const keeper = record.points.find(({ volumes }) => volumes.some((v) => v.volumeId === volumeId));
  const by = `recovery point ${keeper?.pointId ?? ''} of group ${group.id}`;
  return refuse({ code: 'in_use', what: 'volume', id: volumeId, by });
}

/** Flushes a volume's layers and closes them. Its export is closed. */
export async function closeVolume(qmp: QmpClient, { key, layers }: VolumeRecord): Promise<void> {
  const names = [headNode(key), ...layers.map(({ number }) => layerNode(key, number))];
  await deleteNodes(qmp, await readGraph(qmp), names);
  await deleteObject(qmp, throttleGroup(key));
}

export async function resizeVolume(
  group: Group,
  volumeId: VolumeId,
  sizeBytes: number,
): Promise<void> {
  await group.alone(['merge'], async () => {
    const entered = await enter(group);
    const { daemon } = entered;
    const volume = findVolume(entered.record, volumeId);
    if (!volume || !activeLayer(volume)) {
      throw new Failure(`group ${group.id}: volume ${volumeId} is not in its present`);
    }
    checkSize(volume, sizeBytes);
    const record = await dropMirror(group, entered.record, daemon);
    // Recorded first: whoever opens the layer finds it smaller than this, and grows it.
    const grown = { ...volume, sizeBytes };
    const next = withVolume(record, volumeId, () => grown);
    if (volume.sizeBytes !== sizeBytes) await group.save(next);
    if (!daemon) return;
    const histories = await closeHostExports(daemon.qmp, volume.key);
    await growVolumes(group, daemon.qmp, next);
    const isServed = (await admittedNow(daemon.qmp, 'hosts')) !== undefined;
    const { nodes } = await readGraph(daemon.qmp);
    const wanted = histories.map((history) => hostExport(grown, history, nodes));
    if (isServed) await openExports(daemon.qmp, wanted);
  });
}

function checkSize({ sizeBytes: present, volumeId }: VolumeRecord, sizeBytes: number): void {
  if (sizeBytes >= present && sizeBytes % SECTOR_BYTES === 0) return;
  const wanted = `a multiple of ${SECTOR_BYTES}, at least ${present} (volume ${volumeId})`;
  refuse({ code: 'invalid', field: 'sizeBytes', wanted, seen: `${sizeBytes}` });
}
