import type { QmpClient } from './client.ts';
import { QmpTimeout } from './errors.ts';

/** Events are lost when nobody listens: look again at least this often. */
const LOOK_AGAIN_MS = 200;
/** A failing link sends thousands of events: do not look more often than this. */
const REST_MS = 2;

/**
 * Asks until there is an answer: at once, after each event, and now and then.
 *
 * @throws QmpTimeout naming `what` when there was none within the limit
 */
export async function waitFor<T>(
  qmp: QmpClient,
  what: string,
  limitMs: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const giveUpAt = performance.now() + limitMs;
  for (;;) {
    const seen = qmp.eventCount;
    const answer = await ask();
    if (answer !== undefined) return answer;
    const leftMs = giveUpAt - performance.now();
    if (leftMs <= 0) throw new QmpTimeout(what, limitMs);
    await qmp.nextEventOrTimeout(seen, Math.min(LOOK_AGAIN_MS, leftMs));
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
  }
}
