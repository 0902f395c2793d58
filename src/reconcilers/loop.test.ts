import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { loop } from './loop.ts';

const clock = {
  now: () => 0,
  monotonicMs: () => 0,
  sleep: async (_ms: number, signal: AbortSignal = AbortSignal.abort()) => {
    if (!signal.aborted) await once(signal, 'abort');
  },
};
const log = { info: never, warn: never, error: never };

function never(line: object): void {
  throw new Error(JSON.stringify(line));
}

test('a loop rests until it is woken, and is stopped in the middle of a rest', async () => {
  const wakers = new Set<() => void>();
  let rounds = 0;
  const round = (): Promise<void> => Promise.resolve(void (rounds += 1));
  const restOf = async (wanted: number): Promise<() => void> => {
    while (rounds < wanted || wakers.size === 0) await turn();
    const [wake] = wakers;
    assert.ok(wake);
    return wake;
  };

  const running = loop({ clock, log }, 'tested', 1, round, (wake) => {
    wakers.add(wake);
    return () => void wakers.delete(wake);
  });
  const wake = await restOf(1);
  assert.equal(rounds, 1);
  wake();
  await restOf(2);
  assert.equal(rounds, 2);

  await running.stop();
  assert.equal(rounds, 2);
  assert.equal(wakers.size, 0);
});
