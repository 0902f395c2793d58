/** Runs the benchmarks that are named, or all, and records what they found. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Bench, BenchContext } from './bench.ts';
import { deepChains } from './deep-chains.ts';
import { deltaCycle } from './delta-cycle.ts';
import { failover } from './failover.ts';
import { firstCopy } from './first-copy.ts';
import { handoverOutage } from './handover-outage.ts';
import { attachCost } from './attach-cost.ts';
import { hostCost } from './host-cost.ts';
import { imports } from './import.ts';
import { describeMachine, loadAverage } from './measure/machine.ts';
import { recordSection, sectionText } from './results-file.ts';
import type { Section } from './results-file.ts';
import { startUp } from './start-up.ts';
import { syncCost } from './sync-cost.ts';

const benches: readonly Bench[] = [
  deltaCycle,
  firstCopy,
  hostCost,
  syncCost,
  attachCost,
  handoverOutage,
  failover,
  imports,
  startUp,
  deepChains,
];

const RESULTS_FILE = join(import.meta.dirname, 'RESULTS.md');

const scale = parseScale(process.env['BENCH_SCALE'] ?? '1');
const wanted = process.argv.slice(2);
const chosen = wanted.length === 0 ? benches : wanted.map(benchCalled);
// Short names: the path of a unix socket has 107 bytes.
const root = process.env['BENCH_DIR'] ?? (await mkdtemp(join(tmpdir(), 'bench-')));
const machine = await describeMachine(root);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

say(`${machine}; scale ${scale}`);
try {
  for (const bench of chosen) await runBench(bench);
} finally {
  await rm(root, { recursive: true, force: true });
}

async function runBench(bench: Bench): Promise<void> {
  const directory = join(root, `${benches.indexOf(bench)}`);
  await mkdir(directory);
  const context: BenchContext = { directory, scale, say: (line) => say(`${bench.name}: ${line}`) };
  const loadBefore = await loadAverage();
  const startedMs = performance.now();
  const result = await bench.run(context);
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  const section: Section = {
    name: bench.name,
    about: bench.about(context),
    result,
    measured: `${machine}; ${date} UTC; scale ${scale}; load before ${loadBefore}; ${minutes} min`,
  };
  await rm(directory, { recursive: true, force: true });
  process.stdout.write(`\n${sectionText(section)}\n\n`);
  const file = resultsFile();
  if (file === undefined) return;
  await recordSection(
    file,
    section,
    benches.map((one) => one.name),
  );
}

/** What a smaller scale shows is for whoever develops: it is printed, and recorded only where told. */
function resultsFile(): string | undefined {
  const told = process.env['BENCH_RESULTS'];
  if (told !== undefined) return resolve(told);
  return scale === 1 ? RESULTS_FILE : undefined;
}

function benchCalled(name: string): Bench {
  const found = benches.find((bench) => bench.name === name);
  if (found !== undefined) return found;
  throw new Error(
    `no benchmark ${name}; there are ${benches.map((bench) => bench.name).join(', ')}`,
  );
}

/** `0.125`, or `1/8`. */
function parseScale(text: string): number {
  const [over = NaN, under = 1] = text.split('/').map(Number);
  const parsed = over / under;
  if (parsed > 0 && parsed <= 1) return parsed;
  throw new Error(`BENCH_SCALE: wanted a number above 0 and up to 1, as 1/8; got "${text}"`);
}

function say(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}
