import { test } from 'node:test';
import { simulate } from './simulation.ts';

/** Seeds under one test: thousands of subtests would tell no more. */
const SEEDS_PER_TEST = 50;
const LIMIT_MS = 3_600_000;

/** SEED runs one seed alone; SEEDS and STEPS say how many and how long. */
export function simulateSeeds(usual: { readonly seeds: number; readonly steps: number }): void {
  const steps = setting('STEPS') ?? usual.steps;
  const seed = setting('SEED');
  if (seed !== undefined) {
    test(`two sites stay right in seed ${seed}`, async (t) => {
      const { story, steps: taken, elapsedMs } = await simulate({ seed, steps });
      for (const line of story) t.diagnostic(line);
      t.diagnostic(`${taken} steps, ${Math.round(elapsedMs / 1000)} s`);
    });
    return;
  }
  const seeds = setting('SEEDS') ?? usual.seeds;
  for (let first = 1; first <= seeds; first += SEEDS_PER_TEST) {
    const last = Math.min(first + SEEDS_PER_TEST - 1, seeds);
    test(
      `two sites stay right, whatever happens: seeds ${first} to ${last}`,
      { timeout: LIMIT_MS },
      async () => {
        for (let seed = first; seed <= last; seed += 1) await simulate({ seed, steps });
      },
    );
  }
}

function setting(name: string): number | undefined {
  const text = process.env[name];
  return text === undefined ? undefined : Number(text);
}
