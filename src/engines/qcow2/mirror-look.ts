/** What a mirror's jobs say, a few times a second. */
import type { MirrorInspection } from '../../ports/mirroring.ts';
import { tolerating } from '../qmp/commands.ts';
import type { QmpClient } from '../qmp/client.ts';
import { QmpClosed } from '../qmp/errors.ts';
import { findJob, isHalfDone, queryBlockJobs, queryJobs } from '../qmp/queries.ts';
import type { BlockJob, Job } from '../qmp/queries.ts';
import type { Group } from './group.ts';
import { mirrorJob } from './mirror.ts';
import { presentVolumes } from './record.ts';
import type { GroupRecord, Mirror, VolumeRecord } from './record.ts';

interface Seen {
  readonly volume: VolumeRecord;
  readonly job: Job | undefined;
  readonly blockJob: BlockJob | undefined;
}

/**
 * Waits for no work on the group. A copy of which half is done goes on to carry hosts' writes.
 *
 * @throws Failure when the daemon does not answer
 */
export async function inspectMirror(group: Group): Promise<MirrorInspection | undefined> {
  const record = await group.record();
  const { mirror } = record;
  if (!mirror) return undefined;
  // Asked before the look: what that does not find may be there when it has ended.
  const isBeginning = group.working.has('mirror');
  try {
    const daemon = await group.findDaemon();
    if (daemon?.instance !== mirror.instance) return lost(mirror, 'its data plane died');
    const seen = await look(daemon.qmp, record);
    await carryWrites(daemon.qmp, seen);
    return view(mirror, seen, isBeginning);
  } catch (cause) {
    if (cause instanceof QmpClosed) return lost(mirror, 'its data plane died');
    throw cause;
  }
}

async function look(qmp: QmpClient, record: GroupRecord): Promise<readonly Seen[]> {
  const [jobs, blockJobs] = await Promise.all([queryJobs(qmp), queryBlockJobs(qmp)]);
  return presentVolumes(record).map((volume) => ({
    volume,
    job: findJob(jobs, mirrorJob(volume)),
    blockJob: findJob(blockJobs, mirrorJob(volume)),
  }));
}

/** In the background a copy slows nobody, and is never level for long under a writer. */
async function carryWrites(qmp: QmpClient, seen: readonly Seen[]): Promise<void> {
  const due = seen.filter(
    ({ job, blockJob }) => job !== undefined && isHalfDone(job) && isBehind(blockJob),
  );
  for (const { volume } of due) {
    await tolerating(/not found|cannot accept command/, () =>
      qmp.execute('block-job-change', {
        id: mirrorJob(volume),
        type: 'mirror',
        'copy-mode': 'write-blocking',
      }),
    );
  }
}

function isBehind(blockJob: BlockJob | undefined): boolean {
  return blockJob?.ioStatus === 'ok' && !blockJob.activelySynced;
}

/** @param isBeginning what is not there yet may be on its way: somebody is at it */
function view(mirror: Mirror, seen: readonly Seen[], isBeginning: boolean): MirrorInspection {
  const failures = seen.flatMap((one) => failureOf(one, isBeginning) ?? []);
  const isLevel = seen.every(
    ({ job, blockJob }) => job?.status === 'ready' && blockJob?.activelySynced === true,
  );
  const state = failures.length > 0 ? 'failed' : isLevel ? 'level' : 'copying';
  return {
    ...lost(mirror, failures[0]),
    state,
    volumes: seen.map(({ volume: { volumeId }, job }) => ({
      volumeId,
      doneBytes: job?.doneBytes ?? 0,
      totalBytes: job?.totalBytes ?? 0,
    })),
  };
}

function failureOf({ volume, job, blockJob }: Seen, isBeginning: boolean): string | undefined {
  const { name } = volume;
  if (job === undefined) return isBeginning ? undefined : `volume ${name} is not mirrored`;
  if (job.status === 'concluded') return `volume ${name}: ${job.error ?? 'its copy ended'}`;
  if (blockJob?.ioStatus === 'nospace') return `volume ${name}: no room at the other site`;
  return blockJob?.ioStatus === 'failed' ? `volume ${name} cannot be written there` : undefined;
}

function lost({ mirrorId, target }: Mirror, why: string | undefined): MirrorInspection {
  const { host, port, instance: targetInstance } = target;
  return { mirrorId, targetInstance, to: { host, port }, state: 'failed', why, volumes: [] };
}
