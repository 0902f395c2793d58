import { join } from 'node:path';
import { BarePair } from './bare/bare-pair.ts';
import { GIB, KIB, MIB, scaledBytes, scaledTimes } from './bench.ts';
import type { Bench, BenchContext, BenchResult } from './bench.ts';
import { fill } from './load/fill.ts';
import { fio } from './load/fio.ts';
import type { FioTarget } from './load/fio.ts';
import { judged, said, speedRatios, spreadOf } from './measure/spread.ts';
import { wireBytes } from './measure/wire.ts';
import { BatonPair, ONE_DAY_SECONDS } from './pair/baton-pair.ts';
import type { Job } from './pair/answers.ts';
import { BtrfsPair } from './peers/btrfs-pair.ts';
import { RsyncPair } from './peers/rsync-pair.ts';

const VOLUME_BYTES = 8 * GIB;
const GROUP = 'delta';
const VOLUME = 'delta-volume';
const LARGE_SHARE = 0.05;
const SMALL_SHARE = 0.001;
const WANTED_SPEED = 0.95;
const WANTED_WIRE = 1.1;
const REPETITIONS = 5;
const LEAST_REPETITIONS = 3;
const PEER_REPETITIONS = 3;
const LEAST_PEER_REPETITIONS = 2;

/** One way to bring a copy up to date. */
interface Contender {
  readonly name: string;
  readonly target: FioTarget;
  /** Before the clock starts: what the cycle before left to do in the background. */
  readonly settle?: () => Promise<void>;
  /** @returns bytes between the two sites, where it knows better than the wire */
  readonly cycle: () => Promise<number | undefined>;
  /** The same, found out after the clock has stopped. */
  readonly countAfterwards?: () => Promise<number>;
}

/** Of one contender. */
interface Cycles {
  readonly seconds: number[];
  /** Bytes on the wire for each byte that was rewritten. */
  readonly wire: number[];
}

export const deltaCycle: Bench = {
  name: 'delta-cycle',
  about: (context) => {
    const size = `${scaledBytes(context, VOLUME_BYTES) / MIB} MiB`;
    return `A volume of ${size}, all of it written, at A and at B. fio rewrites ${LARGE_SHARE * 100} % of its
4 KiB blocks at random (or ${SMALL_SHARE * 100} %, or none), the same blocks for each contender; then one cycle
brings B up to date. Baton: from the request to its native API to the answer that the point is complete
at B. The *bare script* is no product: two storage daemons of the same QEMU, and a script that sends the
same QMP commands in the same order, with the same layers, TLS and options, and keeps no record of
anything. *rsync blocks* is \`rsync --inplace --fsync --no-whole-file --block-size=4096\` of a raw file on
this machine, which finds the changed blocks as it would over a network; *rsync whole* is its way with
local files, which copies all of it. *btrfs send* sends the snapshot of a raw file between two file
systems on loop devices: \`btrfs send -p | btrfs receive\`, \`btrfs filesystem sync\`. These have no TLS and
no network, and their files in the page cache; Baton and the script read and write the disk. Speed is the other's time divided by Baton's: above 1 Baton is
faster. Wire is everything between the sites, both directions, headers and Baton's own messages
included, divided by the bytes rewritten. Wanted: speed ≥ ${WANTED_SPEED} of the script, wire ≤ ${WANTED_WIRE}.`;
  },
  run,
};

async function run(context: BenchContext): Promise<BenchResult> {
  const sizeBytes = scaledBytes(context, VOLUME_BYTES);
  const baton = await BatonPair.start(join(context.directory, 'pair'));
  const rows: string[][] = [];
  const steps: Job[] = [];
  const peerTimes = scaledTimes(context, PEER_REPETITIONS, LEAST_PEER_REPETITIONS);
  const checks: string[] = [];
  try {
    const groupId = await baton.createGroup(GROUP, [VOLUME], sizeBytes);
    const target = await baton.target(VOLUME);
    await fill(target, sizeBytes);
    context.say('first copy');
    await baton.protect(GROUP, ONE_DAY_SECONDS);
    const ours: Contender = {
      name: 'Baton',
      target,
      settle: () => baton.quiet(groupId),
      cycle: async () => {
        steps.push(await baton.sync(GROUP));
        return undefined;
      },
    };
    const against = async (theirs: Contender, share: number, times: number): Promise<string[]> => {
      const [us, them] = await duel(context, [ours, theirs], { sizeBytes, share, times });
      return row(theirs.name, share, us, them, share === LARGE_SHARE);
    };

    const bare = await BarePair.start(join(context.directory, 'bare'), sizeBytes);
    try {
      const bareTarget = await bare.target();
      await fill(bareTarget, sizeBytes);
      await bare.cycle();
      const theirs: Contender = {
        name: 'bare script',
        target: bareTarget,
        cycle: () => bare.cycle().then(() => undefined),
      };
      for (const share of [LARGE_SHARE, SMALL_SHARE, 0])
        rows.push(
          await against(theirs, share, scaledTimes(context, REPETITIONS, LEAST_REPETITIONS)),
        );
    } finally {
      await bare.close();
    }
    checks.push(`bare script ${(await bare.isEqual()) ? 'equal' : 'DIFFERENT'}`);
    await bare.remove();

    const rsync = await RsyncPair.start(join(context.directory, 'rsync'), sizeBytes);
    try {
      await fill(rsync.target(), sizeBytes);
      await rsync.cycle('whole');
      for (const what of ['blocks', 'whole'] as const) {
        const cycle = (): Promise<number> => rsync.cycle(what);
        const theirs = { name: `rsync ${what}`, target: rsync.target(), cycle };
        rows.push(await against(theirs, LARGE_SHARE, peerTimes));
      }
      checks.push(`rsync ${(await rsync.isEqual()) ? 'equal' : 'DIFFERENT'}`);
    } finally {
      await rsync.close();
    }

    const btrfs = await BtrfsPair.start(join(context.directory, 'btrfs'), sizeBytes);
    if (typeof btrfs === 'string') {
      rows.push([`${LARGE_SHARE * 100} %`, 'btrfs send', `skipped: ${btrfs}`, '', '', '', '']);
    } else {
      try {
        await fill(btrfs.target(), sizeBytes);
        await btrfs.cycle();
        const theirs: Contender = {
          name: 'btrfs send',
          target: btrfs.target(),
          cycle: () => btrfs.cycle().then(() => undefined),
          countAfterwards: () => btrfs.streamBytes(),
        };
        rows.push(await against(theirs, LARGE_SHARE, peerTimes));
        checks.push(`btrfs ${(await btrfs.isEqual()) ? 'equal' : 'DIFFERENT'}`);
      } finally {
        await btrfs.close();
      }
    }
    checks.push(`Baton ${(await baton.isEqual(GROUP)) ? 'equal' : 'DIFFERENT'}`);
  } finally {
    await baton.close();
  }
  return {
    tables: [
      {
        head: ['rewritten', 'against', 'Baton s', 'theirs s', 'speed', 'Baton wire', 'their wire'],
        rows,
      },
      { head: ['step of a Baton cycle', 'ms'], rows: stepRows(steps.slice(-REPETITIONS)) },
    ],
    notes: [`Contents of A and B after the last cycle: ${checks.join(', ')}.`],
  };
}

let rewrites = 0;

async function duel(
  { say }: BenchContext,
  contenders: readonly [Contender, Contender],
  { sizeBytes, share, times }: { sizeBytes: number; share: number; times: number },
): Promise<readonly [Cycles, Cycles]> {
  const found: readonly [Cycles, Cycles] = [
    { seconds: [], wire: [] },
    { seconds: [], wire: [] },
  ];
  for (let time = 0; time < times; time += 1) {
    rewrites += 1;
    for (const [i, contender] of contenders.entries()) {
      const dirtyBytes = await rewrite(contender.target, sizeBytes, share, rewrites);
      await contender.settle?.();
      const wireBefore = await wireBytes();
      const startedMs = performance.now();
      const told = await contender.cycle();
      const seconds = (performance.now() - startedMs) / 1000;
      const wireAfter = await wireBytes();
      const counted = told ?? (await contender.countAfterwards?.());
      const sent = counted ?? (wireBefore === undefined ? NaN : (wireAfter ?? NaN) - wireBefore);
      found[i as 0 | 1].seconds.push(seconds);
      found[i as 0 | 1].wire.push(dirtyBytes === 0 ? sent : sent / dirtyBytes);
      say(`${share * 100} % ${contender.name}: ${seconds.toFixed(2)} s, ${sent} bytes sent`);
    }
  }
  return found;
}

async function rewrite(
  target: FioTarget,
  sizeBytes: number,
  share: number,
  seed: number,
): Promise<number> {
  const ioBytes = Math.round((sizeBytes * share) / (4 * KIB)) * 4 * KIB;
  if (ioBytes === 0) return 0;
  const job = { rw: 'randwrite', blockBytes: 4 * KIB, queueDepth: 32, sizeBytes, seed } as const;
  return (await fio(target, { ...job, ioBytes, more: ['--end_fsync=1'] })).ioBytes;
}

function row(
  name: string,
  share: number,
  ours: Cycles,
  theirs: Cycles,
  isPublished: boolean,
): string[] {
  const ratios = speedRatios(ours.seconds, theirs.seconds);
  const isJudged = isPublished && name === 'bare script';
  const wire = (values: readonly number[]): string => {
    if (values.every(Number.isNaN)) return 'not counted';
    return share === 0 ? `${(spreadOf(values).median / KIB).toFixed(0)} KiB` : said(values, 3);
  };
  return [
    share === 0 ? 'nothing' : `${share * 100} %`,
    name,
    said(ours.seconds, 2),
    said(theirs.seconds, 2),
    isJudged ? judged(ratios, WANTED_SPEED, 'least') : said(ratios, 2),
    isJudged && !ours.wire.every(Number.isNaN)
      ? judged(ours.wire, WANTED_WIRE, 'most')
      : wire(ours.wire),
    wire(theirs.wire),
  ];
}

/** Where the time of the newest cycles went. */
function stepRows(jobs: readonly Job[]): string[][] {
  const names = [...new Set(jobs.flatMap((job) => job.steps.map(({ name }) => name)))];
  const duration = (job: Job, name: string): number =>
    job.steps.find((step) => step.name === name)?.durationMs ?? 0;
  return names.map((name) => [
    name,
    said(
      jobs.map((job) => duration(job, name)),
      0,
    ),
  ]);
}
