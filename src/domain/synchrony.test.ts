import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextCycleAt } from './cycle-plan.ts';
import { newId } from './ids.ts';
import type { GroupId, MirrorId } from './ids.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import { afterFailover, afterHandover, sessionStates } from './replication-session.ts';
import type { ReplicationSession, SessionState } from './replication-session.ts';
import {
  MIRROR_REST_MS,
  goesOn,
  isHeldBack,
  mirrorStep,
  newSynchrony,
  proven,
  surpasses,
  withFact,
} from './synchrony.ts';
import type { MirrorState, Synchrony } from './synchrony.ts';

const groupId = newId<GroupId>();
const mirrorId = newId<MirrorId>();
const NOW = 1_000_000;

function point(sequence: number, common: boolean): RecoveryPoint {
  const commonAt = common ? sequence * 1000 + 1 : undefined;
  const at = { sealedAt: sequence * 1000, commonAt, expiring: false };
  return { id: newId(), groupId, sequence, epoch: 1, volumes: [], ...at };
}

function session(sync: Partial<Synchrony>, state: SessionState = 'ok'): ReplicationSession {
  return {
    id: newId(),
    groupId,
    peerId: newId(),
    role: 'source',
    rpoSeconds: 60,
    bytesPerSecond: undefined,
    retainedPoints: 4,
    sync: { ...newSynchrony(3, 'it is new', 0), ...sync },
    state,
    stateSince: 0,
    parkedBecause: undefined,
    pause: undefined,
    line: 1,
    cycle: undefined,
    lastCycle: undefined,
    createdAt: 0,
  };
}

const fact = { why: 'because', at: 5, newestSequence: 7 };

test('a mirror is kept in the states in which hosts are protected, and ended in all others', () => {
  const kept = sessionStates.filter(
    (state) => mirrorStep(session({}, state), [point(1, true)], 'level', NOW) === 'go_on',
  );

  assert.deepEqual(kept, ['ok', 'synchronizing', 'system_paused', 'handing_over']);
  for (const state of sessionStates.filter((s) => !kept.includes(s))) {
    const step = (mirror: MirrorState): string =>
      mirrorStep(session({}, state), [point(1, true)], mirror, NOW);
    assert.deepEqual([step('copying'), step('failed'), step('absent')], ['end', 'end', 'none']);
  }
  const destination = { ...session({}), role: 'destination' } as const;
  assert.equal(mirrorStep(destination, [point(1, true)], 'absent', NOW), 'none');
  const asynchronous = { ...session({}), sync: undefined };
  assert.equal(mirrorStep(asynchronous, [point(1, true)], 'level', NOW), 'end');
});

test('a mirror begins on the newest point once both sites have it', () => {
  const step = (...points: readonly RecoveryPoint[]): string =>
    mirrorStep(session({}), points, 'absent', NOW);

  assert.equal(step(), 'cycle_first');
  assert.equal(step(point(1, true)), 'begin');
  assert.equal(step(point(1, true), point(2, false)), 'cycle_first');
  assert.equal(step({ ...point(1, true), expiring: true }), 'cycle_first');
});

test('after a loss another mirror begins only on a point that was sealed later, and after a rest', () => {
  const lost = session({
    lostAfter: 2,
    condition: { state: 'fractured', since: NOW, why: 'the link was cut' },
  });
  const points = [point(1, true), point(2, true)];

  assert.equal(mirrorStep(lost, points, 'failed', NOW), 'cycle_first');
  const later = [...points, point(3, true)];
  assert.equal(mirrorStep(lost, later, 'failed', NOW + MIRROR_REST_MS - 1), 'rest');
  assert.equal(mirrorStep(lost, later, 'failed', NOW + MIRROR_REST_MS), 'begin');
  assert.equal(mirrorStep(lost, later, 'absent', NOW - 60_000), 'begin');
});

test('a cycle that a mirror waits for does not wait for the RPO', () => {
  const points = [point(1, true), point(2, true)];

  assert.equal(nextCycleAt(session({ lostAfter: 2 }), points), 3000);
  assert.ok(nextCycleAt(session({}), points) > 30_000);
  const inSync = { state: 'in_sync', since: 0, why: '' } as const;
  assert.ok(nextCycleAt(session({ lostAfter: 2, condition: inSync }), points) > 30_000);
});

test('whatever ends a mirror is remembered with the newest point of then, until it is level again', () => {
  const synced = session({ mirrorId, condition: { state: 'in_sync', since: 0, why: '' } });

  const cut = withFact(synced, 'held_up', fact);
  assert.deepEqual([cut.sync?.condition.state, cut.sync?.lostAfter], ['fractured', 7]);
  const again = withFact(cut, 'broken', { ...fact, newestSequence: 9 });
  assert.equal(again.sync?.lostAfter, 7);
  assert.equal(withFact(cut, 'levelled', fact).sync?.lostAfter, undefined);
  assert.equal(withFact(cut, 'begun', fact).sync?.lostAfter, undefined);
  assert.equal(withFact(synced, 'levelled', fact), synced);
  const asynchronous = { ...synced, sync: undefined };
  assert.equal(withFact(asynchronous, 'broken', fact), asynchronous);
});

test('hosts of a session that holds come in when it is in sync again, not when it was compared', () => {
  const inSync = { state: 'in_sync', since: 1, why: 'every write is at both sites' } as const;
  const lost = withFact(session({ onLoss: 'hold', condition: inSync, mirrorId }), 'broken', fact);
  const another = newId<MirrorId>();
  assert.ok(lost.sync);
  const compared = proven({ ...lost, sync: { ...lost.sync, mirrorId: another } }, another);
  const brokenAgain = withFact(compared, 'broken', fact);

  assert.deepEqual([lost, compared, brokenAgain].map(isHeldBack), [true, true, true]);
  assert.equal(isHeldBack(withFact(compared, 'levelled', fact)), false);
  assert.equal(isHeldBack(withFact(lost, 'levelled', fact)), true);
});

test('only a point that was sealed after the loss has all that the standby has', () => {
  const lost = session({ mirrorId, lostAfter: 7 });

  assert.equal(surpasses(lost, { sequence: 8 }), mirrorId);
  assert.equal(surpasses(lost, { sequence: 7 }), undefined);
  assert.equal(surpasses(session({ mirrorId }), { sequence: 8 }), undefined);
});

test('a mirror that goes on beside a point is not surpassed by it, nor begun anew on it', () => {
  const fractured = { state: 'fractured', since: NOW, why: 'not heard of' } as const;
  const lost = session({ mirrorId, lostAfter: 7, condition: fractured });

  const after = goesOn(lost, mirrorId, { sequence: 8 });

  assert.equal(surpasses(after, { sequence: 8 }), undefined);
  assert.equal(mirrorStep(after, [point(8, true)], 'failed', NOW + MIRROR_REST_MS), 'cycle_first');
  assert.equal(surpasses(after, { sequence: 9 }), mirrorId);
  assert.equal(goesOn(lost, newId<MirrorId>(), { sequence: 8 }), lost);
  const levelled = withFact(lost, 'levelled', fact);
  assert.equal(goesOn(levelled, mirrorId, { sequence: 8 }), levelled);
});

test('with a change of holder the synchronous session begins anew', () => {
  const synced = session({
    stallSeconds: 5,
    mirrorId,
    completeUpTo: 4,
    condition: { state: 'in_sync', since: 0, why: '' },
  });

  for (const moved of [
    afterHandover(synced, 'destination', true, 9),
    afterFailover(synced, 'source', 9),
  ]) {
    const { sync } = moved;
    assert.deepEqual([sync?.stallSeconds, sync?.condition.state], [5, 'catching_up']);
    assert.deepEqual([sync?.mirrorId, sync?.completeUpTo], [undefined, undefined]);
  }
});
