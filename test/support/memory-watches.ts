/** What a running site does by itself, for sites in memory. */
import type { TestContext } from 'node:test';
import { setTimeout as passes } from 'node:timers/promises';
import type { AppPorts } from '../../src/app/app-ports.ts';
import { FirstWords } from '../../src/reconcilers/first-words.ts';
import { importWatch } from '../../src/reconcilers/import-watch.ts';
import { linkWatch } from '../../src/reconcilers/link-watch.ts';
import { mirrorWatch } from '../../src/reconcilers/mirror-watch.ts';
import { policies } from '../../src/reconcilers/policies.ts';
import { scheduler } from '../../src/reconcilers/scheduler.ts';
import { supervisor } from '../../src/reconcilers/supervisor.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { MemorySite } from './memory-site.ts';

/** Watches the site's groups, imports and peers until the test ends. */
export function lookAfter(
  t: Pick<TestContext, 'after'>,
  { ports: { clock, ...others } }: MemorySite,
): void {
  const ports: AppPorts = { ...others, clock: unhurried(clock) };
  const firstWords = new FirstWords();
  const watch = supervisor(ports, firstWords);
  const mirrors = mirrorWatch(ports, undefined);
  const links = linkWatch(ports, {
    dataPlanes: async (id) => ({ ...(await watch.dataPlanes(id)), level: mirrors.level(id) }),
    linkCut: undefined,
    firstWords,
    onAnswer: (peerId, answer) => mirrors.hear(peerId, answer),
  });
  const loops = [watch, mirrors, links, scheduler(ports), policies(ports), importWatch(ports)];
  t.after(() => Promise.all(loops.map((loop) => loop.stop())));
}

/** Rests take real time, though little, so that what a test asks for is not crowded out. */
const REST_MS = 5;

function unhurried(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: async (ms, signal) => {
      await passes(REST_MS, undefined, { ref: false });
      await clock.sleep(ms, signal);
    },
  };
}
