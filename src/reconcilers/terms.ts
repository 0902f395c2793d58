/**
 * What is kept for a time goes when the time is over. The time is counted while the server runs, not
 * read from the wall clock: one that is an hour off, or is set, ends nothing early. While the server
 * is down nothing is counted, so a term never ends sooner than was said.
 */
import type { AppPorts } from '../app/app-ports.ts';
import { countDownCopies } from '../app/copies.ts';
import { countDownWindows } from '../app/decide-failover.ts';
import { countDownForks } from '../app/forks.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

const REST_MS = 60_000;

export function terms(ports: AppPorts): Loop {
  const { clock } = ports;
  let countedMs = clock.monotonicMs();
  return loop(ports, 'terms', REST_MS, async () => {
    const nowMs = clock.monotonicMs();
    const elapsedMs = nowMs - countedMs;
    countedMs = nowMs;
    if (elapsedMs <= 0) return;
    await countDownCopies(ports, elapsedMs);
    await countDownForks(ports, elapsedMs);
    await countDownWindows(ports, elapsedMs);
  });
}
