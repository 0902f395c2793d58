import type { PointId } from '../../domain/ids.ts';
import type { VolumeHash } from '../../ports/engine.ts';
import { hashVolume } from '../nbd/hash-volume.ts';
import type { Group } from './group.ts';
import { readingPoint } from './point-reading.ts';

export function hashPoint(group: Group, pointId: PointId): Promise<readonly VolumeHash[]> {
  const what = `hashing point ${pointId}`;
  return readingPoint(group, { pointId, name: 'hash', what }, async ({ point, connect }) => {
    const hashes: VolumeHash[] = [];
    for (const { volumeId } of point.volumes) {
      const connection = await connect(volumeId);
      const { sha256, sizeBytes } = await hashVolume(connection);
      await connection.disconnect();
      hashes.push({ volumeId, sizeBytes, hash: sha256 });
    }
    return hashes;
  });
}
