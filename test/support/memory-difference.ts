/** Comparison by digests, range by range, in a memory engine. */
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { refuse } from '../../src/domain/refusal.ts';
import {
  MAX_RANGES,
  MAX_RANGE_BYTES,
  MIN_RANGE_BYTES,
  ZEROS,
} from '../../src/ports/engine-comparison.ts';
import type {
  DigestRanges,
  RangeDigest,
  RangeDigests,
  SendDifference,
  SentDifference,
} from '../../src/ports/engine-comparison.ts';
import type { SendWatch } from '../../src/ports/engine.ts';
import type { DataPlane, MemoryPoint } from './memory-group.ts';
import type { MemoryNetwork } from './memory-network.ts';
import { aborted, goOnOrRestart } from './memory-send.ts';
import { BLOCK_BYTES } from './volume-content.ts';
import type { VolumeContent } from './volume-content.ts';

/** @throws Refusal `invalid` */
export function checkRangeBytes(rangeBytes: number): void {
  const fits =
    rangeBytes % BLOCK_BYTES === 0 &&
    rangeBytes >= MIN_RANGE_BYTES &&
    rangeBytes <= MAX_RANGE_BYTES;
  if (fits) return;
  const wanted = `a multiple of ${BLOCK_BYTES} from ${MIN_RANGE_BYTES} to ${MAX_RANGE_BYTES}`;
  refuse({ code: 'invalid', field: 'rangeBytes', wanted, seen: `${rangeBytes}` });
}

export function digestRanges(
  { content }: MemoryPoint,
  { volumeId, rangeBytes, firstRange, ranges }: DigestRanges,
): RangeDigests {
  checkRangeBytes(rangeBytes);
  if (ranges < 1 || ranges > MAX_RANGES) {
    refuse({ code: 'invalid', field: 'ranges', wanted: `1 to ${MAX_RANGES}`, seen: `${ranges}` });
  }
  if (!Number.isSafeInteger(firstRange) || firstRange < 0) {
    refuse({ code: 'invalid', field: 'firstRange', wanted: '0 or more', seen: `${firstRange}` });
  }
  const volume = content.get(volumeId);
  if (volume === undefined) return refuse({ code: 'not_found', what: 'volume', id: volumeId });
  const last = Math.min(firstRange + ranges, Math.ceil(volume.sizeBytes / rangeBytes));
  const numbers = Array.from({ length: Math.max(0, last - firstRange) }, (_, n) => firstRange + n);
  const digests = numbers.map((number) => digest(volume, number, rangeBytes));
  return { sizeBytes: volume.sizeBytes, digests };
}

function digest(volume: VolumeContent, number: number, rangeBytes: number): RangeDigest {
  const written = blocksOf(number, rangeBytes).filter((block) =>
    volume.blocks.get(block)?.some((byte) => byte !== 0),
  );
  if (written.length === 0) return ZEROS;
  const offset = number * rangeBytes;
  const bytes = Buffer.alloc(Math.min(rangeBytes, volume.sizeBytes - offset));
  for (const block of written)
    bytes.set(volume.blocks.get(block) ?? [], block * BLOCK_BYTES - offset);
  return createHash('sha256').update(bytes).digest('hex');
}

function blocksOf(number: number, rangeBytes: number): readonly number[] {
  const inRange = rangeBytes / BLOCK_BYTES;
  return Array.from({ length: inRange }, (_, n) => number * inRange + n);
}

export interface MemoryDifference {
  readonly network: MemoryNetwork;
  readonly point: MemoryPoint;
  readonly beforeBlock?: (target: SendDifference['target']) => Promise<void>;
}

/** As `sendOverMemory`, with whole ranges instead of blocks. */
export async function sendDifferenceOverMemory(
  plane: DataPlane,
  request: SendDifference,
  { onProgress, signal }: SendWatch,
  { network, point, beforeBlock = () => turn() }: MemoryDifference,
): Promise<SentDifference> {
  const { rangeBytes, target, digestsThere, groupId, pointId } = request;
  checkRangeBytes(rangeBytes);
  signal.throwIfAborted();
  network.connect(target);
  const sending = goOnOrRestart(plane, request, rangeBytes);
  const totalBytes = [...point.content.values()].reduce((sum, v) => sum + v.sizeBytes, 0);
  for (const volume of point.content.values()) {
    const { volumeId, sizeBytes } = volume;
    const done = sending.done.get(volumeId);
    for (let number = 0; number * rangeBytes < sizeBytes; number += 1) {
      if (done?.has(number) === true) continue;
      const where = { volumeId, rangeBytes, firstRange: number, ranges: 1 };
      const there = await digestsThere(where);
      const [here] = digestRanges(point, { ...where, groupId, pointId }).digests;
      const isSame = (there?.digests[0] ?? ZEROS) === here;
      for (const block of isSame ? [] : blocksOf(number, rangeBytes)) {
        if (block * BLOCK_BYTES >= sizeBytes) break;
        const ended = [aborted(signal), aborted(sending.cancel.signal)];
        await Promise.race([beforeBlock(target), ...ended]);
        signal.throwIfAborted();
        sending.cancel.signal.throwIfAborted();
        const bytes = volume.blocks.get(block) ?? new Uint8Array(BLOCK_BYTES);
        network.carry(target, volumeId, block, bytes);
      }
      const lengthBytes = Math.min(rangeBytes, sizeBytes - number * rangeBytes);
      sending.comparedBytes += lengthBytes;
      if (!isSame) sending.sentBytes += lengthBytes;
      done?.add(number);
      onProgress({ sentBytes: sending.comparedBytes, totalBytes });
    }
  }
  sending.isOver = true;
  const { comparedBytes, sentBytes, restarted } = sending;
  return { comparedBytes, sentBytes, restarted };
}
