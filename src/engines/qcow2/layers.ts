import { mkdir, rm, rmdir, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { VolumeId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { deleteNode } from '../qmp/commands.ts';
import { allOf } from './graph.ts';
import type { Group } from './group.ts';
import { CLUSTER_BYTES, createLayerFile, syncDirectory } from './layer-file.ts';
import { layerNode } from './nodes.ts';
import { layerFile } from './record.ts';

/** An empty layer, and room for it to grow a little. */
const NEW_LAYER_BYTES = 8 * CLUSTER_BYTES;

export interface WantedLayer {
  readonly volumeId: VolumeId;
  readonly number: number;
  readonly sizeBytes: number;
  /** Number of the volume's layer below. */
  readonly below: number | undefined;
}

/**
 * Makes empty layers, durable with their names. They are nothing until the record names them. What
 * was made ahead and is not wanted after all makes way.
 *
 * @throws Refusal `no_space`
 */
export async function createLayers(group: Group, wanted: readonly WantedLayer[]): Promise<void> {
  await dropAhead(group);
  const isNew = await needRoom(group, wanted.length);
  const neededBytes = wanted.length * NEW_LAYER_BYTES;
  const layers = wanted.map(({ volumeId, number, sizeBytes, below }) => ({
    path: group.path(layerFile(volumeId, number)),
    sizeBytes,
    backingFile: below === undefined ? undefined : layerFile(volumeId, below),
  }));
  try {
    await Promise.all(layers.map(createLayerFile));
    await syncDirectory(group.directory);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC')) throw cause;
    await Promise.all(layers.map(({ path }) => rm(path, { force: true })));
    await refuseForRoom(group, neededBytes);
  }
  if (isNew) await syncDirectory(dirname(group.directory));
}

async function dropAhead(group: Group): Promise<void> {
  const { ahead, seat } = group;
  group.ahead = [];
  if (ahead.length === 0 || !seat.daemon) return;
  const { qmp } = seat.daemon;
  await allOf(ahead.map(({ key, number }) => deleteNode(qmp, layerNode(key, number))));
  const files = ahead.map(({ volumeId, number }) => group.path(layerFile(volumeId, number)));
  await Promise.all(files.map((file) => rm(file, { force: true })));
}

/**
 * Room for so many new layers, and the directory for them.
 *
 * @returns whether the directory is new
 * @throws Refusal `no_space`
 */
export async function needRoom(group: Group, layers: number): Promise<boolean> {
  const isNew = (await mkdir(group.directory, { recursive: true, mode: 0o700 })) !== undefined;
  const neededBytes = layers * NEW_LAYER_BYTES;
  if ((await freeBytes(group)) >= neededBytes) return isNew;
  if (isNew) await rmdir(group.directory);
  return refuseForRoom(group, neededBytes);
}

async function freeBytes({ directory }: Group): Promise<number> {
  const { blocks, bavail, bsize } = await statfs(directory);
  // A file system in memory may not count at all.
  return blocks === 0 ? Number.MAX_SAFE_INTEGER : bavail * bsize;
}

async function refuseForRoom(group: Group, neededBytes: number): Promise<never> {
  const siteId = group.site.options.tls.tlsName;
  const { bavail, bsize } = await statfs(group.site.options.dataDirectory);
  refuse({ code: 'no_space', siteId, neededBytes, freeBytes: bavail * bsize });
}
