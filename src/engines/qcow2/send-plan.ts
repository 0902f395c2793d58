import type { VolumeId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { SendPoint } from '../../ports/engine.ts';
import { sealedLayer } from './record.ts';
import type { GroupRecord, PointRecord, VolumeRecord } from './record.ts';

/**
 * What travels of a volume: the blocks of one layer, those of several layers gathered into one
 * first, or everything the volume reads as.
 */
export type SendMode = 'layer' | 'gathered' | 'everything';

export interface VolumeSend {
  readonly volumeId: VolumeId;
  readonly key: number;
  readonly exportName: string;
  readonly mode: SendMode;
  /** Number of the layer that seals the point. */
  readonly layer: number;
  /** Number of the layer that seals the base point. */
  readonly base: number | undefined;
  readonly sizeBytes: number;
}

export function planSend(
  record: GroupRecord,
  point: PointRecord,
  { basePointId, target, groupId }: SendPoint,
): readonly VolumeSend[] {
  return point.volumes.map(({ volumeId, sizeBytes }) => {
    const volume = record.volumes.find((v) => v.volumeId === volumeId);
    const exported = target.exports.find((e) => e.volumeId === volumeId);
    if (!volume || !exported) {
      throw new Failure(`group ${groupId}: the target has no place for volume ${volumeId}`);
    }
    const { exportName } = exported;
    return {
      volumeId,
      key: volume.key,
      exportName,
      sizeBytes,
      ...chooseMode(volume, point, basePointId),
    };
  });
}

function chooseMode(
  volume: VolumeRecord,
  { pointId }: PointRecord,
  basePointId: SendPoint['basePointId'],
): Pick<VolumeSend, 'mode' | 'layer' | 'base'> {
  const { layers, volumeId } = volume;
  const layer = sealedLayer(volume, pointId);
  if (!layer) throw new Failure(`volume ${volumeId}: no layer seals point ${pointId}`);
  const at = layers.indexOf(layer);
  const base = basePointId === undefined ? undefined : sealedLayer(volume, basePointId);
  const above = base ? layers.indexOf(base) + 1 : 0;
  if (above > at)
    throw new Failure(`volume ${volumeId}: point ${basePointId} is not below ${pointId}`);
  const between = layers.slice(above, at + 1);
  const found = { layer: layer.number, base: base?.number };
  if (!base) return { ...found, mode: isAlone(volume, at) ? 'layer' : 'everything' };
  if (between.some(({ isRoot }) => isRoot)) return { ...found, mode: 'everything' };
  return { ...found, mode: between.length === 1 ? 'layer' : 'gathered' };
}

/** The layer is all there is of the volume: what it does not hold reads as zeros on both sides. */
function isAlone({ layers }: VolumeRecord, at: number): boolean {
  return at === 0 || layers[at]?.isRoot === true;
}
