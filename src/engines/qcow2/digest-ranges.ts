import { refuse } from '../../domain/refusal.ts';
import { MAX_RANGES, MAX_RANGE_BYTES, MIN_RANGE_BYTES } from '../../ports/engine-comparison.ts';
import type { DigestRanges, RangeDigest, RangeDigests } from '../../ports/engine-comparison.ts';
import { readRanges } from '../nbd/range-digests.ts';
import type { Group } from './group.ts';
import { readingPoint } from './point-reading.ts';

const BLOCK_BYTES = 4096;

export async function digestRanges(group: Group, request: DigestRanges): Promise<RangeDigests> {
  const { pointId, volumeId, rangeBytes, firstRange, ranges } = request;
  checkRangeBytes(rangeBytes);
  checkNumber('firstRange', firstRange, 0, Number.MAX_SAFE_INTEGER);
  checkNumber('ranges', ranges, 1, MAX_RANGES);
  const what = `digests of point ${pointId}`;
  return readingPoint(group, { pointId, name: 'hash', what }, async ({ point, connect }) => {
    if (!point.volumes.some((volume) => volume.volumeId === volumeId)) {
      refuse({ code: 'not_found', what: 'volume', id: volumeId });
    }
    const connection = await connect(volumeId);
    const digests: RangeDigest[] = [];
    for await (const { digest } of readRanges(connection, { rangeBytes, firstRange, ranges })) {
      digests.push(digest);
    }
    const { sizeBytes } = connection.info;
    await connection.disconnect();
    return { sizeBytes, digests };
  });
}

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

function checkNumber(field: string, seen: number, least: number, most: number): void {
  if (Number.isSafeInteger(seen) && seen >= least && seen <= most) return;
  refuse({ code: 'invalid', field, wanted: `${least} to ${most}`, seen: `${seen}` });
}
