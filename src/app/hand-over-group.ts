import { MAX_WARM_UP_CYCLES } from '../domain/cycle-plan.ts';
import type { Group } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import type { ForkId, GroupId, PointId, SagaId, SiteId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import { ageSeconds, newestCommon } from '../domain/recovery-point.ts';
import { advance } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { Transaction } from '../ports/store.ts';
import { handover } from '../sagas/handover.ts';
import type { Handover, PlannedCycle } from '../sagas/handover.ts';
import { needSession } from '../sagas/offer.ts';
import { lockGroup, requireFree } from '../sagas/operation.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { hostsAtHandover } from './attached-hosts.ts';
import type { HostsAtHandover } from './attached-hosts.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

export interface HandOverGroup {
  readonly groupId: GroupId;
  /** Absent: the group's one peer. */
  readonly to?: SiteId | undefined;
  /** Replicate back at once; else both sides wait for `reprotect`. */
  readonly reverse: boolean;
}

/**
 * Starts a planned handover: no write is lost. The saga's id is the job to follow. While a
 * handover to the same site runs, that one is the answer.
 *
 * @throws Refusal `not_found` (also an unknown partner), `not_protected`, `not_holder`,
 *   `operation_running`, `wrong_state`, `peer_unreachable`, `invalid` (a partner that is not this
 *   group's). What only the other site can tell refuses inside the saga, which then ends undone.
 */
export function handOverGroup({ store, clock, here }: Deps, request: HandOverGroup): Promise<Job> {
  const { groupId, reverse } = request;
  return store.transaction(async (tx) => {
    const running = await runningHandover(tx, request);
    if (running !== undefined) return { jobId: running };
    const { group, session } = await checkHandover(tx, here, request);
    const sagaId = newId<SagaId>();
    const now = clock.now();
    await lockGroup(tx, groupId, sagaId);
    await tx.sessions.change(session.id, (s) => advance(s, 'hand_over', now));
    const input: Handover = {
      sessionId: session.id,
      groupId,
      to: session.peerId,
      epoch: group.ownership.epoch,
      reverse,
      warmUps: Array.from({ length: MAX_WARM_UP_CYCLES }, planCycle),
      last: planCycle(),
      forkId: newId<ForkId>(),
    };
    await startSaga(tx, handover, input, { sagaId, groupId, now });
    return { jobId: sagaId };
  });
}

/** What a handover would do, what blocks it, what it should cost. Changes nothing. */
export interface HandoverPreflight {
  readonly from: SiteId;
  readonly to: SiteId | undefined;
  readonly blockedBy: readonly string[];
  readonly epoch: number;
  /** A planned handover loses nothing: it fences first and moves the last write before ownership. */
  readonly lostBytes: 0;
  /** From the last cycle; absent when there was none. */
  readonly expectedSeconds: number | undefined;
  readonly newestPointAgeSeconds: number | undefined;
  readonly hosts: HostsAtHandover;
}

/** @throws Refusal `not_found` */
export async function preflightHandover(
  ports: Deps & Parameters<typeof hostsAtHandover>[0],
  request: HandOverGroup,
): Promise<HandoverPreflight> {
  const { store, clock, here } = ports;
  const hosts = await hostsAtHandover(
    ports,
    await store.read((tx) => tx.groups.need(request.groupId)),
  );
  return store.read(async (tx) => {
    const group = await tx.groups.need(request.groupId);
    const blockedBy: string[] = [];
    try {
      await checkHandover(tx, here, request);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      blockedBy.push(error.message);
    }
    const session = (await tx.sessions.where({ groupId: group.id }))[0];
    const point = newestCommon(await tx.points.where({ groupId: group.id }));
    const cycleMs = session?.lastCycle?.durationMs;
    return {
      from: group.ownership.holder,
      to: session?.peerId,
      blockedBy,
      epoch: group.ownership.epoch,
      lostBytes: 0,
      // A warm-up cycle and the last one, each about as long as the last measured.
      expectedSeconds: cycleMs === undefined ? undefined : Math.ceil((2 * cycleMs) / 1000),
      newestPointAgeSeconds: point && ageSeconds(point, clock.now()),
      hosts,
    };
  });
}

async function runningHandover(
  tx: Transaction,
  { groupId, to, reverse }: HandOverGroup,
): Promise<SagaId | undefined> {
  const { operation } = await tx.groups.need(groupId);
  const saga = operation === undefined ? undefined : await tx.sagas.get(operation);
  if (saga?.kind !== handover.kind) return undefined;
  const input = saga.input as Handover;
  return input.reverse === reverse && (to === undefined || to === input.to) ? saga.id : undefined;
}

async function checkHandover(
  tx: Transaction,
  here: SiteId,
  { groupId, to }: HandOverGroup,
): Promise<{ readonly group: Group; readonly session: ReplicationSession }> {
  const group = await tx.groups.need(groupId);
  if (to !== undefined) await tx.peers.need(to);
  const session = await needSession(tx, groupId);
  requireHolder(groupId, group.ownership, here);
  if (to !== undefined && to !== session.peerId) {
    refuse({
      code: 'invalid',
      field: 'to',
      wanted: `the group's peer ${session.peerId}`,
      seen: to,
    });
  }
  await requireFree(tx, group);
  advance(session, 'hand_over', session.stateSince);
  const link = await tx.links.get(session.peerId);
  if (link?.state === 'down') {
    const detail = link.detail ?? 'no heartbeat';
    refuse({ code: 'peer_unreachable', siteId: session.peerId, detail });
  }
  return { group, session };
}

function planCycle(): PlannedCycle {
  return { sagaId: newId<SagaId>(), pointId: newId<PointId>() };
}
