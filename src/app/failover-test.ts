import { DEFAULT_TEST_TERM_SECONDS } from '../domain/copy.ts';
import type { Copy } from '../domain/copy.ts';
import { newId } from '../domain/ids.ts';
import type { ForkId, GroupId, Instant, PointId } from '../domain/ids.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import type { SessionState } from '../domain/replication-session.ts';
import type { Transaction } from '../ports/store.ts';
import { needSession } from '../sagas/offer.ts';
import { refuseWhileOperated } from '../sagas/operation.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { startClosing } from './close-copy.ts';
import { needShown, startCopy } from './open-copy.ts';
import type { CopyJob, Shown } from './open-copy.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

const possibleIn: readonly SessionState[] = ['ok', 'synchronizing', 'paused', 'system_paused'];

export interface StartFailoverTest {
  readonly groupId: GroupId;
  /** Absent: the newest complete one. */
  readonly pointId?: PointId | undefined;
  /** Names of the hosts that may attach the test; absent: the group's. */
  readonly hosts?: readonly string[] | undefined;
  /** It ends by itself after so long, and what it wrote goes; 8 hours unless told. */
  readonly termSeconds?: number | undefined;
}

/**
 * Opens a writable copy of a point at the destination, to the hosts that it is for; replication goes
 * on beneath. Until it is stopped, or made the group by a failover with the test copy, the group is
 * not handed over to this site and its members do not change here.
 *
 * @throws Refusal `not_protected`, `wrong_state` — also at the source, and where there is no point
 *   yet; `already_exists` (a test runs), `operation_running`, `point_missing`, `not_found` (a host),
 *   `invalid`, `unsupported` (the point has other volumes than the group has now)
 */
export function startFailoverTest(ports: Deps, request: StartFailoverTest): Promise<CopyJob> {
  return ports.store.transaction(async (tx) => {
    const { name, shown } = await checkTest(tx, ports, request);
    const { groupId, hosts, termSeconds = DEFAULT_TEST_TERM_SECONDS } = request;
    const test = { groupId, name, purpose: 'failover_test', shown, writable: true } as const;
    return startCopy(tx, { ...test, hosts, termSeconds }, ports.clock.now());
  });
}

/** What a test would show, and what is in its way. Changes nothing. */
export interface FailoverTestPreflight {
  readonly point: RecoveryPoint | undefined;
  readonly hosts: readonly string[];
  readonly blockedBy: readonly string[];
  readonly endsAt: Instant;
}

/** @throws Refusal `not_found` */
export function preflightFailoverTest(
  ports: Deps,
  request: StartFailoverTest,
): Promise<FailoverTestPreflight> {
  return ports.store.read(async (tx) => {
    const group = await tx.groups.need(request.groupId);
    const { hosts = group.hosts, termSeconds = DEFAULT_TEST_TERM_SECONDS } = request;
    const endsAt = ports.clock.now() + termSeconds * 1000;
    try {
      const { shown } = await checkTest(tx, ports, request);
      const point = await tx.points.get(shown.basePointId);
      return { point, hosts, endsAt, blockedBy: [] };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { point: undefined, hosts, endsAt, blockedBy: [error.message] };
    }
  });
}

export interface StopFailoverTest {
  readonly groupId: GroupId;
  /** What the test wrote becomes a fork; else it goes. */
  readonly keep?: boolean | undefined;
}

/**
 * Ends a failover test. A repeat while it ends is the same job.
 *
 * @throws Refusal `not_found` — no test runs
 */
export function stopFailoverTest(
  { store, clock }: Pick<Deps, 'store' | 'clock'>,
  { groupId, keep = false }: StopFailoverTest,
): Promise<Job> {
  return store.transaction(async (tx) => {
    const test = (await testOf(tx, groupId)) ?? (await refuseNone(tx, groupId));
    return startClosing(tx, test, keep ? newId<ForkId>() : undefined, clock.now());
  });
}

/** The group's failover test at this site. */
export async function testOf(tx: Transaction, groupId: GroupId): Promise<Copy | undefined> {
  return (await tx.copies.where({ groupId, purpose: 'failover_test' }))[0];
}

/** @throws Refusal `in_use` while a failover test of the group runs here */
export async function refuseWhileTested(tx: Transaction, groupId: GroupId): Promise<void> {
  const test = await testOf(tx, groupId);
  if (test === undefined) return;
  const { name } = await tx.groups.need(groupId);
  refuse({
    code: 'in_use',
    what: 'group',
    id: name,
    by: `failover test ${test.name}; stop it first`,
  });
}

export async function checkTest(
  tx: Transaction,
  { here }: Pick<Deps, 'here'>,
  { groupId, pointId }: StartFailoverTest,
): Promise<{ readonly name: string; readonly shown: Shown }> {
  const group = await tx.groups.need(groupId);
  const { id, role, state } = await needSession(tx, groupId);
  const event = 'start_failover_test';
  const what = 'replication_session';
  if (role === 'source' || group.ownership.holder === here) {
    refuse({
      code: 'wrong_state',
      what,
      id,
      state: 'a source here',
      event,
      allowedIn: ['at its destination'],
    });
  }
  if (!possibleIn.includes(state)) {
    refuse({ code: 'wrong_state', what, id, state, event, allowedIn: possibleIn });
  }
  await refuseWhileOperated(tx, group);
  const running = await testOf(tx, groupId);
  if (running !== undefined) refuse({ code: 'already_exists', what: 'copy', name: running.name });
  const shown = await needShown(tx, groupId, pointId && { pointId }, here);
  const { volumes, sequence } = await tx.points.need(shown.basePointId);
  const isSame =
    volumes.length === group.volumeIds.length &&
    volumes.every(({ volumeId }) => group.volumeIds.includes(volumeId));
  if (!isSame) {
    const why = 'it has other volumes than the group has now; choose a newer one, or clone it';
    refuse({ code: 'unsupported', what: `a failover test on point ${sequence}`, why });
  }
  return { name: `${group.name}-test`, shown };
}

async function refuseNone(tx: Transaction, groupId: GroupId): Promise<never> {
  const { name } = await tx.groups.need(groupId);
  return refuse({ code: 'not_found', what: 'copy', id: `${name}-test` });
}
