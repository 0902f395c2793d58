/**
 * Going back to a point. What stands above it becomes a fork: layers, points and volumes that
 * exist only there. An active layer that nobody ever wrote is nothing, and goes.
 *
 *   close to hosts ─ close the nodes above ─ look whether they hold anything ─ record ─ rename
 */
import type { ForkId, PointId } from '../../domain/ids.ts';
import type { Fork } from '../../ports/engine.ts';
import type { Daemon } from './daemon.ts';
import { collectGarbage, enter } from './enter.ts';
import { forkOf, nameForkFiles } from './fork-files.ts';
import { deleteNodes, openGraph, readGraph } from './graph.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { isEmptyLayer } from './layer-file.ts';
import { headNode, layerNode } from './nodes.ts';
import { giveUp } from './receive.ts';
import { layerFile } from './record.ts';
import type { ForkRecord, GroupRecord, Layer, VolumeRecord } from './record.ts';
import { dropMirror } from './mirror-end.ts';
import { dropSend } from './send-end.ts';
import { giveUpStandby } from './standby.ts';
import { fenceDaemon } from './serve.ts';

export function demote(group: Group, pointId: PointId, forkId: ForkId): Promise<Fork | undefined> {
  return group.alone(['send', 'merge'], async () => {
    const { record, daemon } = await enter(group);
    needPoint(group, record, pointId);
    const done = record.forks.find((fork) => fork.forkId === forkId);
    if (done) return forkOf(group, done);
    const parts = record.volumes.map((volume) => split(record, volume, pointId));
    if (!record.hasPresent && parts.every(({ above }) => above.length === 0)) return undefined;
    let current = await dropSend(group, record, daemon);
    current = await giveUp(group, current, daemon);
    current = await dropMirror(group, current, daemon);
    current = await giveUpStandby(group, current, daemon);
    if (daemon) await closeAbove(group, daemon, current, parts);
    const kept = await withoutEmptyTops(group, parts);
    const next = cut(current, pointId, forkId, parts, kept);
    const named = await nameForkFiles(group, await group.save(next));
    await collectGarbage(group, named);
    if (daemon) await openGraph(group, daemon.qmp, named);
    const fork = named.forks.find((one) => one.forkId === forkId);
    return fork && forkOf(group, fork);
  });
}

/** A volume's layers, up to the point and above it. */
interface Part {
  readonly volume: VolumeRecord;
  readonly upTo: readonly Layer[];
  readonly above: readonly Layer[];
}

function split(record: GroupRecord, volume: VolumeRecord, pointId: PointId): Part {
  const index = record.points.findIndex((point) => point.pointId === pointId);
  const kept = new Set(record.points.slice(0, index + 1).map((point) => point.pointId));
  const last = volume.layers.findLastIndex(({ seals }) => seals !== undefined && kept.has(seals));
  return { volume, upTo: volume.layers.slice(0, last + 1), above: volume.layers.slice(last + 1) };
}

async function closeAbove(
  group: Group,
  { qmp }: Daemon,
  record: GroupRecord,
  parts: readonly Part[],
): Promise<void> {
  const { nodes: open } = await readGraph(qmp);
  const isWhole = parts.every(({ volume }) =>
    volume.layers.every(({ number }) => open.has(layerNode(volume.key, number))),
  );
  if (isWhole) await fenceDaemon(group, qmp, record);
  const names = parts.flatMap(({ volume, above }) => [
    ...(above.length > 0 ? [headNode(volume.key)] : []),
    ...above.map(({ number }) => layerNode(volume.key, number)),
  ]);
  await deleteNodes(qmp, await readGraph(qmp), names);
}

/** @returns per volume, the layers above the point that hold something; closed by now */
async function withoutEmptyTops(
  group: Group,
  parts: readonly Part[],
): Promise<readonly (readonly Layer[])[]> {
  return Promise.all(
    parts.map(async ({ volume, upTo, above }) => {
      // A volume that exists only above the point is something, even if nobody wrote it.
      if (upTo.length === 0) return above;
      const layers = [...above];
      for (let top = layers.at(-1); top !== undefined; top = layers.at(-1)) {
        const path = group.path(layerFile(volume.volumeId, top.number));
        if (top.seals !== undefined || !(await isEmptyLayer(path))) break;
        layers.pop();
      }
      return layers;
    }),
  );
}

function cut(
  record: GroupRecord,
  pointId: PointId,
  forkId: ForkId,
  parts: readonly Part[],
  kept: readonly (readonly Layer[])[],
): GroupRecord {
  const index = record.points.findIndex((point) => point.pointId === pointId);
  const points = record.points.slice(index + 1);
  const forked = parts.flatMap(({ volume, upTo }, at) => {
    const layers = kept[at] ?? [];
    return layers.length > 0 ? [{ ...volume, layers, base: upTo.at(-1)?.number }] : [];
  });
  const fork: ForkRecord = { forkId, basePointId: pointId, volumes: forked, points };
  const isSomething = forked.length > 0 || points.length > 0;
  const garbage = parts.flatMap(({ volume, above }, at) =>
    above
      .filter((layer) => !kept[at]?.includes(layer))
      .map(({ number }) => layerFile(volume.volumeId, number)),
  );
  return {
    ...record,
    hasPresent: false,
    points: record.points.slice(0, index + 1),
    volumes: parts.flatMap(({ volume, upTo }) =>
      upTo.length > 0 ? [{ ...volume, layers: upTo }] : [],
    ),
    forks: isSomething ? [...record.forks, fork] : record.forks,
    unnamedFork: isSomething ? forkId : undefined,
    garbage: [...record.garbage, ...garbage],
    sent: undefined,
  };
}
