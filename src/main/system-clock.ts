import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../ports/clock.ts';

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { ref: true, ...(signal && { signal }) }).catch((error: unknown) => {
      if (signal?.aborted !== true) throw error;
    });
  },
};
