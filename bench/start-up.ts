import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { scaledTimes } from './bench.ts';
import type { Bench, BenchContext, BenchResult } from './bench.ts';
import { judged } from './measure/spread.ts';

const run = promisify(execFile);
const BATON = resolve(import.meta.dirname, '../baton');
const REPETITIONS = 5;
const LEAST_REPETITIONS = 2;
const WANTED_PAIR_SECONDS = 5;
const WANTED_DEMO_SECONDS = 30;

export const startUp: Bench = {
  name: 'start-up',
  about:
    () => `With every package in place: \`./baton pair up\` in an empty directory, until both sites answer and are
paired; \`./baton demo --exit\`, from the prompt back to the prompt. Wanted: ≤ ${WANTED_PAIR_SECONDS} s, ≤ ${WANTED_DEMO_SECONDS} s.`,
  run: measure,
};

async function measure(context: BenchContext): Promise<BenchResult> {
  const { directory, say } = context;
  const pairSeconds: number[] = [];
  const demoSeconds: number[] = [];
  const times = scaledTimes(context, REPETITIONS, LEAST_REPETITIONS);
  for (let time = 0; time < times; time += 1) {
    const dir = join(directory, `p${time}`);
    pairSeconds.push(await timed('pair', 'up', '--dir', dir));
    await timed('pair', 'down', '--dir', dir);
    demoSeconds.push(await timed('demo', '--exit', '--dir', join(directory, `d${time}`)));
    say(`pair up ${pairSeconds.at(-1)?.toFixed(2)} s, demo ${demoSeconds.at(-1)?.toFixed(2)} s`);
  }
  const rows = [
    ['pair up', judged(pairSeconds, WANTED_PAIR_SECONDS, 'most')],
    ['demo --exit', judged(demoSeconds, WANTED_DEMO_SECONDS, 'most')],
  ];
  return { tables: [{ head: ['', 'seconds'], rows }], notes: [] };
}

/** @throws Error when it ends with another code than 0 */
async function timed(...args: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  await run(BATON, args);
  return (performance.now() - startedMs) / 1000;
}
