import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterFact, conditionFacts, dataConditionStates } from './data-condition.ts';
import type { ConditionFact, DataConditionState } from './data-condition.ts';

/** The operator's manual, written down a second time. */
// oxfmt-ignore
const expected: { readonly [S in DataConditionState]: { readonly [F in ConditionFact]: DataConditionState } } = {
  catching_up: { levelled: 'in_sync', held_up: 'catching_up', broken: 'catching_up', ended: 'catching_up', begun: 'catching_up' },
  in_sync:     { levelled: 'in_sync', held_up: 'fractured',   broken: 'fractured',   ended: 'fractured',   begun: 'catching_up' },
  fractured:   { levelled: 'in_sync', held_up: 'fractured',   broken: 'fractured',   ended: 'fractured',   begun: 'catching_up' },
};

for (const state of dataConditionStates) {
  for (const fact of conditionFacts) {
    const next = expected[state][fact];
    test(`a session that is ${state} is ${next} once its mirror is ${fact}`, () => {
      const after = afterFact({ state, since: 1, why: 'before' }, fact, 'after', 2);

      assert.equal(after.state, next);
      const isSame = next === state;
      assert.deepEqual([after.since, after.why], isSame ? [1, 'before'] : [2, 'after']);
    });
  }
}
