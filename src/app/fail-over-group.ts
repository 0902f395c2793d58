import type { Group } from '../domain/group.ts';
import { confirmationFor } from './confirmation.ts';
import { newId } from '../domain/ids.ts';
import type { ForkId, GroupId, Instant, PointId, SagaId } from '../domain/ids.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import { bySequence, newest } from '../domain/recovery-point.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import { advance } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { Transaction } from '../ports/store.ts';
import { failover } from '../sagas/failover.ts';
import { handover } from '../sagas/handover.ts';
import { needSession } from '../sagas/offer.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here' | 'engine'>;

export interface FailOverGroup {
  readonly groupId: GroupId;
  /** Absent: the newest complete one. Later ones become a fork. */
  readonly pointId?: PointId | undefined;
  /** Also at the old source of a failover or of a handover that did not reverse, before it is reprotected. */
  readonly force?: boolean | undefined;
  /** What the preflight printed: that the caller has seen what is lost. */
  readonly confirmation?: string | undefined;
}

/** What a failover would stand on, and what it would lose. Changes nothing. */
export interface FailoverPreflight {
  readonly point: RecoveryPoint | undefined;
  readonly pointAgeSeconds: number | undefined;
  /** Points here that would be set aside, newer than the chosen one. */
  readonly newerPoints: number;
  /** Known to have been sent and not complete: it goes. */
  readonly incompleteBytes: number;
  /** Of those newer points: a fork keeps it. */
  readonly setAsideBytes: number;
  readonly blockedBy: readonly string[];
  readonly warnings: readonly string[];
  /** What the request must carry. */
  readonly confirmation: string | undefined;
}

/** What a failover stands on, and what it lost. */
export type FailoverLoss = Pick<
  FailoverPreflight,
  'pointAgeSeconds' | 'newerPoints' | 'incompleteBytes' | 'setAsideBytes'
>;

/**
 * Takes the group without the other site. Everything that hosts wrote there after the point is
 * not here; should that site return, it keeps it as a fork.
 *
 * @throws Refusal `not_protected`, `wrong_state`, `point_missing`, `operation_running`, `in_use`
 *   (already held here), `confirmation_needed`
 */
export async function failOverGroup(
  ports: Deps,
  request: FailOverGroup,
): Promise<Job & { readonly point: RecoveryPoint; readonly loss: FailoverLoss }> {
  const { groupId, confirmation } = request;
  const before = await preflightFailover(ports, request);
  return ports.store.transaction(async (tx) => {
    const { group, session, point } = await checkFailover(tx, ports, request);
    const token = confirmationFor('failover', groupId, group.ownership.epoch, point.id);
    if (confirmation !== token) {
      const seconds = ageSeconds(point, ports.clock.now());
      const consequence = `what was written in the last ${seconds} s is not here`;
      refuse({ code: 'confirmation_needed', token, consequence });
    }
    const sagaId = newId<SagaId>();
    const now = ports.clock.now();
    // A lock that the other site's handover has here does not hold up the worst day.
    await tx.groups.change(groupId, (g) => ({ ...g, operation: sagaId }));
    await tx.sessions.change(session.id, (s) => advance(s, commandFor(s, request.force), now));
    const input = {
      sessionId: session.id,
      groupId,
      pointId: point.id,
      forkId: newId<ForkId>(),
      before: session.state,
    };
    await startSaga(tx, failover, input, { sagaId, groupId, now });
    const { newerPoints, incompleteBytes, setAsideBytes } = before;
    const pointAgeSeconds = ageSeconds(point, now);
    return {
      jobId: sagaId,
      point,
      loss: { pointAgeSeconds, newerPoints, incompleteBytes, setAsideBytes },
    };
  });
}

/** @throws Refusal `not_found` */
export async function preflightFailover(
  ports: Deps,
  request: FailOverGroup,
): Promise<FailoverPreflight> {
  const { store, clock, engine } = ports;
  const seen = await store.read(async (tx) => {
    const group = await tx.groups.need(request.groupId);
    const points = usable(await tx.points.where({ groupId: group.id }));
    const point =
      request.pointId === undefined ? newest(points) : points.find((p) => p.id === request.pointId);
    const blockedBy: string[] = [];
    try {
      await checkFailover(tx, ports, request);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      blockedBy.push(error.message);
    }
    const session = (await tx.sessions.where({ groupId: group.id }))[0];
    const link = session && (await tx.links.get(session.peerId));
    const warnings =
      link?.state === 'up' ? ['the other site answers: a handover would lose nothing'] : [];
    return {
      point,
      newest: newest(points),
      pointAgeSeconds: point && ageSeconds(point, clock.now()),
      newerPoints:
        point === undefined ? 0 : points.filter((p) => p.sequence > point.sequence).length,
      blockedBy,
      warnings,
      confirmation: point && confirmationFor('failover', group.id, group.ownership.epoch, point.id),
    };
  });
  const { newest: top, ...preflight } = seen;
  const { groupId } = request;
  const incompleteBytes = await engine.bytesAbove(groupId, top?.id);
  const aboveBytes = await engine.bytesAbove(groupId, seen.point?.id);
  return {
    ...preflight,
    incompleteBytes,
    setAsideBytes: seen.point === undefined ? 0 : Math.max(0, aboveBytes - incompleteBytes),
  };
}

/** A point from a clock that is ahead is new. */
function ageSeconds({ sealedAt }: RecoveryPoint, now: Instant): number {
  return Math.max(0, Math.round((now - sealedAt) / 1000));
}

interface Checked {
  readonly group: Group;
  readonly session: ReplicationSession;
  readonly point: RecoveryPoint;
}

async function checkFailover(
  tx: Transaction,
  { here }: Deps,
  { groupId, pointId, force = false }: FailOverGroup,
): Promise<Checked> {
  const group = await tx.groups.need(groupId);
  const session = await needSession(tx, groupId);
  if (group.ownership.holder === here) {
    refuse({
      code: 'in_use',
      what: 'group',
      id: group.name,
      by: 'this site, which holds it already',
    });
  }
  const running = group.operation && (await tx.sagas.get(group.operation));
  // A handover that has given the group away and gets no answer is what a failover is for.
  if (running !== undefined && running.kind !== handover.kind) {
    refuse({ code: 'operation_running', groupId, sagaId: running.id, kind: running.kind });
  }
  advance(session, commandFor(session, force), session.stateSince);
  const points = usable(await tx.points.where({ groupId }));
  const point = pointId === undefined ? newest(points) : points.find((p) => p.id === pointId);
  if (point !== undefined) return { group, session, point };
  if (pointId !== undefined) refuse({ code: 'point_missing', groupId, pointId });
  return refuse({
    code: 'wrong_state',
    what: 'group',
    id: group.name,
    state: 'without a complete recovery point',
    event: 'fail_over',
    allowedIn: ['its first copy is complete'],
  });
}

/** A group that has been taken already is taken back only when somebody insists. */
function commandFor(
  { state }: ReplicationSession,
  force: boolean | undefined,
): 'fail_over' | 'fail_over_again' {
  return force === true && state === 'failed_over' ? 'fail_over_again' : 'fail_over';
}

function usable(points: readonly RecoveryPoint[]): readonly RecoveryPoint[] {
  return bySequence(points).filter((p) => !p.expiring);
}
