import type { Instant } from '../domain/ids.ts';

/** Time as the rooms see it, so that tests and the simulation can bend it. */
export interface Clock {
  /** The wall clock, UTC. */
  now(): Instant;
  /** Never goes back; only differences mean something. In milliseconds. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
