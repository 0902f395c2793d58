/** What two copies have of one place, compared while a host writes both. */
import { setTimeout as passes } from 'node:timers/promises';

const BLOCK_BYTES = 4096;
/** Under a host that writes the same blocks all the time a look may need luck. */
const MAX_ROUNDS = 40;
const ROUND_REST_MS = 50;

export const READS_AT_ONCE = 4;
export const MAX_REPORTED_RANGES = 64;

export interface Blocks {
  readonly offset: number;
  readonly lengthBytes: number;
}

/** The blocks in which they differ. @param offset where both of them begin in their volume */
export function differingBlocks(a: Buffer, b: Buffer, offset: number): readonly Blocks[] {
  if (a.equals(b)) return [];
  const differing: Blocks[] = [];
  for (let at = 0; at < a.length; at += BLOCK_BYTES) {
    const end = Math.min(at + BLOCK_BYTES, a.length);
    if (a.subarray(at, end).equals(b.subarray(at, end))) continue;
    differing.push({ offset: offset + at, lengthBytes: end - at });
  }
  return differing;
}

/**
 * Looks again, and again, at what differs: what is equal once was copied right, and a write that was
 * on its way has arrived by the next look. What never becomes equal differs.
 *
 * @param compareAgain @returns what of it differs still
 */
export async function whatNeverBecomesEqual<T>(
  differing: readonly T[],
  compareAgain: (open: readonly T[]) => Promise<readonly T[]>,
  signal: AbortSignal,
): Promise<readonly T[]> {
  let open = differing;
  for (let round = 1; open.length > 0 && round < MAX_ROUNDS; round += 1) {
    await passes(ROUND_REST_MS, undefined, { signal });
    open = await compareAgain(open);
  }
  return open;
}
