/** The end of a group's replication, and what goes with it. */
import type { GroupId, SiteId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import { advance } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { Transaction } from '../ports/store.ts';
import { needSession } from '../sagas/offer.ts';
import { requireFree } from '../sagas/operation.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { confirmationFor } from './confirmation.ts';
import { endProtection } from './protect-group.ts';
import type { EndProtection } from './protect-group.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

export interface UnprotectGroup extends EndProtection {
  /** What the preflight printed; needed to discard the copy, and to force it. */
  readonly confirmation?: string | undefined;
}

export interface UnprotectPreflight {
  readonly peerId: SiteId;
  /** Complete at the destination; with `discardCopy` they are deleted there. */
  readonly points: number;
  /** Nothing here is lost for good, unless it says so. */
  readonly consequence: string;
  readonly blockedBy: readonly string[];
  /** Absent: none is needed. */
  readonly confirmation: string | undefined;
}

/**
 * Ends a group's replication. The destination's copy stays, unserved, and makes a later session a
 * delta; with `discardCopy` it is deleted. Asked at the source; with `force` also at a destination
 * whose source is gone, which then only forgets the session. A repeat finds no session.
 *
 * @throws Refusal `not_protected`, `not_holder`, `operation_running`, `wrong_state`;
 *   `confirmation_needed` where it is forced or takes the copy away. Nothing is changed then.
 */
export function unprotectGroup(
  { store, clock, here }: Deps,
  request: UnprotectGroup,
): Promise<Job> {
  return store.transaction(async (tx) => {
    const { token, consequence } = await consequenceOf(tx, here, request);
    if (token !== undefined && token !== request.confirmation) {
      refuse({ code: 'confirmation_needed', token, consequence });
    }
    return endProtection(tx, { clock, here }, request);
  });
}

/** @throws Refusal `not_found`, `not_protected` */
export function preflightUnprotect(
  { store, here }: Pick<Deps, 'store' | 'here'>,
  request: UnprotectGroup,
): Promise<UnprotectPreflight> {
  return store.read(async (tx) => {
    const { peerId } = await needSession(tx, request.groupId);
    const points = await commonPoints(tx, request.groupId);
    try {
      const { token, consequence } = await consequenceOf(tx, here, request);
      return { peerId, points, consequence, blockedBy: [], confirmation: token };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const nothing = { consequence: 'nothing', confirmation: undefined };
      return { peerId, points, ...nothing, blockedBy: [error.message] };
    }
  });
}

async function consequenceOf(
  tx: Transaction,
  here: SiteId,
  request: UnprotectGroup,
): Promise<{ readonly token: string | undefined; readonly consequence: string }> {
  const { groupId, discardCopy, force = false } = request;
  const group = await tx.groups.need(groupId);
  const session = await needSession(tx, groupId);
  if (!(force && session.role === 'destination')) requireHolder(groupId, group.ownership, here);
  await requireFree(tx, group);
  advance(session, 'delete', session.stateSince);
  const points = await commonPoints(tx, groupId);
  const isSerious = discardCopy || force;
  return {
    token: isSerious ? tokenOf(session, request, points) : undefined,
    consequence: wordsOf(session, request, points),
  };
}

async function commonPoints(tx: Transaction, groupId: GroupId): Promise<number> {
  const points = await tx.points.where({ groupId });
  return points.filter(({ commonAt, expiring }) => commonAt !== undefined && !expiring).length;
}

function wordsOf(
  { role }: ReplicationSession,
  { discardCopy, force }: UnprotectGroup,
  points: number,
): string {
  if (role === 'destination') return 'this site forgets the session, and its source is not told';
  const copy = discardCopy
    ? `the destination's copy is deleted with its ${points} point(s)`
    : `the destination's copy stays there with its ${points} point(s)`;
  return force === true ? `${copy}, and if it does not answer it is not told` : copy;
}

function tokenOf(
  { id }: ReplicationSession,
  { discardCopy, force = false }: UnprotectGroup,
  points: number,
): string {
  return confirmationFor('unprotect', id, `${discardCopy}`, `${force}`, points);
}
