import type { VolumeId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { SendPoint } from '../../ports/engine.ts';
import { gatheredNode, layerNode } from './nodes.ts';
import { sealedLayer } from './record.ts';
import type { GroupRecord, Layer, PointRecord, VolumeRecord } from './record.ts';

export const SEND_JOB = 'send-';
export const GATHER_JOB = 'gather-';

/** How a volume travels: copies that follow each other, each a job whose id tells it. */
export interface VolumeSend {
  readonly volumeId: VolumeId;
  readonly key: number;
  readonly exportName: string;
  readonly sizeBytes: number;
  readonly copies: readonly Copy[];
  /** Layers above this one are gathered first, so that a block of several travels once. */
  readonly gatheredOn: number | undefined;
  /** All of it travels because the base lacks it. */
  readonly isWhole: boolean;
}

export interface Copy {
  readonly jobId: string;
  readonly source: string;
  /** Number of the layer; undefined: the gathered one. */
  readonly layer: number | undefined;
  readonly into: 'target' | 'gathered';
  /** `top`: the blocks of that layer; `full`: all that can be read there, zeros too. */
  readonly sync: 'top' | 'full';
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
    const { key } = volume;
    const { exportName } = exported;
    return { volumeId, key, exportName, sizeBytes, ...planVolume(volume, point, basePointId) };
  });
}

function planVolume(
  volume: VolumeRecord,
  { pointId }: PointRecord,
  basePointId: SendPoint['basePointId'],
): Pick<VolumeSend, 'copies' | 'gatheredOn' | 'isWhole'> {
  const { key, layers, volumeId } = volume;
  const sealed = sealedLayer(volume, pointId);
  if (!sealed) throw new Failure(`volume ${volumeId}: no layer seals point ${pointId}`);
  const upTo = layers.slice(0, layers.indexOf(sealed) + 1);
  const chain = upTo.slice(
    Math.max(
      0,
      upTo.findLastIndex(({ isRoot }) => isRoot),
    ),
  );
  if (basePointId === undefined) {
    // The place is empty: what no layer holds reads as zeros on both sides.
    return { copies: chain.map((l) => send(key, l)), gatheredOn: undefined, isWhole: true };
  }
  const everything = { copies: [{ ...send(key, sealed), sync: 'full' } as const] };
  const base = sealedLayer(volume, basePointId);
  // The base may hold the volume there all the same, from before it left this group and came back.
  if (!base) return { ...everything, gatheredOn: undefined, isWhole: true };
  if (!upTo.includes(base) || base === sealed) {
    throw new Failure(`volume ${volumeId}: point ${basePointId} is not below ${pointId}`);
  }
  const between = upTo.slice(upTo.indexOf(base) + 1);
  // The place stands on the base, and the point does not: all of it is written over.
  if (!chain.includes(base)) return { ...everything, gatheredOn: undefined, isWhole: false };
  if (between.length === 1) {
    return { copies: [send(key, sealed)], gatheredOn: undefined, isWhole: false };
  }
  const copies = [...between.map((l) => gather(key, l)), sendGathered(key)];
  return { copies, gatheredOn: base.number, isWhole: false };
}

function send(key: number, { number }: Layer): Copy {
  const source = layerNode(key, number);
  return { jobId: `${SEND_JOB}${source}`, source, layer: number, into: 'target', sync: 'top' };
}

function gather(key: number, { number }: Layer): Copy {
  const source = layerNode(key, number);
  return { jobId: `${GATHER_JOB}${source}`, source, layer: number, into: 'gathered', sync: 'top' };
}

function sendGathered(key: number): Copy {
  const source = gatheredNode(key);
  return { jobId: `${SEND_JOB}${source}`, source, layer: undefined, into: 'target', sync: 'top' };
}
