import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ageSeconds } from './recovery-point.ts';

test('a point is never told younger than it is, and one of a clock that is ahead is new', () => {
  const ageAt = (now: number): number => ageSeconds({ sealedAt: 10_000 }, now);
  assert.deepEqual([10_000, 10_001, 11_000, 15_034].map(ageAt), [0, 1, 1, 6]);
  assert.equal(ageAt(9_000), 0);
});
