import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from './ids.ts';
import {
  advanceImport,
  advanceImportBecause,
  hasImportEnded,
  importCommands,
  importFacts,
  importStates,
  takesSlot,
} from './import-session.ts';
import type { ImportEvent, ImportSession, ImportState } from './import-session.ts';
import { Refusal } from './refusal.ts';

function session(state: ImportState): ImportSession {
  return {
    id: newId(),
    name: 'orders',
    sourceId: newId(),
    groupId: newId(),
    volumes: [],
    state,
    stateSince: 1,
    trouble: 'as before',
    left: undefined,
    settings: {
      scheduledAt: undefined,
      automaticCutover: false,
      verify: true,
      waitForHosts: false,
      hosts: [],
      bytesPerSecond: undefined,
      protect: undefined,
    },
    progress: undefined,
    copyStartedAt: undefined,
    restarts: 0,
    restartedBecause: undefined,
    comparison: undefined,
    comparisonsFailed: 0,
    unreadable: undefined,
    cutOverPauseMs: undefined,
    createdAt: 1,
    endedAt: undefined,
  };
}

/** What the operator's manual says, by event: from which state to which. All else is refused. */
const moves: { readonly [E in ImportEvent]: Partial<Record<ImportState, ImportState>> } = {
  copy_ready: { copying: 'ready' },
  copy_lost: { ready: 'copying' },
  copy_failed: { copying: 'cancel_required', paused: 'cancel_required', ready: 'cancel_required' },
  queue: { scheduled: 'queued' },
  start: { queued: 'in_progress' },
  opened: { in_progress: 'copying' },
  opened_for_hosts: { in_progress: 'mirror_enabled' },
  not_opened: { in_progress: 'failed' },
  enable: { mirror_enabled: 'ready_to_start_copy' },
  start_copy: { ready_to_start_copy: 'copying' },
  pause: { copying: 'paused' },
  resume: { paused: 'copying' },
  cut_over: { ready: 'cutting_over' },
  cut_over_done: { cutting_over: 'completed' },
  cut_over_partly: {
    cutting_over: 'completed_with_errors',
    completed: 'completed_with_errors',
    completed_with_errors: 'completed_with_errors',
  },
  cut_over_undone: { cutting_over: 'copying' },
  roll_back: { completed: 'rolling_back' },
  roll_back_done: { rolling_back: 'rolled_back' },
  roll_back_undone: { rolling_back: 'completed' },
  cancel: {
    scheduled: 'cancelling',
    queued: 'cancelling',
    mirror_enabled: 'cancelling',
    ready_to_start_copy: 'cancelling',
    copying: 'cancelling',
    paused: 'cancelling',
    ready: 'cancelling',
    cancel_failed: 'cancelling',
    cancel_required: 'cancelling',
    cleanup_required: 'cancelling',
  },
  cancel_done: { cancelling: 'cancelled' },
  cancel_undone: { cancelling: 'cancel_failed' },
  leave_behind: { cancelling: 'cleanup_required' },
  delete: {
    completed: 'completed',
    completed_with_errors: 'completed_with_errors',
    cancelled: 'cancelled',
    rolled_back: 'rolled_back',
    failed: 'failed',
  },
};

for (const state of importStates) {
  for (const event of [...importFacts, ...importCommands]) {
    const isFact = importFacts.some((fact) => fact === event);
    const next = moves[event][state] ?? (isFact ? state : undefined);
    test(`an import that is ${state} answers ${event} with ${next ?? 'a refusal'}`, () => {
      const before = session(state);
      if (next !== undefined) {
        assert.equal(advanceImport(before, event, 2).state, next);
        return;
      }
      assert.throws(
        () => advanceImport(before, event, 2),
        (error) => error instanceof Refusal && error.reason.code === 'wrong_state',
      );
    });
  }
}

test('a change of state carries its instant and no older trouble, staying carries neither', () => {
  const moved = advanceImport(session('copying'), 'pause', 9);
  assert.deepEqual([moved.stateSince, moved.trouble], [9, undefined]);
  const stayed = advanceImport(session('copying'), 'copy_lost', 9);
  assert.deepEqual([stayed.stateSince, stayed.trouble], [1, 'as before']);
  const failed = advanceImportBecause(session('copying'), 'copy_failed', 9, 'read errors');
  assert.equal(failed.trouble, 'read errors');
});

test('a refusal names the states in which the command is possible', () => {
  assert.throws(() => advanceImport(session('copying'), 'cut_over', 2), /only when ready/);
});

test('an import ends where its record may be deleted, and has its end written down', () => {
  const ended = importStates.filter((state) => hasImportEnded(session(state)));
  assert.deepEqual(ended, [
    'completed',
    'completed_with_errors',
    'rolled_back',
    'cancelled',
    'failed',
  ]);
  assert.equal(advanceImport(session('cutting_over'), 'cut_over_done', 7).endedAt, 7);
  assert.equal(advanceImport(session('copying'), 'pause', 7).endedAt, undefined);
});

test('an import that copies or moves has a slot; one that waits for somebody has none', () => {
  const taken = importStates.filter((state) => takesSlot(session(state)));
  assert.deepEqual(taken, ['in_progress', 'copying', 'cutting_over']);
});
