import { subtle } from 'node:crypto';
import { ZEROS } from '../../ports/engine-comparison.ts';
import type { RangeDigest } from '../../ports/engine-comparison.ts';
import { unitsOf } from './allocation.ts';
import type { NbdConnection } from './connection.ts';

/** Ranges in memory at once: so many bytes, and so many ranges. */
const WINDOW_BYTES = 32 * 1024 * 1024;
const WINDOW_RANGES = 8;

export interface ReadRange {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly digest: RangeDigest;
  /** Absent: all of it is zeros. */
  readonly bytes: Buffer | undefined;
}

export interface RangesWanted {
  readonly rangeBytes: number;
  readonly firstRange: number;
  readonly ranges: number;
}

/**
 * Reads ranges of an export with their digests, in order, some of them ahead. Those that the server
 * knows to be zeros are not read. The content must not change meanwhile.
 *
 * @throws NbdError, NbdConnectionLost
 */
export async function* readRanges(
  connection: NbdConnection,
  { rangeBytes, firstRange, ranges }: RangesWanted,
): AsyncGenerator<ReadRange> {
  const { sizeBytes } = connection.info;
  const from = Math.min(firstRange * rangeBytes, sizeBytes);
  const to = Math.min(from + ranges * rangeBytes, sizeBytes);
  const zeros = Buffer.alloc(rangeBytes);
  const ahead = Math.max(1, Math.min(WINDOW_RANGES, Math.floor(WINDOW_BYTES / rangeBytes)));
  const window: Promise<ReadRange>[] = [];
  try {
    for await (const { offset, lengthBytes, zero } of unitsOf(connection, {
      unitBytes: rangeBytes,
      from,
      to,
    })) {
      const range = zero
        ? Promise.resolve({ offset, lengthBytes, digest: ZEROS, bytes: undefined })
        : read(connection, offset, zeros.subarray(0, lengthBytes));
      // Its rejection is met when its turn comes, which may be later than when it happens.
      range.catch(() => undefined);
      window.push(range);
      const oldest = window.length >= ahead ? window.shift() : undefined;
      if (oldest) yield await oldest;
    }
    for (let oldest = window.shift(); oldest; oldest = window.shift()) yield await oldest;
  } finally {
    await Promise.allSettled(window);
  }
}

async function read(connection: NbdConnection, offset: number, zeros: Buffer): Promise<ReadRange> {
  const lengthBytes = zeros.length;
  const bytes = await connection.read(offset, lengthBytes);
  if (bytes.equals(zeros)) return { offset, lengthBytes, digest: ZEROS, bytes: undefined };
  // Web Crypto's digest runs beside the main thread.
  const digest = await subtle.digest('SHA-256', bytes as Buffer<ArrayBuffer>);
  return { offset, lengthBytes, digest: Buffer.from(digest).toString('hex'), bytes };
}
