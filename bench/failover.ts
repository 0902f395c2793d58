import { join } from 'node:path';
import { askSite } from '../src/cli/native-client.ts';
import { waitUntil } from '../src/main/wait-until.ts';
import { KIB, MIB, scaledBytes, scaledTimes } from './bench.ts';
import type { Bench, BenchContext, BenchResult } from './bench.ts';
import { fio } from './load/fio.ts';
import { judged, said } from './measure/spread.ts';
import type { Job, SessionAnswer } from './pair/answers.ts';
import { BatonPair, ONE_DAY_SECONDS, post } from './pair/baton-pair.ts';
import type { BatonSite } from './pair/baton-pair.ts';
import { HolderFollower } from './pair/follow-holder.ts';

const GROUP = 'failed';
const VOLUMES = Array.from({ length: 16 }, (_, i) => `failed-${i}`);
const VOLUME_BYTES = 1024 * MIB;
/** Of one volume, at random, at each site after their last common point. */
const DIVERGED_BYTES = 64 * MIB;
const REPETITIONS = 7;
const LEAST_REPETITIONS = 3;
const WANTED_SECONDS = 1;
const WANTED_BYTES = 1.1;
const LIMIT_MS = 120_000;

interface Failover {
  readonly firstWriteSeconds: number;
  readonly allVolumesSeconds: number;
  readonly job: Job;
  /** Sent by the first cycle back, for each byte that the new holder's hosts had written. */
  readonly sentPerDiverged: number;
}

export const failover: Bench = {
  name: 'failover',
  about: (context) => {
    const diverged = scaledBytes(context, DIVERGED_BYTES) / MIB;
    return `A group of ${VOLUMES.length} volumes is failed over to the destination, which asks nobody: from the request
to its API until a host's first 4 KiB write is acknowledged there, and until each volume has taken one.
Before it fio has rewritten ${diverged} MiB of one volume at the old holder since the last point, in blocks of 4 KiB
at random, and does the same at the new one afterwards. Then reprotect: the old holder sets its own
history aside, and the first cycle back is compared with what was written at the new holder. Wanted:
first write within ${WANTED_SECONDS} s, ${WANTED_BYTES} bytes sent for each byte that differs.`;
  },
  run,
};

async function run(context: BenchContext): Promise<BenchResult> {
  const baton = await BatonPair.start(join(context.directory, 'pair'));
  const found: Failover[] = [];
  try {
    await baton.createGroup(GROUP, VOLUMES, VOLUME_BYTES);
    await baton.protect(GROUP, ONE_DAY_SECONDS);
    const times = scaledTimes(context, REPETITIONS, LEAST_REPETITIONS);
    for (let time = 0; time < times; time += 1) {
      const one = await failOver(context, baton, time);
      context.say(`first write after ${one.firstWriteSeconds.toFixed(2)} s`);
      found.push(one);
    }
  } finally {
    await baton.close();
  }
  const seconds = found.map(({ firstWriteSeconds }) => firstWriteSeconds);
  return {
    tables: [
      {
        head: ['volumes', 'first write, s', 'all volumes, s', 'reprotect: sent ÷ diverged'],
        rows: [
          [
            `${VOLUMES.length}`,
            judged(seconds, WANTED_SECONDS, 'most'),
            said(
              found.map(({ allVolumesSeconds }) => allVolumesSeconds),
              2,
            ),
            judged(
              found.map(({ sentPerDiverged }) => sentPerDiverged),
              WANTED_BYTES,
              'most',
            ),
          ],
        ],
      },
      { head: ['step', 'ms'], rows: stepRows(found) },
    ],
    notes: [],
  };
}

async function failOver(context: BenchContext, baton: BatonPair, seed: number): Promise<Failover> {
  const { a, b } = baton;
  const [volume = ''] = VOLUMES;
  const rewrite = {
    rw: 'randwrite',
    blockBytes: 4 * KIB,
    queueDepth: 16,
    sizeBytes: VOLUME_BYTES,
    ioBytes: scaledBytes(context, DIVERGED_BYTES),
    more: ['--end_fsync=1'],
  } as const;
  await baton.sync(GROUP);
  await fio(await baton.target(volume), { ...rewrite, seed });

  const path = `/groups/${GROUP}/failover`;
  const { preflight } = await askSite<{ readonly preflight: { readonly confirmation: string } }>(
    b,
    post(`${path}?dryRun=true`, {}),
  );
  const startedMs = performance.now();
  const job = baton.job(b, post(path, { confirmation: preflight.confirmation }));
  const host = new HolderFollower([b], volume);
  const taken = await Promise.all(VOLUMES.map((one) => firstWrite(host, one)));
  const done = await job;
  const secondsAfter = (atMs: number): number => (atMs - startedMs) / 1000;

  const { ioBytes } = await fio(await baton.target(volume, b), { ...rewrite, seed: seed + 1000 });
  const { lastCycle } = await reprotect(baton, b);
  await askSite(b, post(`${path}/acknowledge`));
  await baton.job(b, post(`/groups/${GROUP}/handover`, {}));
  await discardForks(a);
  return {
    firstWriteSeconds: secondsAfter(Math.min(...taken)),
    allVolumesSeconds: secondsAfter(Math.max(...taken)),
    job: done,
    // One block of each volume was written to see that it takes writes.
    sentPerDiverged: (lastCycle?.sentBytes ?? NaN) / (ioBytes + VOLUMES.length * 4 * KIB),
  };
}

/** @returns when the host's first write to the volume was acknowledged */
async function firstWrite(host: HolderFollower, volume: string): Promise<number> {
  const connection = await host.connect(volume);
  await connection.write(0, Buffer.alloc(4 * KIB, 7));
  const atMs = performance.now();
  await connection.disconnect();
  return atMs;
}

/** Begins when the old holder has set its own history aside; ends with the first cycle. */
async function reprotect(baton: BatonPair, from: BatonSite): Promise<SessionAnswer> {
  await baton.job(from, post(`/groups/${GROUP}/session/reprotect`));
  return waitUntil('the first cycle back is complete', LIMIT_MS, async () => {
    const path = `/groups/${GROUP}/session`;
    const seen = await askSite<SessionAnswer>(from, { method: 'GET', path });
    return seen.state === 'ok' && seen.lastCycle !== undefined ? seen : undefined;
  });
}

async function discardForks(site: BatonSite): Promise<void> {
  const { items } = await askSite<{
    readonly items: readonly { readonly id: string; readonly siteId: string }[];
  }>(site, { method: 'GET', path: `/forks?group=${GROUP}` });
  for (const { id } of items) {
    const path = `/forks/${id}`;
    const seen = await askSite<{ readonly confirmation: string }>(site, post(`${path}/preflight`));
    const confirmed = `${path}?confirmation=${seen.confirmation}`;
    await askSite(site, { method: 'DELETE', path: confirmed });
  }
}

function stepRows(found: readonly Failover[]): string[][] {
  const names = found[0]?.job.steps.map(({ name }) => name) ?? [];
  return names.map((name) => {
    const durations = found.map(
      ({ job }) => job.steps.find((step) => step.name === name)?.durationMs ?? NaN,
    );
    return [name, said(durations, 0)];
  });
}
