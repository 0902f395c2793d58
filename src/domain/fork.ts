import type { ForkId, GroupId, Instant, PointId, SiteId } from './ids.ts';

/**
 * A history set aside: what stood above a point that a site went back to. Its bytes are at one
 * site; both list it, so that nobody has to know where to look.
 */
export interface Fork {
  readonly id: ForkId;
  readonly groupId: GroupId;
  readonly name: string;
  readonly siteId: SiteId;
  readonly basePointId: PointId;
  readonly origin: 'failover' | 'failover_test' | 'restore' | 'undo' | 'rollback';
  readonly allocatedBytes: number;
  readonly setAsideAt: Instant;
  /** Until then somebody has to decide; afterwards it goes. */
  readonly expiresAt: Instant;
  /** Counted down while the server runs; absent: not counted yet. */
  readonly leftMs?: number;
}

export const FORK_TERM_MS = 7 * 24 * 60 * 60 * 1000;

/** `orders-failover-20261121T031000Z`: says what it was of, why and when. */
export function forkName(groupName: string, origin: Fork['origin'], at: Instant): string {
  const instant = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `${groupName.slice(0, 32)}-${origin}-${instant}`;
}
