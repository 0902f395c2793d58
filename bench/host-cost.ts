import { join } from 'node:path';
import { GIB, KIB, MIB, scaledBytes, scaledSeconds, scaledTimes } from './bench.ts';
import type { Bench, BenchContext, BenchResult } from './bench.ts';
import { fill } from './load/fill.ts';
import { fio } from './load/fio.ts';
import type { FioJob, FioTarget } from './load/fio.ts';
import { judged, said } from './measure/spread.ts';
import { BatonPair, ONE_DAY_SECONDS } from './pair/baton-pair.ts';

const VOLUME_BYTES = 4 * GIB;
const CELL_SECONDS = 10;
const LEAST_CELL_SECONDS = 3;
const ROUNDS = 5;
const LEAST_ROUNDS = 2;
const SHORT_RPO_SECONDS = 5;
const WANTED_IDLE = 0.97;

const loads = {
  '4 KiB random read, qd 1': { rw: 'randread', blockBytes: 4 * KIB, queueDepth: 1 },
  '4 KiB random read, qd 32': { rw: 'randread', blockBytes: 4 * KIB, queueDepth: 32 },
  '4 KiB random write, qd 1': { rw: 'randwrite', blockBytes: 4 * KIB, queueDepth: 1 },
  '4 KiB random write, qd 32': { rw: 'randwrite', blockBytes: 4 * KIB, queueDepth: 32 },
  '128 KiB sequential read, qd 8': { rw: 'read', blockBytes: 128 * KIB, queueDepth: 8 },
  '128 KiB sequential write, qd 8': { rw: 'write', blockBytes: 128 * KIB, queueDepth: 8 },
} as const satisfies Readonly<Record<string, Pick<FioJob, 'rw' | 'blockBytes' | 'queueDepth'>>>;

/**
 * In the order of a round. `beside` is another unprotected volume, `again` the first once more: what
 * differs there is the disk's own.
 */
const states = ['unprotected', 'idle', 'beside', 'again', 'after a point', 'cycling'] as const;
type State = (typeof states)[number];

interface Cell {
  readonly iops: number;
  readonly p99Microseconds: number;
}

type Cells = ReadonlyMap<string, Readonly<Record<State, Cell[]>>>;

export const hostCost: Bench = {
  name: 'host-cost',
  about: (context) => {
    const size = scaledBytes(context, VOLUME_BYTES) / MIB;
    const seconds = scaledSeconds(context, CELL_SECONDS, LEAST_CELL_SECONDS);
    return `What a host gets from its volume while Baton does more and more with it. fio (ioengine=nbd) attaches
straight to the group's daemon over TLS; volumes of ${size} MiB, all written, one group each; ${seconds} s a cell;
fio, both sites and all daemons share this machine. *unprotected*: no session. *idle*: replicated with an
RPO of a day, no cycle due, written all over since the last point. *after a point*: the same just after a
cycle, when each first write to a place needs new room in the new layer. *cycling*: RPO ${SHORT_RPO_SECONDS} s while fio
writes as fast as it can, copies and merges included. *again*: the unprotected volume once more, right
after *idle*. Each cell is I/O per second divided by the mean of *unprotected* and *again* of the same
round, so that *idle* is compared with what the disk gave just before and just after it; the distance
of *again* from 1 is noise in time, that of *beside*, a second volume without a session, noise of the
place on the disk. Wanted: idle ≥ ${WANTED_IDLE}.`;
  },
  run,
};

async function run(context: BenchContext): Promise<BenchResult> {
  const sizeBytes = scaledBytes(context, VOLUME_BYTES);
  const seconds = scaledSeconds(context, CELL_SECONDS, LEAST_CELL_SECONDS);
  const baton = await BatonPair.start(join(context.directory, 'pair'));
  try {
    const [plain, beside, idle, busy] = await Promise.all(
      ['plain', 'beside', 'idle', 'busy'].map(async (name) => {
        const id = await baton.createGroup(name, [`${name}-volume`], sizeBytes);
        return { name, id, target: await baton.target(`${name}-volume`) };
      }),
    );
    if (!plain || !beside || !idle || !busy) throw new Error('four');
    for (const { target } of [plain, beside, idle, busy]) await fill(target, sizeBytes);
    for (const { name } of [idle, busy]) await baton.protect(name, ONE_DAY_SECONDS);
    await fill(idle.target, sizeBytes);

    const prepare: Readonly<Record<State, () => Promise<FioTarget>>> = {
      unprotected: async () => {
        await baton.changeRpo(busy.name, ONE_DAY_SECONDS);
        await baton.quiet(busy.id);
        return plain.target;
      },
      idle: () => Promise.resolve(idle.target),
      beside: () => Promise.resolve(beside.target),
      'after a point': async () => {
        await baton.sync(busy.name);
        await baton.quiet(busy.id);
        return busy.target;
      },
      cycling: async () => {
        await baton.changeRpo(busy.name, SHORT_RPO_SECONDS);
        return busy.target;
      },
      again: () => Promise.resolve(plain.target),
    };
    const cells: Cells = new Map(Object.keys(loads).map((load) => [load, emptyRow()]));
    const rounds = scaledTimes(context, ROUNDS, LEAST_ROUNDS);
    for (let round = 0; round < rounds; round += 1) {
      for (const [load, job] of Object.entries(loads)) {
        for (const state of states) {
          const target = await prepare[state]();
          const cell = await fio(target, { ...job, sizeBytes, seconds, seed: round + 1 });
          cells.get(load)?.[state].push(cell);
          context.say(`${load}, ${state}: ${cell.iops.toFixed(0)} IOPS`);
        }
      }
    }
    return { tables: [ratioTable(cells), latencyTable(cells)], notes: [] };
  } finally {
    await baton.close();
  }
}

function emptyRow(): Record<State, Cell[]> {
  return { unprotected: [], idle: [], beside: [], again: [], 'after a point': [], cycling: [] };
}

function ratioTable(cells: Cells): { head: string[]; rows: string[][] } {
  const ratios = (row: Readonly<Record<State, Cell[]>>, state: State): readonly number[] =>
    row[state].map(({ iops }, round) => {
      const [before, after] = [row.unprotected[round]?.iops, row.again[round]?.iops];
      return (2 * iops) / ((before ?? NaN) + (after ?? NaN));
    });
  const rows = [...cells].map(([load, row]) => [
    load,
    said(
      row.unprotected.map(({ iops }) => iops),
      0,
    ),
    judged(ratios(row, 'idle'), WANTED_IDLE, 'least'),
    said(ratios(row, 'beside'), 2),
    said(ratios(row, 'again'), 2),
    said(ratios(row, 'after a point'), 2),
    said(ratios(row, 'cycling'), 2),
  ]);
  return { head: ['load', 'unprotected IOPS', ...states.slice(1)], rows };
}

function latencyTable(cells: Cells): { head: string[]; rows: string[][] } {
  const p99 = (row: Readonly<Record<State, Cell[]>>, state: State): string =>
    said(
      row[state].map(({ p99Microseconds }) => p99Microseconds),
      0,
    );
  const rows = [...cells].map(([load, row]) => [load, ...states.map((state) => p99(row, state))]);
  return { head: ['p99 µs', ...states], rows };
}
