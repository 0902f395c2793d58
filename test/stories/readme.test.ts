import assert from 'node:assert/strict';
import test from 'node:test';
import { takeTour } from '../support/tours.ts';

test("every command of the README's tour works as it stands there", async (t) => {
  const printed = await takeTour(t, { page: 'README.md', network: 0 });

  assert.match(printed, /group orders was handed over/);
  assert.match(printed, /holder: +lyon \(here\), epoch 2/);
});
