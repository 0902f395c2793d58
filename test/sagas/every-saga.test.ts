import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSagas } from '../../src/sagas/all.ts';
import { cases } from './cases.ts';
import { kindsOf } from './kinds.ts';

test('every saga is in the harness', () => {
  const tested = Object.values(kindsOf).flat().toSorted();
  const withCase = [...new Set(cases.map(({ kind }) => kind))].toSorted();

  assert.deepEqual(tested, allSagas.map(({ kind }) => kind).toSorted());
  assert.deepEqual(withCase, tested);
});
