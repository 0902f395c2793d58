import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startNumberedWriter } from '../src/main/numbered-writer.ts';
import type { NumberedWriter } from '../src/main/numbered-writer.ts';
import { waitUntil } from '../src/main/wait-until.ts';
import { MIB, scaledTimes } from './bench.ts';
import type { Bench, BenchContext, BenchResult } from './bench.ts';
import { judged, percentile, said } from './measure/spread.ts';
import { BatonPair, post } from './pair/baton-pair.ts';
import type { BatonSite } from './pair/baton-pair.ts';
import { HolderFollower } from './pair/follow-holder.ts';

const VOLUME_BYTES = 256 * MIB;
/** Each at sites of its own; of a synchronous one nothing is left to send at its handover. */
const GROUPS = [
  { volumes: 1, isSynchronous: false },
  { volumes: 3, isSynchronous: false },
  { volumes: 16, isSynchronous: false },
  { volumes: 16, isSynchronous: true },
  { volumes: 64, isSynchronous: false },
] as const;
/** At so many volumes, half of the handovers. */
const JUDGED_VOLUMES = 16;
const WANTED_MS = 500;
const WANTED_AGAIN_MS = 2000;
const WRITES_PER_SECOND = 1000;
const RPO_SECONDS = 30;
const HANDOVERS = 10;
const LEAST_HANDOVERS = 4;
const WRITE_FOR_MS = 2000;
const LIMIT_MS = 60_000;

export const handoverOutage: Bench = {
  name: 'handover-outage',
  about: (
    context,
  ) => `How long a host's writes stand still while a group is handed over under load: from the last
write that was acknowledged at one site to the first at the other. A writer sends ${WRITES_PER_SECOND} numbered
4 KiB writes a second over all volumes of the group; when its connection is lost it asks both sites every
few milliseconds who serves now, so its own waiting is not in the numbers. ${timesOf(context)} handovers, back and forth,
${LEAST_HANDOVERS} of more than ${JUDGED_VOLUMES} volumes.
*all volumes*: until each volume has been written again. A *synchronous* group is in sync when it is handed
over; *in sync again*: from its first write at the new site until that says so. At the end every
acknowledged write is looked for. Wanted: p50 of ${WANTED_MS} ms at ${JUDGED_VOLUMES} volumes, in sync again in ${WANTED_AGAIN_MS} ms.`,
  run,
};

interface Handover {
  readonly outageMs: number;
  readonly allVolumesMs: number;
  readonly jobMs: number;
  readonly steps: readonly { readonly name: string; readonly durationMs: number }[];
  /** Of a synchronous group. */
  readonly againMs: number | undefined;
}

type BenchedGroup = (typeof GROUPS)[number];

async function run(context: BenchContext): Promise<BenchResult> {
  const outageRows: string[][] = [];
  const steps = new Map<string, string[]>();
  const notes: string[] = [];
  for (const [column, benched] of GROUPS.entries()) {
    const { found, lost } = await handOverGroup(context, benched);
    outageRows.push(outageRow(benched, found));
    for (const [name, cell] of stepCells(found)) {
      const row = steps.get(name) ?? GROUPS.map(() => '–');
      row[column] = cell;
      steps.set(name, row);
    }
    notes.push(lost);
  }
  const stepRows = [...steps].map(([name, cells]) => [name, ...cells]);
  return {
    tables: [
      {
        head: ['group', 'outage ms, p50', 'max', 'all volumes ms, p50', 'max', 'in sync again ms'],
        rows: outageRows,
      },
      { head: ['step, ms', ...GROUPS.map(titleOf)], rows: stepRows },
    ],
    notes,
  };
}

interface Benched {
  readonly found: readonly Handover[];
  readonly lost: string;
}

async function handOverGroup(context: BenchContext, benched: BenchedGroup): Promise<Benched> {
  const baton = await BatonPair.start(join(context.directory, nameOf(benched)));
  try {
    return await handOverAt(context, baton, benched);
  } finally {
    await baton.close();
  }
}

async function handOverAt(
  context: BenchContext,
  baton: BatonPair,
  benched: BenchedGroup,
): Promise<Benched> {
  const { volumes: count, isSynchronous } = benched;
  const group = nameOf(benched);
  const volumes = Array.from({ length: count }, (_, i) => `${group}-${i}`);
  await baton.createGroup(group, volumes, VOLUME_BYTES);
  const follower = new HolderFollower([baton.a, baton.b], volumes[0] ?? '', group);
  const writer = await startNumberedWriter({
    volumes: volumes.map((label) => ({ label, sizeBytes: VOLUME_BYTES })),
    seed: count,
    writesPerSecond: WRITES_PER_SECOND,
    connect: (label) => follower.connect(label),
  });
  const found: Handover[] = [];
  const times = count > JUDGED_VOLUMES ? LEAST_HANDOVERS : timesOf(context);
  try {
    await baton.protect(group, RPO_SECONDS);
    if (isSynchronous) await baton.makeSynchronous(group);
    for (let time = 0; time < times; time += 1) {
      await delay(WRITE_FOR_MS);
      const source = await follower.holder();
      // A cycle that failed under load has paused it, until the next one gets through.
      await baton.isWell(group, source);
      const handover = await handOver(baton, group, source, writer);
      const holder = await follower.holder();
      const againMs = isSynchronous ? await inSyncAgain(baton, holder, group, handover) : undefined;
      context.say(`${titleOf(benched)}: ${handover.outageMs.toFixed(0)} ms`);
      found.push({ ...handover, againMs });
    }
  } finally {
    await writer.stop();
  }
  return { found, lost: await lookForWrites(writer, follower, titleOf(benched)) };
}

async function handOver(
  baton: BatonPair,
  group: string,
  from: BatonSite,
  writer: NumberedWriter,
): Promise<Omit<Handover, 'againMs'> & { readonly goesOnAtMs: number }> {
  const { log } = writer;
  const startedMs = performance.now();
  const job = await baton.job(from, post(`/groups/${group}/handover`, {}));
  const endedMs = performance.now();
  const { fromMs, toMs } = await waitUntil('the writer goes on', LIMIT_MS, () => {
    const goesOn = log
      .volumes()
      .every((volume) => (log.acknowledgedAtMs(volume).at(-1) ?? 0) > endedMs);
    return Promise.resolve(goesOn ? writer.outageBetween(startedMs, endedMs) : undefined);
  });
  const firstAgain = log
    .volumes()
    .map((volume) => log.acknowledgedAtMs(volume).find((at) => at >= toMs) ?? NaN);
  return {
    outageMs: toMs - fromMs,
    allVolumesMs: Math.max(...firstAgain) - fromMs,
    jobMs: endedMs - startedMs,
    steps: job.steps,
    goesOnAtMs: toMs,
  };
}

/** @returns ms from the first write at the new site until each write is at both sites */
async function inSyncAgain(
  baton: BatonPair,
  holder: BatonSite,
  group: string,
  { goesOnAtMs }: { readonly goesOnAtMs: number },
): Promise<number> {
  await baton.becomes(group, 'in_sync', holder);
  return performance.now() - goesOnAtMs;
}

async function lookForWrites(
  writer: NumberedWriter,
  follower: HolderFollower,
  title: string,
): Promise<string> {
  const { acknowledged } = writer.counts();
  const { lost, torn } = await writer.verify((label) => follower.connect(label), 'acknowledged');
  return `${title}: of ${acknowledged} acknowledged writes ${lost} lost, ${torn} torn.`;
}

function timesOf(context: BenchContext): number {
  return scaledTimes(context, HANDOVERS, LEAST_HANDOVERS);
}

function nameOf({ volumes, isSynchronous }: BenchedGroup): string {
  return `group-${volumes}${isSynchronous ? '-sync' : ''}`;
}

function titleOf({ volumes, isSynchronous }: BenchedGroup): string {
  return `${volumes} volume(s)${isSynchronous ? ', synchronous' : ''}`;
}

function outageRow(benched: BenchedGroup, found: readonly Handover[]): string[] {
  const cells = (values: readonly number[]): string[] => {
    const sorted = values.toSorted((a, b) => a - b);
    return [percentile(sorted, 0.5).toFixed(0), (sorted.at(-1) ?? NaN).toFixed(0)];
  };
  const outages = found.map(({ outageMs }) => outageMs);
  const [p50 = '', most = ''] = cells(outages);
  const again = found.flatMap(({ againMs }) => againMs ?? []);
  return [
    titleOf(benched),
    benched.volumes === JUDGED_VOLUMES ? judged(outages, WANTED_MS, 'most', 0) : p50,
    most,
    ...cells(found.map(({ allVolumesMs }) => allVolumesMs)),
    again.length === 0 ? '–' : judged(again, WANTED_AGAIN_MS, 'most', 0),
  ];
}

/** In the order of the saga, and the whole of it. */
function stepCells(found: readonly Handover[]): ReadonlyMap<string, string> {
  const names = found[0]?.steps.map(({ name }) => name) ?? [];
  const ofStep = (step: string): readonly number[] =>
    found.map(({ steps }) => steps.find(({ name }) => name === step)?.durationMs ?? NaN);
  const cells = names.map((name): [string, string] => [name, said(ofStep(name), 0)]);
  const whole = said(
    found.map(({ jobMs }) => jobMs),
    0,
  );
  return new Map([...cells, ['asked to answered', whole]]);
}
