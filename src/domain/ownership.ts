/**
 * Who may write. The epoch counts changes of holder and is written durably before the new
 * holder serves its first write, so two sites can always tell whose word is newer.
 *
 *   A holds, epoch e ── give(B) ──▶ B holds, epoch e+1      (A's store; A never serves again)
 *                                   B: take(e+1) ──▶ B holds, epoch e+1   (B's store; B serves)
 */
import type { History } from './history.ts';
import { newId } from './ids.ts';
import type { GroupId, HistoryId, PointId, SiteId } from './ids.ts';
import { refuse } from './refusal.ts';

export interface Ownership {
  readonly holder: SiteId;
  readonly epoch: number;
  /** Taken without the other site's word; both sites show it until somebody acknowledges it. */
  readonly forced: boolean;
  /** Taken so for a term, in which it can be rolled back. */
  readonly provisional?: boolean;
  /** What hosts may follow from one holder to the next. */
  readonly history: History;
}

export function firstOwnership(holder: SiteId): Ownership {
  return { holder, epoch: 1, forced: false, history: { id: newId<HistoryId>() } };
}

/** @throws Refusal `not_holder` unless this site may write the group. */
export function requireHolder(groupId: GroupId, ownership: Ownership, here: SiteId): void {
  const { holder, epoch } = ownership;
  if (holder !== here) refuse({ code: 'not_holder', groupId, holder, epoch });
}

/** The holder's record after it has given the group away. Repeating it changes nothing. */
export function give(groupId: GroupId, own: Ownership, from: SiteId, to: SiteId): Ownership {
  requireHolder(groupId, own, from);
  const { history } = own;
  return { history, holder: to, epoch: own.epoch + 1, forced: false };
}

/**
 * The new holder's record after it was given the group at `epoch`.
 * A repeat of what it already took is the same record.
 *
 * @throws Refusal `stale_epoch` when the giver speaks of any epoch but the next
 */
export function take(groupId: GroupId, own: Ownership, here: SiteId, epoch: number): Ownership {
  if (own.holder === here && own.epoch === epoch) return own;
  if (epoch !== own.epoch + 1) {
    refuse({ code: 'stale_epoch', groupId, seenEpoch: epoch, ownEpoch: own.epoch });
  }
  const { history } = own;
  return { history, holder: here, epoch, forced: false };
}

/**
 * The record of a site that takes a group without the other's word, to stand on a point. Both show it
 * as forced until somebody acknowledges it. Hosts may have been promised writes that the point lacks,
 * so a new history begins.
 *
 * @param provisional whether it can be rolled back for a term
 */
export function seize(
  own: Ownership,
  here: SiteId,
  pointId: PointId,
  provisional = false,
): Ownership {
  const history = { id: newId<HistoryId>(), pointId };
  const taken = { holder: here, epoch: own.epoch + 1, forced: true, history };
  return provisional ? { ...taken, provisional } : taken;
}

/** The history that was begun on a point, once it is known that the point has another name. */
export function standingOn(own: Ownership, pointId: PointId): Ownership {
  return { ...own, history: { ...own.history, pointId } };
}

/** What a site must do when another site's word about a group arrives. */
export type Meeting = 'same' | 'they_are_behind' | 'learn' | 'fence_then_learn';

/** A higher epoch always wins; a holder that meets one fences before it does anything else. */
export function meet(own: Ownership, theirs: Ownership, here: SiteId): Meeting {
  if (theirs.epoch < own.epoch) return 'they_are_behind';
  if (theirs.epoch === own.epoch) return 'same';
  return own.holder === here ? 'fence_then_learn' : 'learn';
}

/** @throws Refusal `stale_epoch` unless a peer's message speaks of the epoch this site knows. */
export function requireEpoch(groupId: GroupId, own: Ownership, seenEpoch: number): void {
  if (seenEpoch !== own.epoch)
    refuse({ code: 'stale_epoch', groupId, seenEpoch, ownEpoch: own.epoch });
}
