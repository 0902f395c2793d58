import { setImmediate as afterMicrotasks } from 'node:timers/promises';
import type { Random } from './random.ts';

/** Whose work it is. When a process is over, nothing that it waited for ever happens. */
export interface Life {
  readonly name: string;
  isOver: boolean;
}

/** The world itself: hosts, links and operators, who outlive every process. */
export const WORLD: Life = { name: 'world', isOver: false };

interface Waiting {
  readonly atMs: number;
  readonly tie: number;
  readonly life: Life;
  readonly go: () => void;
}

/** Time that passes only from one thing that was waited for to the next. */
export class Scheduler {
  readonly #random: Random;
  #waiting: Waiting[] = [];
  #nowMs = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Resolves after so long, or when the signal aborts; never when the life is over by then. */
  after(ms: number, life: Life, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (life.isOver) return promise;
    if (signal?.aborted === true) return Promise.resolve();
    // What is due at the same instant happens in any order.
    const waiting = { atMs: this.#nowMs + ms, tie: this.#random.next(), life, go: resolve };
    this.#waiting.push(waiting);
    signal?.addEventListener(
      'abort',
      () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        if (!life.isOver) resolve();
      },
      { once: true },
    );
    return promise;
  }

  /** Lets the next thing happen, and everything that follows from it without waiting. */
  async step(): Promise<void> {
    if (this.#waiting.length === 0) await afterMicrotasks();
    this.#waiting = this.#waiting.filter(({ life }) => !life.isOver);
    let next: Waiting | undefined;
    for (const waiting of this.#waiting)
      if (next === undefined || isBefore(waiting, next)) next = waiting;
    if (next === undefined) throw new Error('nothing is waited for any more');
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.go();
    await afterMicrotasks();
  }
}

function isBefore(a: Waiting, b: Waiting): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.tie < b.tie);
}
