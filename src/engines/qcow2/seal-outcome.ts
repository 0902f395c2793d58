/** What came of a seal: recorded at its end, or found out after a crash. */
import type { QmpClient } from '../qmp/client.ts';
import type { Daemon } from './daemon.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { layerNode } from './nodes.ts';
import { addLayer, findVolume, layerFile, specOf } from './record.ts';
import type { GroupRecord, PointRecord, Sealing } from './record.ts';

/** The record after the transaction: with the point, or with layers that seal nothing. */
export function advanced(
  record: GroupRecord,
  { pointId, tooLong, overlays }: Sealing,
  { sealedAt, pauseMs }: Pick<PointRecord, 'sealedAt' | 'pauseMs'>,
): GroupRecord {
  const seals = tooLong ? undefined : pointId;
  const numbers = new Map(overlays.map(({ volumeId, number }) => [volumeId, number]));
  const sealed = record.volumes.filter(({ volumeId }) => numbers.has(volumeId));
  const point: PointRecord = { pointId, sealedAt, pauseMs, volumes: sealed.map(specOf) };
  return {
    ...record,
    sealing: undefined,
    points: tooLong ? record.points : [...record.points, point],
    volumes: record.volumes.map((volume) => {
      const number = numbers.get(volume.volumeId);
      if (number === undefined) return volume;
      const layers = volume.layers.map((layer, index) =>
        index === volume.layers.length - 1 ? { ...layer, seals } : layer,
      );
      return addLayer({ ...volume, layers }, { number, seals: undefined, isRoot: false });
    }),
  };
}

/** Finishes or takes back a seal that was interrupted. Within the group's lock. */
export async function settleSealing(
  group: Group,
  record: GroupRecord,
  daemon: Daemon | undefined,
): Promise<GroupRecord> {
  const { sealing } = record;
  if (!sealing) return record;
  if (daemon && !(await wasSealed(daemon.qmp, record, sealing))) {
    // Their numbers are used up, so nothing would ever write over them.
    const files = sealing.overlays.map(({ volumeId, number }) => layerFile(volumeId, number));
    const garbage = [...record.garbage, ...files];
    return group.save({ ...record, sealing: undefined, garbage });
  }
  return group.save(advanced(record, sealing, { sealedAt: sealing.startedAt, pauseMs: 0 }));
}

/** @returns whether the overlays stand on their layers; if not, they are closed again */
async function wasSealed(
  qmp: QmpClient,
  record: GroupRecord,
  { overlays }: Sealing,
): Promise<boolean> {
  const graph = await readGraph(qmp);
  const nodes = overlays.flatMap(({ volumeId, number }) => {
    const volume = findVolume(record, volumeId);
    return volume ? [layerNode(volume.key, number)] : [];
  });
  if (nodes.some((node) => graph.backing.has(node))) return true;
  await deleteNodes(qmp, graph, nodes);
  return false;
}
