import { setImmediate as turn } from 'node:timers/promises';
import type { VolumeId } from '../../src/domain/ids.ts';
import type { SendPoint, SendWatch, SentPoint } from '../../src/ports/engine.ts';
import type { DataPlane, MemoryPoint, Sending } from './memory-group.ts';
import type { MemoryNetwork } from './memory-network.ts';
import { BLOCK_BYTES, writtenSince } from './volume-content.ts';

export interface MemorySend {
  readonly network: MemoryNetwork;
  readonly point: MemoryPoint;
  readonly base: MemoryPoint | undefined;
  readonly beforeBlock?: (target: SendPoint['target']) => Promise<void>;
}

interface Piece {
  readonly volumeId: VolumeId;
  readonly block: number;
  readonly bytes: Uint8Array;
}

/** Block by block, giving way to others in between; what the target has is not sent again. */
export async function sendOverMemory(
  plane: DataPlane,
  request: SendPoint,
  { onProgress, signal }: SendWatch,
  { network, point, base, beforeBlock = () => turn() }: MemorySend,
): Promise<SentPoint> {
  signal.throwIfAborted();
  const sending = goOnOrRestart(plane, request);
  network.connect(request.target);
  const left = piecesOf(point, base).filter(
    ({ volumeId, block }) => sending.done.get(volumeId)?.has(block) !== true,
  );
  const totalBytes = sending.sentBytes + left.length * BLOCK_BYTES;
  for (const { volumeId, block, bytes } of left) {
    // A silent link holds a block for as long as it likes; who ends the send does not wait for it.
    await Promise.race([
      beforeBlock(request.target),
      aborted(signal),
      aborted(sending.cancel.signal),
    ]);
    signal.throwIfAborted();
    sending.cancel.signal.throwIfAborted();
    network.carry(request.target, volumeId, block, bytes);
    sending.done.get(volumeId)?.add(block);
    sending.sentBytes += BLOCK_BYTES;
    onProgress({ sentBytes: sending.sentBytes, totalBytes });
  }
  const wholeVolumes = [...point.content.keys()].filter((id) => base?.content.has(id) !== true);
  const { sentBytes, restarted } = sending;
  sending.isOver = true;
  return { sentBytes, restarted, wholeVolumes };
}

export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}

/** An earlier attempt counts as long as both data planes that knew of it live. */
export function goOnOrRestart(
  plane: DataPlane,
  { pointId, target }: Pick<SendPoint, 'pointId' | 'target'>,
  rangeBytes?: number,
): Sending {
  const before = plane.sending;
  const isSamePoint = before?.pointId === pointId && before.rangeBytes === rangeBytes;
  if (before !== undefined && isSamePoint && before.targetInstance === target.instance) {
    return before;
  }
  const sentBytes = isSamePoint ? before.sentBytes : 0;
  const comparedBytes = isSamePoint ? before.comparedBytes : 0;
  const sending: Sending = {
    pointId,
    rangeBytes,
    comparedBytes,
    targetInstance: target.instance,
    to: { host: target.host, port: target.port },
    done: new Map(target.exports.map(({ volumeId }) => [volumeId, new Set<number>()])),
    cancel: new AbortController(),
    sentBytes,
    restarted: sentBytes > 0 || comparedBytes > 0,
    isOver: false,
  };
  Object.assign(plane, { sending });
  return sending;
}

function piecesOf({ content }: MemoryPoint, base: MemoryPoint | undefined): readonly Piece[] {
  return [...content.values()].flatMap((volume) =>
    writtenSince(volume, base?.content.get(volume.volumeId)).map((block) => ({
      volumeId: volume.volumeId,
      block,
      bytes: volume.blocks.get(block) ?? new Uint8Array(BLOCK_BYTES),
    })),
  );
}
