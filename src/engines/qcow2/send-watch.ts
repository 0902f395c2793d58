import { Failure, refuse } from '../../domain/refusal.ts';
import { LinkFailure } from '../../ports/engine.ts';
import type { SendWatch } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import { dismissJob, tolerating } from '../qmp/commands.ts';
import { findJob, queryBlockJobs, queryJobs } from '../qmp/queries.ts';
import type { BlockJob, Job } from '../qmp/queries.ts';
import type { Attempt } from './send.ts';
import { cutLink } from './send-end.ts';
import type { VolumeSend } from './send-plan.ts';
import { gatherJob, sendJob, startVolume } from './send-volume.ts';
import { reachTarget } from './target-probe.ts';

const COPIES_AT_ONCE = 8;
const LOOK_AGAIN_MS = 100;
const REST_MS = 2;
/** A copy without progress for so long: see whether the target still answers. */
const STALL_MS = 10_000;

interface Seen {
  readonly volume: VolumeSend;
  readonly job: Job | undefined;
  readonly blockJob: BlockJob | undefined;
  readonly gathering: Job | undefined;
}

/**
 * Drives the copies to their end.
 *
 * @returns bytes sent
 * @throws LinkFailure, Refusal `no_space` — the copies that paused stay, and go on with a repeat
 */
export async function watchCopies(
  attempt: Attempt,
  { onProgress, signal }: SendWatch,
): Promise<number> {
  const { qmp } = attempt.daemon;
  const stall = new StallWatch();
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  let isFirst = true;
  for (;;) {
    signal.throwIfAborted();
    const events = qmp.eventCount;
    const seen = await look(qmp, attempt.plan);
    const sentBytes = sum(seen, (job) => job.doneBytes);
    onProgress({ sentBytes, totalBytes: sum(seen, (job) => job.totalBytes) });
    if (isFirst) await resumePaused(qmp, seen);
    else refusePaused(attempt, seen);
    if (seen.every(({ job }) => job?.status === 'concluded' && job.error === undefined))
      return sentBytes;
    const acted = await act(attempt, seen);
    if (stall.isLong(`${sentBytes}`)) await checkTarget(attempt, signal);
    isFirst = false;
    if (acted) continue;
    await Promise.race([qmp.nextEventOrTimeout(events, LOOK_AGAIN_MS), aborted]);
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
  }
}

async function look(qmp: QmpClient, plan: readonly VolumeSend[]): Promise<readonly Seen[]> {
  const [jobs, blockJobs] = await Promise.all([queryJobs(qmp), queryBlockJobs(qmp)]);
  return plan.map((volume) => ({
    volume,
    job: findJob(jobs, sendJob(volume)),
    blockJob: findJob(blockJobs, sendJob(volume)),
    gathering: findJob(jobs, gatherJob(volume)),
  }));
}

function sum(seen: readonly Seen[], bytes: (job: Job) => number): number {
  return seen.reduce((total, { job }) => total + (job ? bytes(job) : 0), 0);
}

/** Copies that an earlier call left paused. */
async function resumePaused(qmp: QmpClient, seen: readonly Seen[]): Promise<void> {
  const paused = seen.filter(({ blockJob }) => blockJob && blockJob.ioStatus !== 'ok');
  await Promise.all(
    paused.map(({ volume }) =>
      tolerating(/not found|not paused/i, () =>
        qmp.execute('block-job-resume', { device: sendJob(volume) }),
      ),
    ),
  );
}

function refusePaused({ group, request }: Attempt, seen: readonly Seen[]): void {
  const where = `${request.target.host}:${request.target.port}`;
  for (const { volume, job, blockJob } of seen) {
    if (blockJob?.ioStatus === 'failed') {
      throw new LinkFailure(
        `group ${group.id}: volume ${volume.volumeId} cannot be written at ${where}`,
      );
    }
    if (blockJob?.ioStatus === 'nospace') {
      const neededBytes = (job?.totalBytes ?? 0) - (job?.doneBytes ?? 0);
      refuse({ code: 'no_space', siteId: request.peerId, neededBytes, freeBytes: 0 });
    }
  }
}

/** Takes each volume one step further. @returns whether anything was done */
async function act(attempt: Attempt, seen: readonly Seen[]): Promise<boolean> {
  const { qmp } = attempt.daemon;
  let active = seen.filter(isActive).length;
  let acted = false;
  for (const { volume, job, gathering } of seen) {
    if (job?.status === 'ready') {
      // Ends a copy that is level with its source; `job-cancel` would call it a failure.
      await tolerating(/not found|cannot accept command/, () =>
        qmp.execute('block-job-cancel', { device: job.id }),
      );
      acted = true;
    } else if (job?.status === 'concluded' && job.error !== undefined) {
      await dismissJob(qmp, job.id);
      throw new Failure(`group ${attempt.group.id}: volume ${volume.volumeId}: ${job.error}`);
    } else if (gathering?.status === 'concluded') {
      await dismissJob(qmp, gathering.id);
      if (gathering.error !== undefined) {
        throw new Failure(
          `group ${attempt.group.id}: volume ${volume.volumeId}: ${gathering.error}`,
        );
      }
      acted = true;
    } else if (!job && !gathering && active < COPIES_AT_ONCE) {
      await attempt.group.locked(() => startIfWanted(attempt, volume));
      active += 1;
      acted = true;
    }
  }
  return acted;
}

function isActive({ job, gathering }: Seen): boolean {
  return gathering !== undefined || (job !== undefined && job.status !== 'concluded');
}

/** Within the group's lock: whoever ended the send has recorded that, and nothing starts again. */
async function startIfWanted(
  { group, daemon, request, sending }: Attempt,
  volume: VolumeSend,
): Promise<void> {
  const record = await group.record();
  const isWanted =
    record.sending?.pointId === sending.pointId &&
    record.sending.target.instance === sending.target.instance &&
    record.sending.instance === daemon.instance;
  if (!isWanted)
    throw new Failure(`group ${group.id}: the send of point ${sending.pointId} was ended`);
  await startVolume(group, daemon.qmp, request, volume);
}

/** A link that has gone silent holds the copy for ever: closing it lets the copy pause. */
async function checkTarget({ group, request }: Attempt, signal: AbortSignal): Promise<void> {
  try {
    await reachTarget(group, request, signal);
  } catch (cause) {
    if (cause instanceof LinkFailure) await cutLink(group, request.target);
    throw cause;
  }
}

class StallWatch {
  #progress = '';
  #since = performance.now();

  isLong(progress: string): boolean {
    const now = performance.now();
    if (progress === this.#progress && now - this.#since < STALL_MS) return false;
    const isLong = progress === this.#progress;
    this.#progress = progress;
    this.#since = now;
    return isLong;
  }
}
