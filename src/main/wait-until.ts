import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;

/**
 * Looks until there is something.
 *
 * @throws Error when the limit has passed, with the sentence that did not come true
 */
export async function waitUntil<T>(
  sentence: string,
  limitMs: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const until = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > until) throw new Error(`not within ${limitMs} ms: ${sentence}`);
    await delay(POLL_MS);
  }
}
