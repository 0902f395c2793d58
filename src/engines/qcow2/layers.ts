import { mkdir, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { VolumeId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Group } from './group.ts';
import { CLUSTER_BYTES, createLayerFile, syncDirectory } from './layer-file.ts';
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
 * Makes empty layers, durable with their names. They are nothing until the record names them.
 *
 * @throws Refusal `no_space`
 */
export async function createLayers(group: Group, wanted: readonly WantedLayer[]): Promise<void> {
  const isNew = (await mkdir(group.directory, { recursive: true, mode: 0o700 })) !== undefined;
  await needRoom(group, wanted.length * NEW_LAYER_BYTES);
  await Promise.all(
    wanted.map(({ volumeId, number, sizeBytes, below }) =>
      createLayerFile({
        path: group.path(layerFile(volumeId, number)),
        sizeBytes,
        backingFile: below === undefined ? undefined : layerFile(volumeId, below),
      }),
    ),
  );
  await syncDirectory(group.directory);
  if (isNew) await syncDirectory(dirname(group.directory));
}

async function needRoom(group: Group, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(group.directory);
  const freeBytes = bavail * bsize;
  if (freeBytes < neededBytes) {
    const siteId = group.site.options.tls.tlsName;
    refuse({ code: 'no_space', siteId, neededBytes, freeBytes });
  }
}
