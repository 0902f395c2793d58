import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { askSite } from '../src/cli/native-client.ts';
import { queryJobs } from '../src/engines/qmp/queries.ts';
import { GIB, KIB, MIB, scaledBytes, scaledSeconds } from './bench.ts';
import type { Bench, BenchContext, BenchResult, Table } from './bench.ts';
import { fill } from './load/fill.ts';
import { pacedWrites } from './load/paced-writes.ts';
import type { TimedWrite } from './load/paced-writes.ts';
import { percentile } from './measure/spread.ts';
import { BatonPair } from './pair/baton-pair.ts';
import type { BatonSite } from './pair/baton-pair.ts';
import { monitorOf } from './pair/data-plane.ts';

const VOLUME_BYTES = 4 * GIB;
const SECONDS = 300;
const LEAST_SECONDS = 90;
const WRITES_PER_SECOND = 2000;
const RPO_SECONDS = 5;
const WANTED_LAYERS = 16;
const LOOK_MS = 50;
const COUNT_LAYERS_MS = 1000;
const GROUP = 'deep';
const VOLUME = 'deep-volume';

/** What A's daemon does beside serving the host. */
type Doing = 'nothing' | 'sending' | 'merging';

interface Look {
  readonly atMs: number;
  readonly doing: Doing;
}

interface Layers {
  readonly a: number;
  readonly b: number;
}

export const deepChains: Bench = {
  name: 'deep-chains',
  about: (context) => {
    const size = scaledBytes(context, VOLUME_BYTES) / MIB;
    const seconds = scaledSeconds(context, SECONDS, LEAST_SECONDS);
    return `A volume of ${size} MiB, all written, RPO ${RPO_SECONDS} s; fio writes ${WRITES_PER_SECOND} random 4 KiB blocks a second for
${seconds} s over TLS and logs each. Every ${LOOK_MS} ms the daemon at A is asked what it does beside: a write
belongs to what was seen last before its answer. Sealed points are merged away in batches at both sites.
Wanted: fewer than ${WANTED_LAYERS} layers at all times.`;
  },
  run,
};

async function run(context: BenchContext): Promise<BenchResult> {
  const sizeBytes = scaledBytes(context, VOLUME_BYTES);
  const seconds = scaledSeconds(context, SECONDS, LEAST_SECONDS);
  const baton = await BatonPair.start(join(context.directory, 'pair'));
  try {
    const groupId = await baton.createGroup(GROUP, [VOLUME], sizeBytes);
    const target = await baton.target(VOLUME);
    await fill(target, sizeBytes);
    await baton.protect(GROUP, RPO_SECONDS);
    const over = new AbortController();
    const looks = lookOn(baton.a, groupId, over.signal);
    const layers = countOn(baton, over.signal);
    try {
      const job = { blockBytes: 4 * KIB, queueDepth: 16, sizeBytes, seconds, seed: 1 };
      const writes = await pacedWrites(target, { ...job, iops: WRITES_PER_SECOND });
      over.abort();
      return result(writes, await looks, await layers);
    } finally {
      over.abort();
      await Promise.allSettled([looks, layers]);
    }
  } finally {
    await baton.close();
  }
}

async function lookOn(
  site: BatonSite,
  groupId: string,
  over: AbortSignal,
): Promise<readonly Look[]> {
  const qmp = await monitorOf(site, groupId);
  if (qmp === undefined) throw new Error('no daemon to look at');
  const looks: Look[] = [];
  try {
    while (!over.aborted) {
      const atMs = Date.now();
      const running = (await queryJobs(qmp)).filter(({ status }) => status !== 'concluded');
      const merges = running.some(({ id }) => id.startsWith('merge-'));
      const doing = merges ? 'merging' : running.length > 0 ? 'sending' : 'nothing';
      looks.push({ atMs, doing });
      await delay(LOOK_MS);
    }
  } finally {
    qmp.close();
  }
  return looks;
}

async function countOn({ a, b }: BatonPair, over: AbortSignal): Promise<readonly Layers[]> {
  const path = `/groups/${GROUP}/data-plane`;
  const count = async (site: BatonSite): Promise<number> => {
    const plane = await askSite<{ readonly volumes: readonly { readonly layers: number }[] }>(
      site,
      {
        method: 'GET',
        path,
      },
    );
    return Math.max(...plane.volumes.map(({ layers }) => layers));
  };
  const counts: Layers[] = [];
  while (!over.aborted) {
    counts.push({ a: await count(a), b: await count(b) });
    await delay(COUNT_LAYERS_MS);
  }
  return counts;
}

function result(
  writes: readonly TimedWrite[],
  looks: readonly Look[],
  layers: readonly Layers[],
): BenchResult {
  const byDoing: Record<Doing, number[]> = { nothing: [], sending: [], merging: [] };
  let next = 0;
  for (const { atMs, microseconds } of writes.toSorted((x, y) => x.atMs - y.atMs)) {
    while ((looks[next + 1]?.atMs ?? Infinity) <= atMs) next += 1;
    byDoing[looks[next]?.doing ?? 'nothing'].push(microseconds);
  }
  const most = { a: Math.max(...layers.map((l) => l.a)), b: Math.max(...layers.map((l) => l.b)) };
  const holds = Math.max(most.a, most.b) < WANTED_LAYERS ? 'holds' : 'MISSED';
  const series = (site: 'a' | 'b'): string =>
    layers
      .filter((_, second) => second % 5 === 0)
      .map((count) => count[site])
      .join(' ');
  return {
    tables: [latencyTable(byDoing, writes.length)],
    notes: [
      `Most layers: **${most.a} at A, ${most.b} at B** ${holds}.`,
      `Layers at A, every 5 s: ${series('a')}.`,
      `Layers at B, every 5 s: ${series('b')}.`,
    ],
  };
}

function latencyTable(byDoing: Readonly<Record<Doing, number[]>>, all: number): Table {
  const p99 = (values: readonly number[]): number =>
    percentile(
      values.toSorted((x, y) => x - y),
      0.99,
    );
  const rows = (['nothing', 'sending', 'merging'] as const).map((doing) => {
    const sorted = byDoing[doing].toSorted((x, y) => x - y);
    const at = (fraction: number): string => percentile(sorted, fraction).toFixed(0);
    const share = ((100 * sorted.length) / all).toFixed(0);
    const ratio = (p99(sorted) / p99(byDoing.nothing)).toFixed(2);
    return [doing, `${share} %`, at(0.5), at(0.99), at(0.999), at(1), ratio];
  });
  const head = ['A is', 'of all writes', 'p50 µs', 'p99 µs', 'p99.9 µs', 'max µs', 'p99 ÷ nothing'];
  return { head, rows };
}
