import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startNumberedWriter } from '../src/main/numbered-writer.ts';
import type { NumberedWriter } from '../src/main/numbered-writer.ts';
import { waitUntil } from '../src/main/wait-until.ts';
import { GIB, KIB, MIB, scaledBytes, scaledSeconds, scaledTimes } from './bench.ts';
import type { Bench, BenchContext, BenchResult, Table } from './bench.ts';
import { fill } from './load/fill.ts';
import { fio } from './load/fio.ts';
import type { FioJob, FioResult, FioTarget } from './load/fio.ts';
import { judged, percentile, said } from './measure/spread.ts';
import { BatonPair, ONE_DAY_SECONDS, post } from './pair/baton-pair.ts';
import { HostAgent } from './pair/host-agent.ts';

const VOLUME_BYTES = 2 * GIB;
const CELL_SECONDS = 10;
const LEAST_CELL_SECONDS = 3;
const ROUNDS = 5;
const LEAST_ROUNDS = 2;

const MOVED_VOLUMES = [1, 16] as const;
const MOVED_BYTES = 256 * MIB;
const WRITES_PER_SECOND = 1000;
const RPO_SECONDS = 30;
const HANDOVERS = 10;
const LEAST_HANDOVERS = 4;
const WRITE_FOR_MS = 2000;
const LIMIT_MS = 60_000;
const WANTED_PAUSE_MS = 700;

const loads = {
  '4 KiB random read, qd 1': { rw: 'randread', blockBytes: 4 * KIB, queueDepth: 1 },
  '4 KiB random read, qd 32': { rw: 'randread', blockBytes: 4 * KIB, queueDepth: 32 },
  '4 KiB random write, qd 1': { rw: 'randwrite', blockBytes: 4 * KIB, queueDepth: 1 },
  '4 KiB random write, qd 32': { rw: 'randwrite', blockBytes: 4 * KIB, queueDepth: 32 },
  '128 KiB sequential read, qd 8': { rw: 'read', blockBytes: 128 * KIB, queueDepth: 8 },
  '128 KiB sequential write, qd 8': { rw: 'write', blockBytes: 128 * KIB, queueDepth: 8 },
} as const satisfies Readonly<Record<string, Pick<FioJob, 'rw' | 'blockBytes' | 'queueDepth'>>>;

/** In the order of a round. `again` is the first once more: what differs there is noise. */
const ways = ['direct', 'agent', 'again'] as const;
type Way = (typeof ways)[number];

type Row = Readonly<Record<Way, FioResult[]>>;

export const attachCost: Bench = {
  name: 'attach-cost',
  about: (context) => {
    const size = scaledBytes(context, VOLUME_BYTES) / MIB;
    const seconds = scaledSeconds(context, CELL_SECONDS, LEAST_CELL_SECONDS);
    const handovers = scaledTimes(context, HANDOVERS, LEAST_HANDOVERS);
    return `What it costs a host to follow its volumes, and what its programs see of a handover. *direct*: fio
(ioengine=nbd) attaches straight to the group's daemon over TLS. *agent*: the same volume through the socket
that "baton attach" made: two storage daemons on the host and a hop over a unix socket more. *again*: direct
once more at the end of the round, so its distance from 1 is noise. A volume of ${size} MiB, all written,
protected, no cycle due; ${seconds} s a cell; fio, both sites and all daemons share this machine. Each cell is
I/O per second divided by *direct* of the same round. Then handovers, ${handovers} back and forth, while a writer
sends ${WRITES_PER_SECOND} numbered 4 KiB writes a second through the sockets: *pause* is the longest time around
the handover in which none was acknowledged. Wanted: p50 of ${WANTED_PAUSE_MS} ms at most.`;
  },
  run,
};

async function run(context: BenchContext): Promise<BenchResult> {
  const baton = await BatonPair.start(join(context.directory, 'pair'));
  try {
    const cost = await measureCost(context, baton);
    const rows: string[][] = [];
    const notes: string[] = [];
    for (const count of MOVED_VOLUMES) {
      const { pausesMs, verdict } = await measurePauses(context, baton, count);
      rows.push(pauseRow(count, pausesMs));
      notes.push(verdict);
    }
    return { tables: [...cost, { head: ['volumes', 'pause ms, p50', 'max'], rows }], notes };
  } finally {
    await baton.close();
  }
}

async function measureCost(context: BenchContext, baton: BatonPair): Promise<readonly Table[]> {
  const sizeBytes = scaledBytes(context, VOLUME_BYTES);
  const seconds = scaledSeconds(context, CELL_SECONDS, LEAST_CELL_SECONDS);
  await baton.createGroup('cost', ['cost-volume'], sizeBytes);
  const direct = await baton.target('cost-volume');
  await fill(direct, sizeBytes);
  await baton.protect('cost', ONE_DAY_SECONDS);
  // What was written before the first point needs new room once.
  await fill(direct, sizeBytes);
  const agent = await HostAgent.attach(baton, join(context.directory, 'h'), ['cost-volume']);
  try {
    const targets: Readonly<Record<Way, FioTarget>> = {
      direct,
      agent: agent.target('cost-volume'),
      again: direct,
    };
    const cells = new Map<string, Row>(
      Object.keys(loads).map((load) => [load, { direct: [], agent: [], again: [] }]),
    );
    const rounds = scaledTimes(context, ROUNDS, LEAST_ROUNDS);
    for (let round = 0; round < rounds; round += 1) {
      for (const [load, job] of Object.entries(loads)) {
        for (const way of ways) {
          const cell = await fio(targets[way], { ...job, sizeBytes, seconds, seed: round + 1 });
          cells.get(load)?.[way].push(cell);
          context.say(`${load}, ${way}: ${cell.iops.toFixed(0)} IOPS`);
        }
      }
    }
    return [ratioTable(cells), latencyTable(cells)];
  } finally {
    await agent.close();
  }
}

function ratioTable(cells: ReadonlyMap<string, Row>): Table {
  const ratios = (row: Row, way: Way): readonly number[] =>
    row[way].map(({ iops }, round) => iops / (row.direct[round]?.iops ?? NaN));
  const rows = [...cells].map(([load, row]) => [
    load,
    said(
      row.direct.map(({ iops }) => iops),
      0,
    ),
    said(ratios(row, 'agent'), 2),
    said(ratios(row, 'again'), 2),
  ]);
  return { head: ['load', 'direct IOPS', 'agent', 'again'], rows };
}

function latencyTable(cells: ReadonlyMap<string, Row>): Table {
  const mean = (row: Row, way: Way): string =>
    said(
      row[way].map(({ meanMicroseconds }) => meanMicroseconds),
      0,
    );
  const p99 = (row: Row, way: Way): string =>
    said(
      row[way].map(({ p99Microseconds }) => p99Microseconds),
      0,
    );
  const rows = [...cells].map(([load, row]) => [
    load,
    ...[mean(row, 'direct'), mean(row, 'agent'), p99(row, 'direct'), p99(row, 'agent')],
  ]);
  return { head: ['µs', 'mean, direct', 'mean, agent', 'p99, direct', 'p99, agent'], rows };
}

async function measurePauses(
  context: BenchContext,
  baton: BatonPair,
  count: number,
): Promise<{ readonly pausesMs: readonly number[]; readonly verdict: string }> {
  const group = `moved-${count}`;
  const volumes = Array.from({ length: count }, (_, i) => `moved-${count}-${i}`);
  await baton.createGroup(group, volumes, MOVED_BYTES);
  await baton.protect(group, RPO_SECONDS);
  const agent = await HostAgent.attach(baton, join(context.directory, `h${count}`), volumes);
  try {
    const writer = await startNumberedWriter({
      volumes: volumes.map((label) => ({ label, sizeBytes: MOVED_BYTES })),
      seed: count,
      writesPerSecond: WRITES_PER_SECOND,
      connect: (label) => agent.connect(label),
    });
    try {
      const pausesMs: number[] = [];
      const times = scaledTimes(context, HANDOVERS, LEAST_HANDOVERS);
      for (let time = 0; time < times; time += 1) {
        await delay(WRITE_FOR_MS);
        const pauseMs = await handOver(baton, group, time % 2 === 0 ? 'a' : 'b', writer);
        context.say(`${count} volume(s): ${pauseMs.toFixed(0)} ms`);
        pausesMs.push(pauseMs);
      }
      const errors = writer.serverErrors();
      const { acknowledged } = writer.counts();
      await writer.stop();
      const { lost, torn } = await writer.verify((label) => agent.connect(label), 'acknowledged');
      const verdict = `${count} volume(s): ${errors} I/O errors; of ${acknowledged} acknowledged writes ${lost} lost, ${torn} torn.`;
      return { pausesMs, verdict };
    } finally {
      await writer.stop();
    }
  } finally {
    await agent.close();
  }
}

/** @returns how long no write was acknowledged; all volumes have been written again by then */
async function handOver(
  baton: BatonPair,
  group: string,
  from: 'a' | 'b',
  writer: NumberedWriter,
): Promise<number> {
  const { log } = writer;
  const startedMs = performance.now();
  await baton.job(baton[from], post(`/groups/${group}/handover`, {}));
  const endedMs = performance.now();
  const { fromMs, toMs } = await waitUntil('the writer goes on', LIMIT_MS, () => {
    const goesOn = log
      .volumes()
      .every((volume) => (log.acknowledgedAtMs(volume).at(-1) ?? 0) > endedMs);
    return Promise.resolve(goesOn ? writer.outageBetween(startedMs, endedMs) : undefined);
  });
  return toMs - fromMs;
}

function pauseRow(count: number, pausesMs: readonly number[]): string[] {
  const sorted = pausesMs.toSorted((a, b) => a - b);
  const most = percentile(sorted, 1).toFixed(0);
  return [`${count}`, judged(pausesMs, WANTED_PAUSE_MS, 'most', 0), most];
}
