import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  beginRollback,
  closeWindow,
  isWindowOver,
  openedWindow,
  withSource,
} from './import-rollback.ts';
import type { RollbackWindow } from './import-rollback.ts';
import { newId } from './ids.ts';
import { importStates } from './import-session.ts';
import type { ImportSession, ImportState } from './import-session.ts';
import { Refusal } from './refusal.ts';

const UNTIL = 1000;

function session(
  state: ImportState,
  rollback: Partial<RollbackWindow> | undefined = {},
  rollbackForSeconds?: number,
): ImportSession {
  const window = {
    until: UNTIL,
    source: 'in_step',
    since: 1,
    leftBytes: 0,
    why: undefined,
  } as const;
  const unused = { trouble: undefined, left: undefined, progress: undefined, volumes: [] };
  const never = { copyStartedAt: undefined, restartedBecause: undefined, comparison: undefined };
  return {
    id: newId(),
    name: 'orders',
    sourceId: newId(),
    groupId: newId(),
    state,
    stateSince: 1,
    ...unused,
    ...never,
    settings: {
      scheduledAt: undefined,
      automaticCutover: false,
      verify: true,
      waitForHosts: false,
      hosts: [],
      bytesPerSecond: undefined,
      protect: undefined,
      rollbackForSeconds,
    },
    restarts: 0,
    comparisonsFailed: 0,
    unreadable: undefined,
    cutOverPauseMs: undefined,
    rollback: rollback === undefined ? undefined : { ...window, ...rollback },
    createdAt: 1,
    endedAt: 5,
  };
}

function refused(code: string, words: RegExp) {
  return (error: unknown): boolean =>
    error instanceof Refusal && error.reason.code === code && words.test(error.message);
}

test('the way back is open for the asked time from the cut-over on, and not without being asked for', () => {
  assert.equal(openedWindow(session('ready'), 7), undefined);
  const window = openedWindow(session('ready', undefined, 60), 7);
  assert.deepEqual([window?.until, window?.source], [60_007, 'catching_up']);
  assert.ok(window && !isWindowOver(window, 60_006) && isWindowOver(window, 60_007));
});

test('hosts are taken back within the term, to a source that is in step', () => {
  assert.equal(beginRollback(session('completed'), UNTIL - 1).state, 'rolling_back');
});

test('hosts are not taken back after the term, nor to a source that was never kept', () => {
  const late = () => beginRollback(session('completed'), UNTIL);
  assert.throws(late, refused('unsupported', /its term is over/));
  const letGo = { ...session('completed'), rollback: undefined };
  assert.throws(() => beginRollback(letGo, 2), refused('unsupported', /not kept current/));
});

for (const [source, words] of [
  ['catching_up', /4096 bytes are on their way to it/],
  ['behind', /the source is not in step: nobody answers/],
] as const) {
  test(`hosts are not taken back to a source that is ${source}, and it is said why`, () => {
    const why = source === 'behind' ? 'nobody answers' : undefined;
    const before = session('completed', { source, leftBytes: 4096, why });
    assert.throws(() => beginRollback(before, 2), refused('busy', words));
  });
}

for (const state of importStates.filter((one) => one !== 'completed')) {
  test(`hosts of an import that is ${state} are not taken back`, () => {
    assert.throws(() => beginRollback(session(state), 2), refused('wrong_state', /roll back/));
    assert.throws(() => closeWindow(session(state), 2), refused('unsupported', /not kept current/));
  });
}

test('the term can be ended before its time, and is never made longer by that', () => {
  assert.equal(closeWindow(session('completed'), 7).rollback?.until, 7);
  assert.equal(closeWindow(session('completed'), UNTIL + 7).rollback?.until, UNTIL);
});

test('since when a source is as it is does not change with what is left', () => {
  const window = openedWindow(session('ready', undefined, 60), 7);
  assert.ok(window);
  const less = withSource(window, { source: 'catching_up', leftBytes: 1, why: undefined }, 9);
  assert.deepEqual([less.since, less.leftBytes], [7, 1]);
  assert.equal(withSource(less, { source: 'in_step', leftBytes: 0, why: undefined }, 11).since, 11);
});
