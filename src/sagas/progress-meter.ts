import type { SagaProgress } from '../domain/saga-record.ts';
import type { Progress } from '../ports/engine.ts';

/** The rate is taken over this long, so that it follows the link and does not jump. */
const WINDOW_MS = 5000;

/** Turns counters into a rate and an estimate. One per attempt. */
export class ProgressMeter {
  readonly #samples: { readonly atMs: number; readonly sentBytes: number }[] = [];

  measure({ sentBytes, totalBytes, comparing }: Progress, atMs: number): SagaProgress {
    this.#samples.push({ atMs, sentBytes });
    while (this.#samples.length > 2 && atMs - (this.#samples[0]?.atMs ?? atMs) > WINDOW_MS) {
      this.#samples.shift();
    }
    const what = comparing === true ? { comparing } : {};
    const oldest = this.#samples[0];
    const elapsedMs = oldest === undefined ? 0 : atMs - oldest.atMs;
    if (oldest === undefined || elapsedMs === 0) {
      return { ...what, sentBytes, totalBytes, bytesPerSecond: undefined, etaSeconds: undefined };
    }
    const bytesPerSecond = Math.round(((sentBytes - oldest.sentBytes) * 1000) / elapsedMs);
    const left = Math.max(0, totalBytes - sentBytes);
    const etaSeconds = bytesPerSecond > 0 ? Math.ceil(left / bytesPerSecond) : undefined;
    return { ...what, sentBytes, totalBytes, bytesPerSecond, etaSeconds };
  }
}
