import { setImmediate as turn } from 'node:timers/promises';
import type { Instant } from '../../src/domain/ids.ts';
import type { Clock } from '../../src/ports/clock.ts';

/** Time that passes when somebody waits for it, and when a test says so. */
export class TestClock implements Clock {
  #now: Instant = Date.UTC(2026, 0, 1);
  #elapsedMs = 0;

  now(): Instant {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  /** A whole turn of the event loop, so that whatever is waited for gets on meanwhile. */
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const isGivenUp = (): boolean => signal?.aborted === true;
    if (isGivenUp()) return;
    await turn();
    // Who stopped waiting meanwhile has seen no time pass.
    if (!isGivenUp()) this.pass(ms);
  }

  /** Somebody set the wall clock; no time has passed. */
  setForward(ms: number): void {
    this.#now += ms;
  }

  pass(ms: number): void {
    this.#now += ms;
    this.#elapsedMs += ms;
  }
}
