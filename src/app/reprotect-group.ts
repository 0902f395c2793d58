import { expectedSeconds } from '../domain/cycle-plan.ts';
import { usable } from '../domain/failover-basis.ts';
import { newId } from '../domain/ids.ts';
import type { GroupId, SagaId, SiteId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import { advance } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { GroupDescription } from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import { needSession, sessionOf } from '../sagas/offer.ts';
import { lockGroup, requireFree } from '../sagas/operation.ts';
import { reprotect } from '../sagas/reprotect.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

interface ReprotectGroup {
  readonly groupId: GroupId;
}

/**
 * Replicates from the new holder, after a failover or a handover that did not reverse. The first
 * cycle moves what differs since the newest point that both sites have; where there is none, it compares
 * all bytes by their hashes and moves what differs.
 *
 * @throws Refusal `not_protected`, `not_holder`, `wrong_state`, `operation_running`, `in_use` while the
 *   failover is provisional; the saga ends undone when the other site does not answer or has no point at
 *   all of the group
 */
export function reprotectGroup(
  { store, clock, here }: Deps,
  { groupId }: ReprotectGroup,
): Promise<Job> {
  return store.transaction(async (tx) => {
    const session = await needSession(tx, groupId);
    requireHolder(groupId, (await tx.groups.need(groupId)).ownership, here);
    const now = clock.now();
    const moved = advance(session, 'reprotect', now);
    const sagaId = newId<SagaId>();
    await lockGroup(tx, groupId, sagaId);
    await tx.sessions.change(session.id, () => moved);
    const input = { sessionId: session.id, groupId, peerId: session.peerId };
    await startSaga(tx, reprotect, input, { sagaId, groupId, now });
    return { jobId: sagaId };
  });
}

/** How the copy at the other site would be brought up to date. Nothing is lost by it. */
export interface ReprotectPreflight {
  readonly to: SiteId | undefined;
  /** Absent: not known while the other site does not answer. */
  readonly method: 'delta' | 'comparison' | undefined;
  /** The newest that both sites have; of a delta. */
  readonly point: RecoveryPoint | undefined;
  /** Of a delta: what it moves at least. Of a comparison: what both sites read; less than that moves. */
  readonly bytes: number | undefined;
  readonly expectedSeconds: number | undefined;
  readonly blockedBy: readonly string[];
}

/** @throws Refusal `not_found` */
export async function preflightReprotect(
  ports: Deps & Pick<AppPorts, 'engine' | 'peer'>,
  { groupId }: ReprotectGroup,
): Promise<ReprotectPreflight> {
  const { store, engine, peer } = ports;
  const seen = await store.read(async (tx) => ({
    session: await sessionOf(tx, groupId),
    points: usable(await tx.points.where({ groupId })),
    blockedBy: await inTheWay(() => checkReprotect(tx, ports, groupId)),
  }));
  const { session, points } = seen;
  const to = session?.peerId;
  const nothing = { to, method: undefined, point: undefined, bytes: undefined };
  if (session === undefined || seen.blockedBy.length > 0) {
    return { ...nothing, expectedSeconds: undefined, blockedBy: seen.blockedBy };
  }
  let there: GroupDescription | undefined;
  const blockedBy = await inTheWay(async () => {
    there = await peer.describeGroup(session.peerId, groupId);
    const { hasPresent, points: theirs } = there;
    const state = 'still with a history of its own, which it sets aside first';
    const allowedIn = ['that is done'];
    const what = { what: 'group', id: groupId, event: 'reprotect', allowedIn } as const;
    if (hasPresent) refuse({ code: 'wrong_state', state, ...what });
    if (theirs.length === 0) refuse({ code: 'no_common_point', groupId, siteId: session.peerId });
  });
  if (there === undefined) return { ...nothing, expectedSeconds: undefined, blockedBy };
  const theirs = there.points;
  const point = points.findLast(({ id }) => theirs.includes(id));
  const method = point === undefined ? 'comparison' : 'delta';
  const bytes =
    point === undefined ? await sizeOf(ports, groupId) : await engine.bytesAbove(groupId, point.id);
  const { bytesPerSecond, lastCycle } = session;
  const limit = method === 'delta' ? bytesPerSecond : undefined;
  return {
    to,
    method,
    point,
    bytes,
    expectedSeconds: expectedSeconds(bytes, limit, lastCycle),
    blockedBy,
  };
}

async function checkReprotect(
  tx: Transaction,
  { here }: Pick<Deps, 'here'>,
  groupId: GroupId,
): Promise<ReplicationSession> {
  const group = await tx.groups.need(groupId);
  const session = await needSession(tx, groupId);
  requireHolder(groupId, group.ownership, here);
  await requireFree(tx, group);
  return advance(session, 'reprotect', session.stateSince);
}

function sizeOf({ store }: Pick<Deps, 'store'>, groupId: GroupId): Promise<number> {
  return store.read(async (tx) => {
    const volumes = await tx.volumes.where({ groupId });
    return volumes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  });
}

/** The sentence of a refusal, where there is one. */
async function inTheWay(check: () => Promise<unknown>): Promise<readonly string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.reason.code === 'not_found') throw error;
    return [error.message];
  }
}
