import { setTimeout as passes } from 'node:timers/promises';

/** Spreads writes evenly in time, over all volumes, and wakes everybody when it is over. */
export class WritePace {
  readonly #intervalMs: number;
  readonly #over = new AbortController();
  #nextAtMs = 0;

  constructor(writesPerSecond: number | undefined) {
    this.#intervalMs = writesPerSecond === undefined ? 0 : 1000 / writesPerSecond;
  }

  get stopped(): boolean {
    return this.#over.signal.aborted;
  }

  stop(): void {
    this.#over.abort();
  }

  /** Waits for the next write's turn. A time without writes is not made up for afterwards. */
  async turn(): Promise<void> {
    if (this.#intervalMs === 0) return;
    const now = performance.now();
    const at = Math.max(now, this.#nextAtMs);
    this.#nextAtMs = at + this.#intervalMs;
    if (at - now >= 1) await this.pause(at - now);
  }

  /** Waits, or returns at once when it is over. */
  async pause(durationMs: number): Promise<void> {
    await passes(durationMs, undefined, { signal: this.#over.signal }).catch(() => undefined);
  }
}
