/** An import may not fill the disk: hosts of other groups write there, too, and the site's own store. */
import { statfs } from 'node:fs/promises';
import type { Group } from './group.ts';

/** Left to everybody else. */
const KEPT_FREE_BYTES = 64 * 1024 * 1024;
/**
 * A copy may not fill what is left in less time than this, in which it is looked at again many times:
 * it becomes slower and slower, and then is held.
 */
const FILLED_IN_SECONDS = 4;
const LEAST_BYTES_PER_SECOND = 1024 * 1024;

export interface Pace {
  /** 0: no limit. */
  readonly bytesPerSecond: number;
  /** There is no room for more. */
  readonly isHeld: boolean;
}

/** @param asked undefined: no limit */
export async function paceOf(group: Group, asked: number | undefined): Promise<Pace> {
  const roomBytes = await roomFor(group);
  const most = Math.max(LEAST_BYTES_PER_SECOND, Math.floor(roomBytes / FILLED_IN_SECONDS));
  const isHeld = roomBytes < LEAST_BYTES_PER_SECOND * FILLED_IN_SECONDS;
  return { bytesPerSecond: Math.min(asked ?? most, most), isHeld };
}

/** Why a copy stands still, as the operator's sentence; undefined where it need not. */
export async function whyHeld(group: Group): Promise<string | undefined> {
  const { isHeld } = await paceOf(group, undefined);
  if (!isHeld) return undefined;
  return `there is no room for it here, since ${KEPT_FREE_BYTES} bytes are kept free; it goes on when there is`;
}

async function roomFor({ site }: Group): Promise<number> {
  const { blocks, bavail, bsize } = await statfs(site.options.dataDirectory);
  // A file system in memory may not count at all.
  return blocks === 0 ? Number.MAX_SAFE_INTEGER : bavail * bsize - KEPT_FREE_BYTES;
}
