import { Failure, refuse } from '../../domain/refusal.ts';
import { LinkFailure } from '../../ports/engine.ts';
import type { SendWatch } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import { dismissJob, tolerating } from '../qmp/commands.ts';
import { findJob, queryBlockJobs, queryJobs } from '../qmp/queries.ts';
import type { BlockJob, Job } from '../qmp/queries.ts';
import { allOf, readGraph } from './graph.ts';
import type { Attempt } from './send.ts';
import { cutLink } from './send-end.ts';
import { MAX_BUFFER_BYTES, bufferOf, openCopy, releaseCopies, startCopy } from './send-copy.ts';
import type { OpenedCopy } from './send-copy.ts';
import type { Copy, VolumeSend } from './send-plan.ts';
import { reachTarget } from './target-probe.ts';

/** Of all copies of a send at once. */
const BUFFERS_BYTES = 8 * MAX_BUFFER_BYTES;
const LOOK_AGAIN_MS = 100;
const REST_MS = 2;
/** A copy without progress for so long: see whether the target still answers. */
const STALL_MS = 10_000;

interface Seen {
  readonly volume: VolumeSend;
  readonly copies: readonly SeenCopy[];
}

interface SeenCopy {
  readonly copy: Copy;
  readonly job: Job | undefined;
  readonly blockJob: BlockJob | undefined;
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
    if (isFirst) await goOn(qmp, seen);
    else refusePaused(attempt, seen);
    if (seen.every(({ copies }) => copies.every(isDone))) return sentBytes;
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
    copies: volume.copies.map((copy) => ({
      copy,
      job: findJob(jobs, copy.jobId),
      blockJob: findJob(blockJobs, copy.jobId),
    })),
  }));
}

function isDone({ job }: SeenCopy): boolean {
  return job?.status === 'concluded' && job.error === undefined;
}

/** Over the jobs that send; gathering is not progress that anybody waits for. */
function sum(seen: readonly Seen[], bytes: (job: Job) => number): number {
  const sends = seen.flatMap(({ copies }) => copies.filter(({ copy }) => copy.into === 'target'));
  return sends.reduce((total, { job }) => total + (job ? bytes(job) : 0), 0);
}

/** Copies that an earlier call left paused, or held at their start. */
async function goOn(qmp: QmpClient, seen: readonly Seen[]): Promise<void> {
  const running = seen.flatMap(({ copies }) => copies.filter(({ job }) => job));
  await releaseCopies(
    qmp,
    running.map(({ copy }) => copy),
  );
  const paused = running.filter(({ blockJob }) => blockJob && blockJob.ioStatus !== 'ok');
  await Promise.all(
    paused.map(({ copy }) =>
      tolerating(/not found|not paused/i, () =>
        qmp.execute('block-job-resume', { device: copy.jobId }),
      ),
    ),
  );
}

function refusePaused({ group, request }: Attempt, seen: readonly Seen[]): void {
  const where = `${request.target.host}:${request.target.port}`;
  for (const { volume, copies } of seen) {
    for (const { job, blockJob } of copies) {
      if (blockJob?.ioStatus === 'failed') {
        const what = `volume ${volume.volumeId} cannot be written at ${where}`;
        throw new LinkFailure(`group ${group.id}: ${what}`);
      }
      if (blockJob?.ioStatus === 'nospace') {
        const neededBytes = (job?.totalBytes ?? 0) - (job?.doneBytes ?? 0);
        refuse({ code: 'no_space', siteId: request.peerId, neededBytes, freeBytes: 0 });
      }
    }
  }
}

/** Takes each volume one step further. @returns whether anything was done */
async function act(attempt: Attempt, seen: readonly Seen[]): Promise<boolean> {
  const { qmp } = attempt.daemon;
  const next = seen.flatMap(({ volume, copies }): readonly NextCopy[] => {
    const unfinished = copies.find((one) => !isDone(one));
    return unfinished ? [{ volume, ...unfinished }] : [];
  });
  const failure = next.find(({ job }) => job?.status === 'concluded');
  if (failure) await failed(attempt, failure);
  const level = levelOnes(next);
  // Ends a copy that is level with its source; `job-cancel` would call it a failure.
  await Promise.all(
    level.map(({ copy }) =>
      tolerating(/not found|cannot accept command/, () =>
        qmp.execute('block-job-cancel', { device: copy.jobId }),
      ),
    ),
  );
  const waiting = await whatFits(attempt, next);
  if (waiting.length > 0) await attempt.group.locked(() => start(attempt, waiting));
  return level.length > 0 || waiting.length > 0;
}

/**
 * Copies to end. Each end waits for what the others have on their way, so the last ones end together,
 * unless one could start in the room that another leaves.
 */
function levelOnes(next: readonly NextCopy[]): readonly NextCopy[] {
  const isReady = ({ job }: NextCopy): boolean => job?.status === 'ready';
  const isWaited = next.some(({ job }) => job === undefined);
  const isLast = ({ copy, volume }: NextCopy): boolean => copy === volume.copies.at(-1);
  const ready = next.filter(isReady);
  if (isWaited || ready.length === next.length) return ready;
  return ready.filter((one) => !isLast(one));
}

/** Those that wait and whose buffers have room beside those of the copies that run. */
async function whatFits(
  { group }: Attempt,
  next: readonly NextCopy[],
): Promise<readonly NextCopy[]> {
  if (next.every(({ job }) => job !== undefined)) return [];
  const buffers = await Promise.all(next.map(({ volume, copy }) => bufferOf(group, volume, copy)));
  const bytesOf = (wanted: (one: NextCopy) => boolean): number =>
    buffers.reduce((sum, bytes, i) => sum + (next[i] && wanted(next[i]) ? bytes : 0), 0);
  let room = BUFFERS_BYTES - bytesOf(({ job }) => job !== undefined);
  return next.filter(({ job }, i) => {
    if (job !== undefined) return false;
    room -= buffers[i] ?? 0;
    return room >= 0;
  });
}

interface NextCopy extends SeenCopy {
  readonly volume: VolumeSend;
}

/** A copy that ended with an error starts anew with a repeat: its job goes. */
async function failed(
  { group, daemon }: Attempt,
  { volume: { volumeId }, copy, job }: NextCopy,
): Promise<never> {
  await dismissJob(daemon.qmp, copy.jobId);
  if (copy.into === 'gathered' && job?.error?.includes('No space') === true) {
    const siteId = group.site.options.tls.tlsName;
    refuse({ code: 'no_space', siteId, neededBytes: 0, freeBytes: 0 });
  }
  throw new Failure(`group ${group.id}: volume ${volumeId}: ${job?.error}`);
}

/** Within the group's lock: whoever ended the send has recorded that, and nothing starts again. */
async function start(
  { group, daemon, request, sending }: Attempt,
  waiting: readonly NextCopy[],
): Promise<void> {
  const record = await group.record();
  const isWanted =
    record.sending?.pointId === sending.pointId &&
    record.sending.target.instance === sending.target.instance &&
    record.sending.instance === daemon.instance;
  if (!isWanted) {
    throw new Failure(`group ${group.id}: the send of point ${sending.pointId} was ended`);
  }
  const { qmp } = daemon;
  const { nodes } = await readGraph(qmp);
  const context = { group, qmp, request, nodes };
  const opened: OpenedCopy[] = [];
  for (const { volume, copy } of waiting) opened.push(await openCopy(context, volume, copy));
  await allOf(opened.map((copy) => startCopy(qmp, copy)));
  await releaseCopies(
    qmp,
    opened.map(({ copy }) => copy),
  );
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
