import assert from 'node:assert/strict';
import { once } from 'node:events';
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
  let rounds = 0;
  let listeners = 0;
  let rest = Promise.withResolvers<() => void>();
  const round = (): Promise<void> => Promise.resolve(void (rounds += 1));

  const running = loop({ clock, log }, 'tested', 1, round, (wake) => {
    listeners += 1;
    rest.resolve(wake);
    return () => void (listeners -= 1);
  });
  const wake = await rest.promise;
  assert.equal(rounds, 1);
  rest = Promise.withResolvers();
  wake();
  await rest.promise;
  assert.equal(rounds, 2);

  await running.stop();
  assert.deepEqual([rounds, listeners], [2, 0]);
});
