import type { Clock } from '../../ports/clock.ts';

/** A changed limit is heeded within this time. */
const SLICE_MS = 200;

/** Holds bytes back so that they go no faster than a limit, which may change at any time. */
export class Pace {
  /** In bytes per second; undefined: no limit. */
  limit: number | undefined;
  readonly #clock: Clock;
  #owedBytes = 0;
  #paidAt: number;

  constructor(clock: Clock, limit?: number) {
    this.#clock = clock;
    this.limit = limit;
    this.#paidAt = clock.monotonicMs();
  }

  /** Waits until what went before is paid for. @throws the signal's reason */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const waitMs = this.#pay();
      if (waitMs === 0) break;
      await this.#clock.sleep(Math.min(waitMs, SLICE_MS), signal);
    }
    this.#owedBytes += bytes;
  }

  /** @returns how long the rest takes to be paid for */
  #pay(): number {
    const now = this.#clock.monotonicMs();
    const passedMs = now - this.#paidAt;
    this.#paidAt = now;
    if (this.limit === undefined) this.#owedBytes = 0;
    const { limit = 0 } = this;
    this.#owedBytes = Math.max(0, this.#owedBytes - (passedMs * limit) / 1000);
    return limit === 0 ? 0 : (this.#owedBytes / limit) * 1000;
  }
}
