import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byOwnClock } from './own-clock.ts';

const HOUR_MS = 60 * 60 * 1000;
const NOW = 100 * HOUR_MS;

test('what a site with another clock tells keeps its age, whichever way the clocks differ', () => {
  for (const aheadMs of [HOUR_MS, -HOUR_MS, 5_000]) {
    const toldAt = NOW + aheadMs;
    assert.equal(byOwnClock({ sealedAt: toldAt - 7_000, toldAt }, NOW), NOW - 7_000);
  }
});

test('a message that takes its time makes no point younger', () => {
  const told = { sealedAt: NOW - 7_000, toldAt: NOW - 4_000 };
  assert.equal(byOwnClock(told, NOW), NOW - 7_000);
});
