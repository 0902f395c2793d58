import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { askSite } from '../src/cli/native-client.ts';
import { startNumberedWriter } from '../src/main/numbered-writer.ts';
import { waitUntil } from '../src/main/wait-until.ts';
import { GIB, KIB, MIB, scaledBytes, scaledSeconds, scaledTimes } from './bench.ts';
import type { Bench, BenchContext, BenchResult } from './bench.ts';
import { pacedWrites } from './load/paced-writes.ts';
import type { TimedWrite } from './load/paced-writes.ts';
import { judged, percentile, said, speedRatios } from './measure/spread.ts';
import { BatonPair, HOST, post } from './pair/baton-pair.ts';
import { HolderFollower } from './pair/follow-holder.ts';
import { NbdSource } from './peers/nbd-source.ts';

const VOLUME_BYTES = 8 * GIB;
const WRITTEN_SHARE = 0.25;
const WANTED_SPEED = 0.85;
const REPETITIONS = 5;
const LEAST_REPETITIONS = 3;
const IOPS = 200;
const HOST_SECONDS = 20;
const LEAST_HOST_SECONDS = 5;
const CUT_OVER_BYTES = 64 * MIB;
const CUT_OVERS = 20;
const LEAST_CUT_OVERS = 5;
const WANTED_PAUSE_MS = 100;
const WRITES_PER_SECOND = 500;
const MORE_WRITES = 200;
const LIMIT_MS = 60 * 60_000;

export const imports: Bench = {
  name: 'import',
  about: (context) => {
    const size = scaledBytes(context, VOLUME_BYTES) / MIB;
    return `A volume of ${size} MiB at a storage daemon over plain NBD, ${WRITTEN_SHARE * 100} % of it written, a mebibyte here and
there, is brought in while no host writes it. Baton: from the request until it is ready to cut over,
comparison left out, since the others make none. *qemu-img convert* writes a layer of the same kind,
*nbdcopy* a plain file. Speed is the other's time divided by Baton's. Wanted: ≥ ${WANTED_SPEED} of both.
*Host*: ${IOPS} writes of 4 KiB a second through Baton on the source, before the copy and while it runs.
*Cut-over*: how long Baton says requests were held, a volume of ${CUT_OVER_BYTES / MIB} MiB under ${WRITES_PER_SECOND} numbered writes a second,
each of which is looked for afterwards. Wanted: p99 ≤ ${WANTED_PAUSE_MS} ms.`;
  },
  run,
};

interface Import {
  readonly state: string;
  readonly trouble?: string;
  readonly cutOverPauseMs?: number;
}

async function run(context: BenchContext): Promise<BenchResult> {
  const baton = await BatonPair.start(join(context.directory, 'pair'));
  try {
    const copies = await copyRates(context, baton);
    const latency = await hostLatency(context, baton);
    const pauses = await cutOverPauses(context, baton);
    const head = ['', 'seconds', 'MiB/s of data', "speed (theirs ÷ Baton's time)"];
    return {
      tables: [
        { head, rows: copies },
        { head: ['host writes, ms', 'p50', 'p99', 'max'], rows: latency },
        { head: ['cut-overs', 'pause ms, p50', 'p99', 'max'], rows: [pauses.row] },
      ],
      notes: [pauses.note],
    };
  } finally {
    await baton.close();
  }
}

async function copyRates(context: BenchContext, baton: BatonPair): Promise<string[][]> {
  const sizeBytes = scaledBytes(context, VOLUME_BYTES);
  const writtenBytes = Math.round((sizeBytes * WRITTEN_SHARE) / MIB) * MIB;
  const directory = join(context.directory, 'source');
  const source = await NbdSource.start(directory, sizeBytes, writtenBytes);
  const found = { Baton: [], 'qemu-img convert': [], nbdcopy: [] } as Record<string, number[]>;
  try {
    await addSource(baton, 'rates', source);
    const ways = {
      Baton: async () => {
        await begin(baton, 'rates', source, { verify: false });
        await importOnce(baton, 'rates', 'ready');
      },
      'qemu-img convert': () => source.convert(),
      nbdcopy: () => source.nbdcopy(),
    };
    for (let time = 0; time < scaledTimes(context, REPETITIONS, LEAST_REPETITIONS); time += 1) {
      for (const [name, copy] of Object.entries(ways)) {
        const startedMs = performance.now();
        await copy();
        const seconds = (performance.now() - startedMs) / 1000;
        found[name]?.push(seconds);
        context.say(`${name}: ${seconds.toFixed(2)} s`);
      }
      await forget(baton, 'rates');
    }
  } finally {
    await source.close();
    await rm(directory, { recursive: true });
  }
  const ours = found['Baton'] ?? [];
  return Object.entries(found).map(([name, seconds]) => [
    name,
    said(seconds, 2),
    said(
      seconds.map((each) => writtenBytes / MIB / each),
      0,
    ),
    seconds === ours ? '' : judged(speedRatios(ours, seconds), WANTED_SPEED, 'least'),
  ]);
}

async function hostLatency(context: BenchContext, baton: BatonPair): Promise<string[][]> {
  const sizeBytes = scaledBytes(context, VOLUME_BYTES);
  const directory = join(context.directory, 'source');
  const source = await NbdSource.start(directory, sizeBytes, sizeBytes / 2);
  try {
    await addSource(baton, 'latency', source);
    await begin(baton, 'latency', source, { hosts: [HOST], waitForHosts: true });
    await importOnce(baton, 'latency', 'mirror_enabled');
    await askSite(baton.a, post('/imports/latency/enable'));
    const target = await baton.target('latency');
    const seconds = scaledSeconds(context, HOST_SECONDS, LEAST_HOST_SECONDS);
    const load = { blockBytes: 4 * KIB, queueDepth: 1, sizeBytes, seconds, iops: IOPS, seed: 1 };
    const before = await pacedWrites(target, load);
    // Half of the disk, for twice as long as the host is looked at.
    const bytesPerSecond = Math.max(MIB, Math.round(sizeBytes / 2 / (2 * seconds)));
    await askSite(baton.a, { method: 'PATCH', path: '/imports/latency', body: { bytesPerSecond } });
    await askSite(baton.a, post('/imports/latency/start-copy'));
    const during = await pacedWrites(target, load);
    await forget(baton, 'latency', true);
    const row = (name: string, writes: readonly TimedWrite[]): string[] => [
      name,
      ...milliseconds(writes.map(({ microseconds }) => microseconds / 1000)),
    ];
    return [row('before the copy', before), row('during it', during)];
  } finally {
    await source.close();
    await rm(directory, { recursive: true });
  }
}

async function cutOverPauses(
  context: BenchContext,
  baton: BatonPair,
): Promise<{ readonly row: string[]; readonly note: string }> {
  const pauses: number[] = [];
  let [checked, lost] = [0, 0];
  for (let time = 0; time < scaledTimes(context, CUT_OVERS, LEAST_CUT_OVERS); time += 1) {
    const name = `cut-${time}`;
    const directory = join(context.directory, name);
    const source = await NbdSource.start(directory, CUT_OVER_BYTES, 0);
    try {
      await addSource(baton, name, source);
      await begin(baton, name, source, { hosts: [HOST] });
      const follower = new HolderFollower([baton.a], name);
      const writer = await startNumberedWriter({
        volumes: [{ label: name, sizeBytes: CUT_OVER_BYTES }],
        seed: time,
        writesPerSecond: WRITES_PER_SECOND,
        connect: (label) => follower.connect(label),
      });
      await importOnce(baton, name, 'ready');
      await baton.job(baton.a, post(`/imports/${name}/cutover`));
      const { cutOverPauseMs = NaN } = await importOnce(baton, name, 'completed');
      const wanted = writer.counts().acknowledged + MORE_WRITES;
      await waitUntil('the writer goes on', LIMIT_MS, async () =>
        writer.counts().acknowledged >= wanted ? true : undefined,
      );
      await writer.stop();
      const verified = await writer.verify((label) => follower.connect(label), 'acknowledged');
      checked += verified.checked;
      lost += verified.lost;
      pauses.push(cutOverPauseMs);
      context.say(`cut over: ${cutOverPauseMs.toFixed(1)} ms`);
    } finally {
      await source.close();
      await rm(directory, { recursive: true });
    }
  }
  const [p50 = '', , max = ''] = milliseconds(pauses);
  const sorted = pauses.toSorted((a, b) => a - b);
  const p99 = judged([percentile(sorted, 0.99)], WANTED_PAUSE_MS, 'most');
  const note = `Of ${checked} blocks with an acknowledged write ${lost} were lost over the cut-overs.`;
  return { row: [`${pauses.length}`, p50, p99, max], note };
}

async function addSource(baton: BatonPair, name: string, source: NbdSource): Promise<void> {
  await askSite(baton.a, post('/sources', { name, endpoint: source.endpoint }));
}

async function begin(
  baton: BatonPair,
  name: string,
  { locator }: NbdSource,
  settings: object,
): Promise<void> {
  await askSite(
    baton.a,
    post('/imports', { source: name, volumes: [{ name, locator }], ...settings }),
  );
}

function importOnce(baton: BatonPair, name: string, state: string): Promise<Import> {
  return waitUntil(`import ${name} is ${state}`, LIMIT_MS, async () => {
    const seen = await askSite<Import>(baton.a, { method: 'GET', path: `/imports/${name}` });
    if (seen.state === 'cancel_required') throw new Error(`import ${name}: ${seen.trouble}`);
    return seen.state === state ? seen : undefined;
  });
}

async function forget(baton: BatonPair, name: string, hasHost = false): Promise<void> {
  await baton.job(baton.a, post(`/imports/${name}/cancel`, { force: false }));
  const host = { method: 'DELETE', path: `/volumes/${name}/hosts/${HOST}` } as const;
  if (hasHost) await askSite(baton.a, host);
  await baton.job(baton.a, { method: 'DELETE', path: `/imports/${name}` });
}

/** p50, p99 and the largest. */
function milliseconds(values: readonly number[]): string[] {
  const sorted = values.toSorted((a, b) => a - b);
  return [0.5, 0.99, 1].map((fraction) => percentile(sorted, fraction).toFixed(2));
}
