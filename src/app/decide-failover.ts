/** A failover that is provisional: committed, by somebody or by its term, or rolled back. */
import { committed, countedDown } from '../domain/failover-window.ts';
import type { FailoverWindow } from '../domain/failover-window.ts';
import type { Group } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import type { ForkId, GroupId, SagaId, SiteId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { GroupDescription } from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import { needSession } from '../sagas/offer.ts';
import { rollBack } from '../sagas/roll-back.ts';
import { startSaga } from '../sagas/saga.ts';
import { refuseWhileOperated } from '../sagas/operation.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { confirmationFor } from './confirmation.ts';
import { lastTookSeconds } from './expected-time.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

/**
 * The failover stands: the group can be reprotected and changed again, and what the other site set
 * aside is a fork like any other.
 *
 * @throws Refusal `not_found`, `not_holder`, `wrong_state` — it is not provisional;
 *   `operation_running` while it is rolled back
 */
export function commitFailover(
  { store, here }: Pick<Deps, 'store' | 'here'>,
  { groupId }: { readonly groupId: GroupId },
): Promise<Group> {
  return store.transaction(async (tx) => {
    await checkProvisional(tx, here, groupId, 'commit');
    return tx.groups.change(groupId, committed);
  });
}

/** Counts down what is left to decide, and commits what nobody decided on in time. */
export async function countDownWindows(
  { store, clock, log }: Pick<AppPorts, 'store' | 'clock' | 'log'>,
  elapsedMs: number,
): Promise<void> {
  const groups = await store.read((tx) => tx.groups.all());
  for (const { id: groupId } of groups.filter((group) => group.window !== undefined)) {
    const isOver = await store.transaction(async (tx) => {
      const { window } = await tx.groups.change(groupId, (g) => ({
        ...g,
        window: g.window && countedDown(g.window, elapsedMs, clock.now()),
      }));
      // One that is rolled back has been decided on, unless that is undone.
      const { operation } = await tx.groups.need(groupId);
      if (window === undefined || window.leftMs > 0 || operation !== undefined) return false;
      await tx.groups.change(groupId, committed);
      return true;
    });
    if (isOver) log.info({ event: 'failover_committed', groupId, by: 'its term' });
  }
}

export interface RollBackFailover {
  readonly groupId: GroupId;
  /** What the preflight printed: that the caller has seen what is set aside. */
  readonly confirmation?: string | undefined;
}

/** What a rollback would do. Nothing is lost: a fork keeps what was written here. */
export interface RollbackPreflight {
  readonly to: SiteId | undefined;
  /** What both sites had before the group was taken. */
  readonly point: RecoveryPoint | undefined;
  /** What was written here since then: about what the fork would hold. */
  readonly setAsideBytes: number;
  readonly setAsideSeconds: number;
  readonly window: FailoverWindow | undefined;
  /** As long as the last one here took; absent: there was none. */
  readonly expectedSeconds: number | undefined;
  readonly blockedBy: readonly string[];
  readonly confirmation: string | undefined;
}

/**
 * Returns a group to the site that it was taken from, as it was there; replication from there goes on.
 * What hosts wrote here meanwhile becomes a fork. Hosts are closed out, and attach there again.
 *
 * @throws Refusal `not_found`, `not_holder`, `not_protected`, `wrong_state` (it is not provisional),
 *   `operation_running`, `confirmation_needed`. What only the other site can tell refuses inside the
 *   saga, which then ends undone.
 */
export function rollBackFailover(ports: Deps, request: RollBackFailover): Promise<Job> {
  const { store, clock, here } = ports;
  const { groupId, confirmation } = request;
  return store.transaction(async (tx) => {
    const { group, session, window } = await checkRollback(tx, here, groupId);
    const token = tokenOf(group, window);
    const now = clock.now();
    if (confirmation !== token) {
      const seconds = secondsSince(window, now);
      const consequence = `what hosts wrote here in the last ${seconds} s is set aside`;
      refuse({ code: 'confirmation_needed', token, consequence });
    }
    const sagaId = newId<SagaId>();
    await tx.groups.change(groupId, (g) => ({ ...g, operation: sagaId }));
    const input = {
      sessionId: session.id,
      groupId,
      to: window.returnsTo,
      epoch: group.ownership.epoch,
      forkId: newId<ForkId>(),
      spareForkId: newId<ForkId>(),
    };
    await startSaga(tx, rollBack, input, { sagaId, groupId, now });
    return { jobId: sagaId };
  });
}

/** @throws Refusal `not_found` */
export async function preflightRollback(
  ports: Deps & Pick<AppPorts, 'engine' | 'peer'>,
  { groupId }: RollBackFailover,
): Promise<RollbackPreflight> {
  const { store, here, clock, engine, peer } = ports;
  const seen = await store.read(async (tx) => {
    const { window } = await tx.groups.need(groupId);
    const expectedSeconds = await lastTookSeconds(tx, rollBack);
    try {
      const { group } = await checkRollback(tx, here, groupId);
      return { window, group, expectedSeconds, blockedBy: [] };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { window, group: undefined, expectedSeconds, blockedBy: [error.message] };
    }
  });
  const { window, group, expectedSeconds } = seen;
  const nothing = { point: undefined, setAsideBytes: 0, confirmation: undefined };
  const setAsideSeconds = window === undefined ? 0 : secondsSince(window, clock.now());
  const facts = { to: window?.returnsTo, window, setAsideSeconds, expectedSeconds };
  if (window === undefined || group === undefined) {
    return { ...nothing, ...facts, blockedBy: seen.blockedBy };
  }
  const there = await describe(peer.describeGroup(window.returnsTo, groupId));
  const { aside } = there;
  const point = aside && (await store.read((tx) => tx.points.get(aside.basePointId)));
  return {
    ...facts,
    point,
    setAsideBytes: point === undefined ? 0 : await engine.bytesAbove(groupId, point.id),
    blockedBy: there.blockedBy,
    confirmation: tokenOf(group, window),
  };
}

async function describe(
  asked: Promise<GroupDescription>,
): Promise<Pick<GroupDescription, 'aside'> & { readonly blockedBy: readonly string[] }> {
  try {
    const { aside } = await asked;
    const why = 'the other site has not set its own history aside yet';
    return { aside, blockedBy: aside === undefined ? [why] : [] };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { blockedBy: [error.message] };
  }
}

async function checkRollback(
  tx: Transaction,
  here: SiteId,
  groupId: GroupId,
): Promise<{
  readonly group: Group;
  readonly session: ReplicationSession;
  readonly window: FailoverWindow;
}> {
  const { group, window } = await checkProvisional(tx, here, groupId, 'roll_back');
  return { group, window, session: await needSession(tx, groupId) };
}

async function checkProvisional(
  tx: Transaction,
  here: SiteId,
  groupId: GroupId,
  event: 'commit' | 'roll_back',
): Promise<{ readonly group: Group; readonly window: FailoverWindow }> {
  const group = await tx.groups.need(groupId);
  const { ownership, window, name } = group;
  requireHolder(groupId, ownership, here);
  await refuseWhileOperated(tx, group);
  if (window !== undefined) return { group, window };
  return refuse({
    code: 'wrong_state',
    what: 'group',
    id: name,
    state: 'not held provisionally',
    event,
    allowedIn: ['it was failed over with a term, which has not passed'],
  });
}

function secondsSince({ openedAt }: FailoverWindow, now: number): number {
  return Math.max(0, Math.round((now - openedAt) / 1000));
}

function tokenOf({ id, ownership }: Group, { returnsTo }: FailoverWindow): string {
  return confirmationFor('rollback', id, ownership.epoch, returnsTo);
}
