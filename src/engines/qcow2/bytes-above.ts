import type { PointId } from '../../domain/ids.ts';
import type { Group } from './group.ts';
import { allocatedBytes } from './layer-file.ts';
import { layerFile } from './record.ts';
import type { VolumeRecord } from './record.ts';

/** The files of the layers above the point's, and of what is being received, as they are on disk. */
export async function bytesAbove(group: Group, pointId: PointId | undefined): Promise<number> {
  const { volumes, receiving } = await group.record();
  const files = [
    ...volumes.flatMap((volume) => layersAbove(volume, pointId)),
    ...(receiving?.volumes ?? []).map(({ volumeId, number }) => layerFile(volumeId, number)),
  ];
  const sizes = await Promise.all(files.map((file) => allocatedBytes(group.path(file))));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/** All of a volume that came after the point. */
function layersAbove(
  { volumeId, layers }: VolumeRecord,
  pointId: PointId | undefined,
): readonly string[] {
  const at = pointId === undefined ? -1 : layers.findIndex(({ seals }) => seals === pointId);
  return layers.slice(at + 1).map(({ number }) => layerFile(volumeId, number));
}
