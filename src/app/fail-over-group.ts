import type { Group } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import type { ForkId, GroupId, Instant, PointId, SagaId } from '../domain/ids.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import { MAX_COMMIT_AFTER_SECONDS, MIN_COMMIT_AFTER_SECONDS } from '../domain/failover-window.ts';
import { failoverBasis, usable } from '../domain/failover-basis.ts';
import type { FailoverBasis } from '../domain/failover-basis.ts';
import { ageSeconds, newest } from '../domain/recovery-point.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import { advance } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { SagaRecord } from '../domain/saga-record.ts';
import type { Fork as EngineFork } from '../ports/engine.ts';
import type { Transaction } from '../ports/store.ts';
import type { Adoption } from '../sagas/adopt.ts';
import { failover } from '../sagas/failover.ts';
import { handover } from '../sagas/handover.ts';
import { rollBack } from '../sagas/roll-back.ts';
import { needSession, sessionOf } from '../sagas/offer.ts';
import { startSaga } from '../sagas/saga.ts';
import { needFork, requireAdoptable } from './adopt-fork.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { confirmationFor } from './confirmation.ts';
import { lastTookSeconds } from './expected-time.ts';
import { refuseWhileTested, testOf } from './failover-test.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here' | 'engine'>;

export interface FailOverGroup {
  readonly groupId: GroupId;
  /** Absent: the newest complete one. Later ones become a fork. */
  readonly pointId?: PointId | undefined;
  /** On what the failover test that runs here has written. */
  readonly useTestCopy?: boolean | undefined;
  /** On a history that was set aside at this site: its writes come back. */
  readonly forkId?: ForkId | undefined;
  /** Also at the old source of a failover or of a handover that did not reverse, before it is reprotected. */
  readonly force?: boolean | undefined;
  /** For so long it can be rolled back, and is committed then; absent: it stands at once. */
  readonly commitAfterSeconds?: number | undefined;
  /** What the preflight printed: that the caller has seen what is lost. */
  readonly confirmation?: string | undefined;
}

/** What a failover would stand on, and what it would lose. Changes nothing. */
export interface FailoverPreflight {
  readonly point: RecoveryPoint | undefined;
  readonly pointAgeSeconds: number | undefined;
  /**
   * Everything that the source's hosts were answered for until then, by its clock, is here; of what
   * came after, nothing is known.
   */
  readonly completeUpTo: Instant | undefined;
  /** But that nothing came, unless somebody at the source let hosts go on that were to be held. */
  readonly nothingAfter: boolean;
  /** Points here that would be set aside, newer than the chosen one. */
  readonly newerPoints: number;
  /** Known to have been sent and not complete: it goes. */
  readonly incompleteBytes: number;
  /** Of those newer points: a fork keeps it. */
  readonly setAsideBytes: number;
  /** As long as the last one here took; absent: there was none. */
  readonly expectedSeconds: number | undefined;
  readonly blockedBy: readonly string[];
  readonly warnings: readonly string[];
  /** What the request must carry. */
  readonly confirmation: string | undefined;
}

/** What a failover stands on, and what it lost. */
export type FailoverLoss = Pick<
  FailoverPreflight,
  | 'pointAgeSeconds'
  | 'completeUpTo'
  | 'nothingAfter'
  | 'newerPoints'
  | 'incompleteBytes'
  | 'setAsideBytes'
>;

/**
 * Takes the group without the other site. Everything that hosts wrote there after the point is
 * not here; should that site return, it keeps it as a fork.
 *
 * @throws Refusal `not_protected`, `wrong_state`, `point_missing`, `operation_running`, `in_use`
 *   (already held here), `invalid` (the term; or there is one, and this site has given the group away
 *   and waits for the answer), `confirmation_needed`
 */
export async function failOverGroup(
  ports: Deps,
  request: FailOverGroup,
): Promise<Job & { readonly point: RecoveryPoint; readonly loss: FailoverLoss }> {
  const { groupId, confirmation, commitAfterSeconds } = request;
  const before = await preflight(ports, request);
  return ports.store.transaction(async (tx) => {
    const checked = await checkFailover(tx, ports, request, before.forks);
    const { group, session, basis, adopts } = checked;
    const { point, standby, completeUpTo, nothingAfter } = basis;
    const token = tokenOf(group, basis, adopts);
    if (confirmation !== token) {
      const seconds = ageSeconds(point, ports.clock.now());
      const consequence = nothingAfter
        ? 'what was written after the source let held hosts go on, if it did, is not here'
        : `what was written in the last ${seconds} s is not here`;
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
      adopts,
      before: session.state,
      standby,
      commitAfterMs: commitAfterSeconds === undefined ? undefined : commitAfterSeconds * 1000,
    };
    await startSaga(tx, failover, input, { sagaId, groupId, now });
    const { newerPoints, incompleteBytes, setAsideBytes } = before;
    const pointAgeSeconds = ageSeconds(point, now);
    const kept = { newerPoints, incompleteBytes, setAsideBytes };
    const loss = { pointAgeSeconds, completeUpTo, nothingAfter, ...kept };
    return { jobId: sagaId, point, loss };
  });
}

/** @throws Refusal `not_found` */
export async function preflightFailover(
  ports: Deps,
  request: FailOverGroup,
): Promise<FailoverPreflight> {
  const { forks: _, ...seen } = await preflight(ports, request);
  return seen;
}

async function preflight(
  ports: Deps,
  request: FailOverGroup,
): Promise<FailoverPreflight & { readonly forks: readonly EngineFork[] }> {
  const { store, clock, engine } = ports;
  const { forks } = await engine.inspect(request.groupId);
  const seen = await store.read(async (tx) => {
    const group = await tx.groups.need(request.groupId);
    const session = await sessionOf(tx, group.id);
    const all = await tx.points.where({ groupId: group.id });
    const points = usable(all);
    const wanted = (await baseOf(tx, request)) ?? request.pointId;
    const basis = failoverBasis(session, all, wanted);
    const point = basis?.point;
    const blockedBy: string[] = [];
    let adopts: Adoption | undefined;
    try {
      ({ adopts } = await checkFailover(tx, ports, request, forks));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      blockedBy.push(error.message);
    }
    const link = session && (await tx.links.get(session.peerId));
    const warnings =
      link?.state === 'up' ? ['the other site answers: a handover would lose nothing'] : [];
    return {
      point,
      newest: newest(points),
      pointAgeSeconds: point && ageSeconds(point, clock.now()),
      completeUpTo: basis?.completeUpTo,
      nothingAfter: basis?.nothingAfter ?? false,
      newerPoints:
        point === undefined ? 0 : points.filter((p) => p.sequence > point.sequence).length,
      expectedSeconds: await lastTookSeconds(tx, failover),
      blockedBy,
      warnings,
      confirmation: basis && tokenOf(group, basis, adopts),
    };
  });
  const { newest: top, ...facts } = seen;
  const { groupId } = request;
  const incompleteBytes = await engine.bytesAbove(groupId, top?.id);
  const aboveBytes = await engine.bytesAbove(groupId, seen.point?.id);
  return {
    ...facts,
    forks,
    incompleteBytes,
    setAsideBytes: seen.point === undefined ? 0 : Math.max(0, aboveBytes - incompleteBytes),
  };
}

const givesAway = new Set<string>([handover.kind, rollBack.kind]);

interface Checked {
  readonly group: Group;
  readonly session: ReplicationSession;
  readonly basis: FailoverBasis;
  readonly adopts: Adoption | undefined;
}

async function checkFailover(
  tx: Transaction,
  { here }: Deps,
  request: FailOverGroup,
  forks: readonly EngineFork[],
): Promise<Checked> {
  const { groupId, pointId, force = false, useTestCopy = false } = request;
  checkCommitAfter(request.commitAfterSeconds);
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
  // One that has given the group away and gets no answer is what a failover is for.
  if (running !== undefined && !givesAway.has(running.kind)) {
    refuse({ code: 'operation_running', groupId, sagaId: running.id, kind: running.kind });
  }
  if (running !== undefined) checkNotProvisional(running, request.commitAfterSeconds);
  advance(session, commandFor(session, force), session.stateSince);
  if (!useTestCopy) await refuseWhileTested(tx, groupId);
  const adopts = await adoptionFor(tx, group, request, forks);
  const wanted = (await baseOf(tx, request)) ?? pointId;
  const basis = failoverBasis(session, await tx.points.where({ groupId }), wanted);
  if (basis !== undefined) return { group, session, basis, adopts };
  if (wanted !== undefined) refuse({ code: 'point_missing', groupId, pointId: wanted });
  return refuse({
    code: 'wrong_state',
    what: 'group',
    id: group.name,
    state: 'without a complete recovery point',
    event: 'fail_over',
    allowedIn: ['its first copy is complete'],
  });
}

function checkCommitAfter(seconds: number | undefined): void {
  if (seconds === undefined) return;
  const [least, most] = [MIN_COMMIT_AFTER_SECONDS, MAX_COMMIT_AFTER_SECONDS];
  if (Number.isSafeInteger(seconds) && seconds >= least && seconds <= most) return;
  const wanted = `a whole number from ${least} to ${most}`;
  refuse({ code: 'invalid', field: 'commitAfterSeconds', wanted, seen: String(seconds) });
}

/** A rollback would return the group to a site that may never have taken it. */
function checkNotProvisional({ kind }: SagaRecord, seconds: number | undefined): void {
  if (seconds === undefined) return;
  const wanted = `none while the other site has not answered this site's ${kind}`;
  refuse({ code: 'invalid', field: 'commitAfterSeconds', wanted, seen: String(seconds) });
}

/** The point that the test's copy or the fork stands on. */
async function baseOf(
  tx: Transaction,
  { groupId, useTestCopy = false, forkId }: FailOverGroup,
): Promise<PointId | undefined> {
  if (useTestCopy) return (await testOf(tx, groupId))?.basePointId;
  return forkId === undefined ? undefined : (await tx.forks.get(forkId))?.basePointId;
}

/** What is to be the present where it is not the point itself. */
async function adoptionFor(
  tx: Transaction,
  group: Group,
  { groupId, pointId, useTestCopy = false, forkId }: FailOverGroup,
  forks: readonly EngineFork[],
): Promise<Adoption | undefined> {
  const named = [pointId, forkId, useTestCopy || undefined].filter((one) => one !== undefined);
  if (named.length > 1) {
    const wanted = 'one of a point, a fork and the test copy to stand on';
    refuse({ code: 'invalid', field: 'point', wanted, seen: `${named.length} of them` });
  }
  if (useTestCopy) {
    const test = await testOf(tx, groupId);
    if (test === undefined) {
      return refuse({ code: 'not_found', what: 'copy', id: `${group.name}-test` });
    }
    if (test.state !== 'open') {
      refuse({ code: 'busy', groupId, doing: `failover test ${test.name} is ${test.state}` });
    }
    return { forkId: newId<ForkId>(), copyId: test.id };
  }
  if (forkId === undefined) return undefined;
  const fork = await needFork(tx, groupId, forkId);
  requireAdoptable(group, fork, forks);
  return { forkId, copyId: undefined };
}

function tokenOf(
  { id, ownership }: Group,
  { point, standby }: FailoverBasis,
  adopts?: Adoption,
): string {
  const on = adopts?.copyId ?? adopts?.forkId ?? '';
  // A standby has no point's id yet.
  const standsOn = standby?.pointId === point.id ? standby.mirrorId : point.id;
  return confirmationFor('failover', id, ownership.epoch, standsOn, on);
}

/** A group that has been taken already is taken back only when somebody insists. */
function commandFor(
  { state }: ReplicationSession,
  force: boolean | undefined,
): 'fail_over' | 'fail_over_again' {
  return force === true && state === 'failed_over' ? 'fail_over_again' : 'fail_over';
}
