import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from './ids.ts';
import { Refusal } from './refusal.ts';
import {
  advance,
  afterHandover,
  afterUndoneFailover,
  cyclesByItself,
  pauseBy,
  resumed,
  sessionCommands,
  sessionFacts,
  sessionStates,
} from './replication-session.ts';
import type { ReplicationSession, SessionEvent, SessionState } from './replication-session.ts';

function session(state: SessionState): ReplicationSession {
  return {
    id: newId(),
    groupId: newId(),
    peerId: newId(),
    role: 'source',
    rpoSeconds: 60,
    bytesPerSecond: undefined,
    retainedPoints: 4,
    sync: undefined,
    state,
    stateSince: 1,
    parkedBecause: undefined,
    pause: undefined,
    line: 1,
    cycle: undefined,
    lastCycle: undefined,
    createdAt: 1,
  };
}

/** What the words of the operator's manual say, written down a second time. '-' is a refusal. */
// oxfmt-ignore
const expected: { readonly [S in SessionState]: { readonly [E in SessionEvent]: SessionState | '-' } } = {
  initializing:  { cycle_completed: 'ok', cycle_failed: 'system_paused', sync: 'initializing', pause: '-', stop: 'paused', resume: '-', hand_over: '-', undo_hand_over: '-', reprotect: '-', delete: 'deleting', fail_over: 'failing_over', fail_over_again: '-', paused_there: 'paused', undo_reprotect: '-' },
  ok:            { cycle_completed: 'ok', cycle_failed: 'system_paused', sync: 'synchronizing', pause: 'paused', stop: 'paused', resume: '-', hand_over: 'handing_over', undo_hand_over: '-', reprotect: '-', delete: 'deleting', fail_over: 'failing_over', fail_over_again: '-', paused_there: 'paused', undo_reprotect: '-' },
  synchronizing: { cycle_completed: 'ok', cycle_failed: 'system_paused', sync: '-', pause: 'pausing', stop: 'pausing', resume: '-', hand_over: 'handing_over', undo_hand_over: '-', reprotect: '-', delete: 'deleting', fail_over: 'failing_over', fail_over_again: '-', paused_there: 'pausing', undo_reprotect: '-' },
  pausing:       { cycle_completed: 'paused', cycle_failed: 'paused', sync: '-', pause: '-', stop: '-', resume: '-', hand_over: '-', undo_hand_over: '-', reprotect: '-', delete: '-', fail_over: 'failing_over', fail_over_again: '-', paused_there: 'pausing', undo_reprotect: '-' },
  paused:        { cycle_completed: 'paused', cycle_failed: 'paused', sync: '-', pause: '-', stop: '-', resume: 'resuming', hand_over: '-', undo_hand_over: '-', reprotect: '-', delete: 'deleting', fail_over: 'failing_over', fail_over_again: '-', paused_there: 'paused', undo_reprotect: '-' },
  system_paused: { cycle_completed: 'ok', cycle_failed: 'system_paused', sync: 'synchronizing', pause: 'paused', stop: 'paused', resume: '-', hand_over: '-', undo_hand_over: '-', reprotect: '-', delete: 'deleting', fail_over: 'failing_over', fail_over_again: '-', paused_there: 'paused', undo_reprotect: '-' },
  resuming:      { cycle_completed: 'ok', cycle_failed: 'system_paused', sync: 'synchronizing', pause: '-', stop: 'paused', resume: '-', hand_over: '-', undo_hand_over: '-', reprotect: '-', delete: 'deleting', fail_over: 'failing_over', fail_over_again: '-', paused_there: 'paused', undo_reprotect: '-' },
  handing_over:  { cycle_completed: 'handing_over', cycle_failed: 'handing_over', sync: '-', pause: '-', stop: '-', resume: '-', hand_over: '-', undo_hand_over: 'ok', reprotect: '-', delete: '-', fail_over: 'failing_over', fail_over_again: '-', paused_there: 'handing_over', undo_reprotect: '-' },
  failing_over:  { cycle_completed: 'failing_over', cycle_failed: 'failing_over', sync: '-', pause: '-', stop: '-', resume: '-', hand_over: '-', undo_hand_over: '-', reprotect: '-', delete: '-', fail_over: '-', fail_over_again: '-', paused_there: 'failing_over', undo_reprotect: '-' },
  failed_over:   { cycle_completed: 'failed_over', cycle_failed: 'failed_over', sync: '-', pause: '-', stop: '-', resume: '-', hand_over: '-', undo_hand_over: '-', reprotect: 'reprotecting', delete: 'deleting', fail_over: '-', fail_over_again: 'failing_over', paused_there: 'failed_over', undo_reprotect: '-' },
  reprotecting:  { cycle_completed: 'ok', cycle_failed: 'system_paused', sync: 'reprotecting', pause: '-', stop: '-', resume: '-', hand_over: '-', undo_hand_over: '-', reprotect: '-', delete: 'deleting', fail_over: 'failing_over', fail_over_again: '-', paused_there: 'paused', undo_reprotect: 'failed_over' },
  deleting:      { cycle_completed: 'deleting', cycle_failed: 'deleting', sync: '-', pause: '-', stop: '-', resume: '-', hand_over: '-', undo_hand_over: '-', reprotect: '-', delete: 'deleting', fail_over: '-', fail_over_again: '-', paused_there: 'deleting', undo_reprotect: '-' },
  error:         { cycle_completed: 'error', cycle_failed: 'error', sync: '-', pause: '-', stop: '-', resume: '-', hand_over: '-', undo_hand_over: '-', reprotect: '-', delete: 'deleting', fail_over: '-', fail_over_again: '-', paused_there: 'error', undo_reprotect: '-' },
};

for (const state of sessionStates) {
  for (const event of [...sessionFacts, ...sessionCommands]) {
    const next = expected[state][event];
    test(`a session that is ${state} answers ${event} with ${next}`, () => {
      const before = session(state);
      if (next !== '-') {
        assert.equal(advance(before, event, 2).state, next);
        return;
      }
      assert.throws(
        () => advance(before, event, 2),
        (error) => error instanceof Refusal && error.reason.code === 'wrong_state',
      );
    });
  }
}

test('a change of state carries its instant, staying does not', () => {
  assert.equal(advance(session('ok'), 'sync', 9).stateSince, 9);
  assert.equal(advance(session('ok'), 'cycle_completed', 9).stateSince, 1);
});

test('a refusal names the states in which the command is possible', () => {
  assert.throws(() => advance(session('paused'), 'hand_over', 2), /only when ok, synchronizing/);
});

test('a session is resumed to what it was, and a source that was in the middle of it cycles at once', () => {
  for (const before of ['ok', 'synchronizing', 'system_paused'] as const) {
    const paused = { ...pauseBy(session(before), 'pause', 2), state: 'paused' } as const;

    const wanted = before === 'ok' ? 'ok' : 'resuming';
    assert.deepEqual(
      [resumed(paused, 3).state, resumed(paused, 3).pause],
      [wanted, undefined],
      before,
    );
    assert.equal(resumed({ ...paused, role: 'destination' }, 3).state, before);
  }
});

test('a session that is paused at one side only is paused once more, and then no more', () => {
  const here = pauseBy(session('ok'), 'pause', 2);
  assert.deepEqual(here.pause, { before: 'ok', bothSides: false });

  const again = pauseBy(here, 'pause', 3);
  const both = pauseBy(again, 'paused_there', 4);

  assert.deepEqual(both.pause, { before: 'ok', bothSides: true });
  assert.throws(() => pauseBy(both, 'pause', 5), /is paused/);
});

test('a failover that did not come to be leaves the session as it was', () => {
  const paused = pauseBy(session('ok'), 'pause', 2);
  const moving = advance(paused, 'fail_over', 3);

  assert.deepEqual({ ...afterUndoneFailover(moving, 'paused', 4), stateSince: 2 }, paused);
});

test('no state of a session refuses the outcome of a handover', () => {
  for (const state of sessionStates) {
    assert.equal(afterHandover(session(state), 'destination', true, 2).state, 'ok');
    assert.equal(afterHandover(session(state), 'source', false, 2).state, 'failed_over');
  }
});

test('only a source cycles by itself, one cycle at a time, and never while it is moved', () => {
  const byItself = sessionStates.filter((state) => cyclesByItself(session(state)));

  assert.deepEqual(byItself, ['initializing', 'ok', 'system_paused', 'resuming', 'reprotecting']);
  assert.equal(cyclesByItself({ ...session('ok'), role: 'destination' }), false);
  const cycle = { sagaId: newId(), pointId: newId(), startedAt: 1 } as ReplicationSession['cycle'];
  assert.equal(cyclesByItself({ ...session('ok'), cycle }), false);
});
