import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startNumberedWriter } from '../src/main/numbered-writer.ts';
import { BarePair } from './bare/bare-pair.ts';
import { GIB, KIB, MIB, scaledBytes, scaledSeconds, scaledTimes } from './bench.ts';
import type { Bench, BenchContext, BenchResult } from './bench.ts';
import { fill } from './load/fill.ts';
import { fio } from './load/fio.ts';
import type { FioJob, FioResult, FioTarget } from './load/fio.ts';
import { judged, percentile, said } from './measure/spread.ts';
import { BatonPair, ONE_DAY_SECONDS } from './pair/baton-pair.ts';
import { HolderFollower } from './pair/follow-holder.ts';

const VOLUME_BYTES = 2 * GIB;
const CELL_SECONDS = 10;
const LEAST_CELL_SECONDS = 2;
const ROUNDS = 5;
const LEAST_ROUNDS = 2;
const WANTED_LATENCY = 1.05;
const STALLS = 20;
const LEAST_STALLS = 2;
const STALL_BOUND_MS = 3000;
const WANTED_STALL_MS = STALL_BOUND_MS + 500;
const SILENT_FOR_MS = 4500;
const WRITES_PER_SECOND = 500;

const loads = {
  '4 KiB random write, qd 1': { rw: 'randwrite', blockBytes: 4 * KIB, queueDepth: 1 },
  '4 KiB random write, qd 16': { rw: 'randwrite', blockBytes: 4 * KIB, queueDepth: 16 },
  '1 MiB sequential write, qd 4': { rw: 'write', blockBytes: MIB, queueDepth: 4 },
} as const satisfies Readonly<Record<string, Pick<FioJob, 'rw' | 'blockBytes' | 'queueDepth'>>>;

/** In the order of a round. */
const states = ['unprotected', 'bare mirror', 'synchronous'] as const;
type State = (typeof states)[number];
type Cells = ReadonlyMap<string, Readonly<Record<State, FioResult[]>>>;

export const syncCost: Bench = {
  name: 'sync-cost',
  about: (context) => {
    const size = scaledBytes(context, VOLUME_BYTES) / MIB;
    const seconds = scaledSeconds(context, CELL_SECONDS, LEAST_CELL_SECONDS);
    const stalls = scaledTimes(context, STALLS, LEAST_STALLS);
    return `What hosts pay for having each write at both sites. fio (ioengine=nbd) over TLS on a volume of ${size} MiB,
all written; ${seconds} s a cell; everything shares this machine. *bare mirror*: two storage daemons and a QMP
script that begins the same mirror with the same layers, options and TLS, and nothing else. *synchronous*:
a session of Baton's in sync, RPO of a day. *unprotected*: a volume of Baton's without a session.
Latency is the mean of a round divided by the bare mirror's of the same round. Wanted: at most ${WANTED_LATENCY}.

The second table: the destination's data plane stands still for ${SILENT_FOR_MS / 1000} s and its kernel goes on answering,
${stalls} times; how long the longest wait of a host was, of ${WRITES_PER_SECOND} writes a second. Wanted: p99 of at most
${WANTED_STALL_MS} ms with a bound of ${STALL_BOUND_MS} ms.`;
  },
  run,
};

async function run(context: BenchContext): Promise<BenchResult> {
  const sizeBytes = scaledBytes(context, VOLUME_BYTES);
  const seconds = scaledSeconds(context, CELL_SECONDS, LEAST_CELL_SECONDS);
  const baton = await BatonPair.start(join(context.directory, 'pair'));
  const bare = await BarePair.start(join(context.directory, 'bare'), sizeBytes);
  try {
    for (const name of ['plain', 'sync'])
      await baton.createGroup(name, [`${name}-volume`], sizeBytes);
    const targets: Readonly<Record<State, FioTarget>> = {
      unprotected: await baton.target('plain-volume'),
      'bare mirror': await bare.target(),
      synchronous: await baton.target('sync-volume'),
    };
    for (const state of states) await fill(targets[state], sizeBytes);
    await baton.protect('sync', ONE_DAY_SECONDS);
    await baton.makeSynchronous('sync');
    await bare.cycle();
    await bare.mirror();
    // What is written first in a new layer needs room in it: of all three, and not measured.
    for (const state of states) await fill(targets[state], sizeBytes);

    const cells: Cells = new Map(Object.keys(loads).map((load) => [load, emptyRow()]));
    const rounds = scaledTimes(context, ROUNDS, LEAST_ROUNDS);
    for (let round = 0; round < rounds; round += 1) {
      for (const [load, job] of Object.entries(loads)) {
        for (const state of states) {
          const cell = await fio(targets[state], { ...job, sizeBytes, seconds, seed: round + 1 });
          cells.get(load)?.[state].push(cell);
          context.say(`${load}, ${state}: ${cell.meanMicroseconds.toFixed(0)} µs`);
        }
      }
    }
    await baton.becomes('sync', 'in_sync');
    await bare.close();
    const stalls = await silences(context, baton, sizeBytes);
    return { tables: [costTable(cells), stallTable(stalls)], notes: [] };
  } finally {
    await bare.close();
    await baton.close();
  }
}

/** @returns the longest wait of a host around each silence, in milliseconds */
async function silences(
  context: BenchContext,
  baton: BatonPair,
  sizeBytes: number,
): Promise<readonly number[]> {
  const volume = 'sync-volume';
  const follower = new HolderFollower([baton.a, baton.b], volume);
  const writer = await startNumberedWriter({
    volumes: [{ label: volume, sizeBytes }],
    seed: 1,
    writesPerSecond: WRITES_PER_SECOND,
    connect: (label) => follower.connect(label),
  });
  const found: number[] = [];
  try {
    for (let time = 0; time < scaledTimes(context, STALLS, LEAST_STALLS); time += 1) {
      await baton.becomes('sync', 'in_sync');
      const fromMs = performance.now();
      const goOn = await baton.stopDaemon(baton.b, 'sync');
      await delay(SILENT_FOR_MS);
      goOn();
      await baton.becomes('sync', 'in_sync');
      const waited = longestWait(writer.log.acknowledgedAtMs(0), fromMs);
      context.say(`a host waited ${waited.toFixed(0)} ms`);
      found.push(waited);
    }
  } finally {
    await writer.stop();
  }
  return found;
}

function longestWait(acknowledgedAtMs: readonly number[], fromMs: number): number {
  let longest = 0;
  for (const [index, atMs] of acknowledgedAtMs.entries()) {
    const before = acknowledgedAtMs[index - 1];
    if (before !== undefined && atMs >= fromMs) longest = Math.max(longest, atMs - before);
  }
  return longest;
}

function emptyRow(): Record<State, FioResult[]> {
  return { unprotected: [], 'bare mirror': [], synchronous: [] };
}

function costTable(cells: Cells): { head: string[]; rows: string[][] } {
  const rows = [...cells].map(([load, row]) => {
    const against = (base: State): readonly number[] =>
      row.synchronous.map(
        ({ meanMicroseconds }, round) =>
          meanMicroseconds / (row[base][round]?.meanMicroseconds ?? NaN),
      );
    const means = (state: State): string =>
      said(
        row[state].map(({ meanMicroseconds }) => meanMicroseconds),
        0,
      );
    const iops = said(
      row.synchronous.map((cell) => cell.iops),
      0,
    );
    return [
      load,
      ...states.map(means),
      judged(against('bare mirror'), WANTED_LATENCY, 'most'),
      said(against('unprotected'), 2),
      iops,
    ];
  });
  const head = [...states.map((state) => `${state}, µs`), 'to bare', 'to unprotected', 'IOPS'];
  return { head: ['load', ...head], rows };
}

function stallTable(stalls: readonly number[]): { head: string[]; rows: string[][] } {
  const p99 = percentile(
    stalls.toSorted((a, b) => a - b),
    0.99,
  );
  return {
    head: ['silences', 'stall ms', 'p99'],
    rows: [[`${stalls.length}`, said(stalls, 0), judged([p99], WANTED_STALL_MS, 'most', 0)]],
  };
}
