import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';

/** Something that goes round until it is stopped. */
export interface Loop {
  /** Resolves when the round that runs now has ended. */
  stop(): Promise<void>;
}

/**
 * Does `round` again and again, with a rest in between. A round that throws is logged and the
 * next one looks afresh: loops take no input and remember nothing that matters.
 *
 * @param wakens tells of what may be a reason to rest no longer; called for each rest
 */
export function loop(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  name: string,
  restMs: number,
  round: (signal: AbortSignal) => Promise<void>,
  wakens: (wake: () => void) => () => void = () => () => undefined,
): Loop {
  const stopping = new AbortController();
  const { signal } = stopping;
  const rest = async (): Promise<void> => {
    const woken = new AbortController();
    const stopListening = wakens(() => woken.abort());
    await clock.sleep(restMs, AbortSignal.any([signal, woken.signal]));
    stopListening();
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await round(signal);
      } catch (error) {
        if (!signal.aborted) log.error({ event: 'reconciler_failed', reconciler: name, error });
      }
      await rest();
    }
  };
  const ended = run();
  return {
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}
