/**
 * Moving a volume between groups: between two records and two directories, with no moment at which
 * neither knows it.
 *
 *   from: close ─ record `leaving` ── link files ──▶ to: record the volume ─ open
 *   from: `leaving` gone, its names of the files gone
 */
import { link, mkdir, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { VolumeId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import { collectGarbage, enter } from './enter.ts';
import { closeHostExports } from './exports.ts';
import { freshContext, openVolume } from './graph.ts';
import type { Group } from './group.ts';
import { refuseHeld } from './histories.ts';
import { syncDirectory } from './layer-file.ts';
import { activeLayer, findVolume, layerFile } from './record.ts';
import type { GroupRecord, Layer, VolumeRecord } from './record.ts';
import { dropMirror } from './mirror-end.ts';
import { dropSend } from './send-end.ts';
import { closeVolume, refuseStale } from './volumes.ts';

export async function moveVolume(from: Group, to: Group, volumeId: VolumeId): Promise<void> {
  const isFirst = from.id < to.id;
  const [first, second] = isFirst ? [from, to] : [to, from];
  const inTheWay = ['send', 'merge', 'hash'] as const;
  // Always in the same order: two moves that cross do not wait for each other for ever.
  await first.alone(isFirst ? inTheWay : [], () =>
    second.alone(isFirst ? [] : inTheWay, () => move(from, to, volumeId)),
  );
}

async function move(from: Group, to: Group, volumeId: VolumeId): Promise<void> {
  const target = await enter(to);
  const source = await enter(from);
  const known = findVolume(target.record, volumeId);
  if (known && activeLayer(known)) return finishLeaving(from, source.record, volumeId);
  if (known) refuseStale(to, target.record, volumeId);
  refuseHeld(target.record, volumeId);
  if (!target.record.hasPresent && target.record.points.length > 0) {
    throw new Failure(`group ${to.id} has no present to take volume ${volumeId}`);
  }
  const { record } = target;
  const returning = record.leaving.find((v) => v.volumeId === volumeId);
  const isHere = returning !== undefined && !knows(source.record, volumeId);
  const leaving = isHere ? returning : await leave(from, volumeId);
  if (isHere) await unlinkFiles(from, leaving);
  else await linkFiles(from, to, leaving);
  const arrived = { ...leaving, key: record.nextKey };
  await to.save({
    ...record,
    hasPresent: true,
    nextKey: record.nextKey + 1,
    nextLayer: Math.max(record.nextLayer, ...leaving.layers.map(({ number }) => number + 1)),
    volumes: [...record.volumes, arrived],
    leaving: record.leaving.filter((v) => v !== returning),
  });
  const io = await to.site.io();
  if (target.daemon) {
    await openVolume(to, target.daemon.qmp, arrived, freshContext(io));
  }
  await finishLeaving(from, await from.record(), volumeId);
}

function knows({ volumes, leaving }: GroupRecord, volumeId: VolumeId): boolean {
  return [...volumes, ...leaving].some((v) => v.volumeId === volumeId);
}

/** Takes the volume out of its group. @returns it, as it goes on elsewhere */
async function leave(from: Group, volumeId: VolumeId): Promise<VolumeRecord> {
  const { record: entered, daemon } = await enter(from);
  const already = entered.leaving.find((v) => v.volumeId === volumeId);
  if (already) return already;
  const volume = findVolume(entered, volumeId);
  if (!volume || !activeLayer(volume)) {
    throw new Failure(`group ${from.id}: volume ${volumeId} is not in its present`);
  }
  refuseHeld(entered, volumeId);
  const sendless = await dropSend(from, entered, daemon);
  const record = await dropMirror(from, sendless, daemon);
  if (daemon) {
    await closeHostExports(daemon.qmp, volume.key);
    await closeVolume(daemon.qmp, volume);
  }
  const unsealed = (layer: Layer): Layer => ({ ...layer, seals: undefined });
  const leaving = { ...volume, layers: volume.layers.map(unsealed) };
  await from.save({
    ...withoutParts(record, volumeId),
    leaving: [...record.leaving, leaving],
  });
  return leaving;
}

function withoutParts(record: GroupRecord, volumeId: VolumeId): GroupRecord {
  return {
    ...record,
    volumes: record.volumes.filter((v) => v.volumeId !== volumeId),
    points: record.points.map((point) => ({
      ...point,
      volumes: point.volumes.filter((v) => v.volumeId !== volumeId),
    })),
  };
}

/** The files get a second name, in the other group's directory. */
async function linkFiles(
  from: Group,
  to: Group,
  { volumeId, layers }: VolumeRecord,
): Promise<void> {
  await mkdir(to.directory, { recursive: true, mode: 0o700 });
  for (const { number } of layers) {
    const file = layerFile(volumeId, number);
    const there = await stat(to.path(file)).catch(() => undefined);
    if (!there) await link(from.path(file), to.path(file));
    else if (there.ino !== (await stat(from.path(file))).ino) {
      throw new Failure(`${to.path(file)} is in the way of ${from.path(file)}`);
    }
  }
  await syncDirectory(to.directory);
  await syncDirectory(dirname(to.directory));
}

/** Second names that a move left which did not come to its end. */
async function unlinkFiles(from: Group, { volumeId, layers }: VolumeRecord): Promise<void> {
  const files = layers.map(({ number }) => from.path(layerFile(volumeId, number)));
  await Promise.all(files.map((file) => rm(file, { force: true })));
}

async function finishLeaving(from: Group, record: GroupRecord, volumeId: VolumeId): Promise<void> {
  const left = record.leaving.find((v) => v.volumeId === volumeId);
  if (!left) return;
  const files = left.layers.map(({ number }) => layerFile(volumeId, number));
  const saved = await from.save({
    ...record,
    leaving: record.leaving.filter((v) => v !== left),
    garbage: [...record.garbage, ...files],
  });
  await collectGarbage(from, saved);
}
