/** What stands above a point of the line becomes a fork: the common part of demoting and adopting. */
import type { ForkId, PointId } from '../../domain/ids.ts';
import type { VolumeSpec } from '../../ports/engine.ts';
import type { Daemon } from './daemon.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { rebased, splitAt, withGarbage } from './histories.ts';
import type { Split } from './histories.ts';
import { isEmptyLayer, layerSize } from './layer-file.ts';
import { headNode, layerNode } from './nodes.ts';
import { giveUp } from './receive.ts';
import { findPoint, layerFile, presentVolumes, specOf } from './record.ts';
import type { ForkRecord, GroupRecord, HistoryVolume, Layer } from './record.ts';
import { dropSend } from './send-end.ts';
import { dropMirror } from './mirror-end.ts';
import { fenceDaemon } from './serve.ts';
import { giveUpStandby } from './standby.ts';

/**
 * Closes what stands above the point. An active layer that nobody ever wrote is nothing, and goes.
 * Within the group's lock, with no long work under way.
 *
 * @returns the record as it would be afterwards, not saved
 */
export async function setAside(
  group: Group,
  entered: GroupRecord,
  daemon: Daemon | undefined,
  pointId: PointId,
  forkId: ForkId,
): Promise<GroupRecord> {
  let record = await dropSend(group, entered, daemon);
  record = await giveUp(group, record, daemon);
  record = await dropMirror(group, record, daemon);
  record = await giveUpStandby(group, record, daemon);
  const splits = record.volumes.map((volume) => splitAt(record, volume, pointId));
  if (daemon) await closeAbove(group, daemon, record, splits);
  const kept = await Promise.all(splits.map((split) => withoutEmptyTop(group, split)));
  return cut(record, pointId, forkId, splits, kept);
}

async function closeAbove(
  group: Group,
  { qmp }: Daemon,
  record: GroupRecord,
  splits: readonly Split[],
): Promise<void> {
  const { nodes: open } = await readGraph(qmp);
  const isWhole = splits.every(({ volume }) =>
    volume.layers.every(({ number }) => open.has(layerNode(volume.key, number))),
  );
  if (isWhole) await fenceDaemon(group, qmp, record);
  const names = splits.flatMap(({ volume, above }) => [
    ...(above.length > 0 ? [headNode(volume.key)] : []),
    ...above.map(({ number }) => layerNode(volume.key, number)),
  ]);
  await deleteNodes(qmp, await readGraph(qmp), names);
}

/** @returns the layers above the point that hold something; closed by now */
async function withoutEmptyTop(
  group: Group,
  { volume, upTo, above }: Split,
): Promise<readonly Layer[]> {
  // A volume that exists only above the point is something, even if nobody wrote it.
  if (upTo.length === 0) return above;
  const path = ({ number }: Layer): string => group.path(layerFile(volume.volumeId, number));
  const layers = [...above];
  for (let top = layers.at(-1); top !== undefined; top = layers.at(-1)) {
    const below = layers.at(-2) ?? upTo.at(-1);
    // Nor is one that is larger than what is beneath.
    const hasGrown = below === undefined || volume.sizeBytes !== (await layerSize(path(below)));
    if (top.seals !== undefined || hasGrown || !(await isEmptyLayer(path(top)))) break;
    layers.pop();
  }
  return layers;
}

function cut(
  record: GroupRecord,
  pointId: PointId,
  forkId: ForkId,
  splits: readonly Split[],
  kept: readonly (readonly Layer[])[],
): GroupRecord {
  const index = record.points.findIndex((point) => point.pointId === pointId);
  const points = record.points.slice(index + 1);
  const base = record.points[index]?.volumes ?? [];
  const members = membersOf(record);
  const named = new Set(
    [...members, ...points.flatMap((point) => point.volumes)].map(({ volumeId }) => volumeId),
  );
  const volumes = splits.flatMap(({ volume, upTo }, at): readonly HistoryVolume[] => {
    const layers = kept[at] ?? [];
    if (layers.length === 0 && !named.has(volume.volumeId)) return [];
    return [{ ...volume, layers, base: upTo.at(-1)?.number }];
  });
  const fork: ForkRecord = { forkId, basePointId: pointId, volumes, members, points };
  const isSomething =
    points.length > 0 || volumes.some(({ layers }) => layers.length > 0) || hasMore(members, base);
  const forks = record.forks.map((one) => rebased(record, pointId, one));
  const next: GroupRecord = {
    ...record,
    hasPresent: false,
    points: record.points.slice(0, index + 1),
    volumes: splits.flatMap(({ volume, upTo }) => {
      const spec = base.find(({ volumeId }) => volumeId === volume.volumeId);
      return upTo.length > 0 ? [{ ...volume, ...spec, layers: upTo }] : [];
    }),
    forks: isSomething ? [...forks, fork] : forks,
    copies: record.copies.map((one) => rebased(record, pointId, one)),
    adopted: undefined,
    sent: undefined,
    sentDifference: undefined,
  };
  const above = splits.flatMap(({ volume: { volumeId }, above: layers }) =>
    layers.map(({ number }) => ({ volumeId, number })),
  );
  return withGarbage(next, above);
}

/** The volumes of what is newest in the line. */
function membersOf(record: GroupRecord): readonly VolumeSpec[] {
  if (record.hasPresent) return presentVolumes(record).map(specOf);
  const newest = record.points.at(-1);
  return (newest && findPoint(record, newest.pointId)?.volumes) ?? [];
}

/** A volume that is not in the base, or has another size there. One that has left is nothing more. */
function hasMore(members: readonly VolumeSpec[], base: readonly VolumeSpec[]): boolean {
  const sizes = new Map(base.map(({ volumeId, sizeBytes }) => [volumeId, sizeBytes]));
  return members.some(({ volumeId, sizeBytes }) => sizes.get(volumeId) !== sizeBytes);
}
