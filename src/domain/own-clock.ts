import type { Instant } from './ids.ts';

/** Clocks that differ by less are the same clock: a message takes some time, too. */
const SAME_CLOCK_MS = 5_000;

/** What another site tells by its clock. */
export interface ToldInstant {
  readonly sealedAt: Instant;
  /** When it told it. */
  readonly toldAt: Instant;
}

/**
 * The same instant by this site's clock, so that what is reckoned from it (an age, what a failover
 * would lose) is true although one of the clocks is an hour off.
 *
 * @param now when it was heard
 */
export function byOwnClock({ sealedAt, toldAt }: ToldInstant, now: Instant): Instant {
  const aheadMs = toldAt - now;
  return Math.abs(aheadMs) < SAME_CLOCK_MS ? sealedAt : sealedAt - aheadMs;
}
