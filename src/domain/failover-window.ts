/**
 * A failover may be provisional: for a term it can still be rolled back to the site that the group was
 * taken from. It ends committed, by somebody or by its term, or rolled back.
 *
 *   failover, to be committed after 4 h ─▶ provisional ── commit, or 4 h ─▶ committed
 *                                               └──────── roll back ──────▶ at the old holder, with its history
 *
 * Meanwhile no other operation may change the group: what the old holder set aside has to fit again.
 */
import type { Group } from './group.ts';
import type { History } from './history.ts';
import type { ForkId, Instant, PointId, SiteId } from './ids.ts';
import { refuse } from './refusal.ts';

/** At the holder, while its failover is provisional. */
export interface FailoverWindow {
  /** The site that the group was taken from. */
  readonly returnsTo: SiteId;
  readonly openedAt: Instant;
  /** Counted down while the server runs; with none left the failover is committed. */
  readonly leftMs: number;
  /** When that will be, as it was counted last. */
  readonly endsAt: Instant;
}

export const MIN_COMMIT_AFTER_SECONDS = 60;
/** Well within a fork's term: what the other site set aside is there until the end. */
export const MAX_COMMIT_AFTER_SECONDS = 3 * 24 * 60 * 60;

/** At a site that a group was taken from: what it had, and where that is now. */
export interface Overtaken {
  /** Of the claim that it met. */
  readonly epoch: number;
  readonly history: History;
  /** Absent: it is not set aside yet. */
  readonly aside?: HistoryAside | undefined;
}

/** A site's own history after it went back to what both sites have. */
export interface HistoryAside {
  readonly basePointId: PointId;
  /** Absent: nothing had been written above the point. */
  readonly forkId?: ForkId | undefined;
}

export function openWindow(returnsTo: SiteId, termMs: number, now: Instant): FailoverWindow {
  return { returnsTo, openedAt: now, leftMs: termMs, endsAt: now + termMs };
}

/** What is said of the end follows what is left, whatever the clock was when it was opened. */
export function countedDown(
  window: FailoverWindow,
  elapsedMs: number,
  now: Instant,
): FailoverWindow {
  const leftMs = Math.max(0, window.leftMs - elapsedMs);
  return { ...window, leftMs, endsAt: now + leftMs };
}

/** The group once its failover stands. Of one that is committed it changes nothing. */
export function committed(group: Group): Group {
  const { provisional: _, ...ownership } = group.ownership;
  return { ...group, ownership, window: undefined };
}

/** @throws Refusal `in_use` while a failover of this site's is provisional */
export function refuseWhileProvisional({ name, window }: Group): void {
  if (window === undefined) return;
  const by = 'a failover that is provisional: commit it or roll it back first';
  refuse({ code: 'in_use', what: 'group', id: name, by });
}

/** Whether a fork is what a failover that is still provisional may return to. */
export function isReturnedTo({ ownership, overtaken }: Group, forkId: ForkId): boolean {
  const isCurrent = ownership.provisional === true && overtaken?.epoch === ownership.epoch;
  return isCurrent && overtaken.aside?.forkId === forkId;
}
