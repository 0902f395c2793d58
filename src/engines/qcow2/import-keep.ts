/**
 * Keeps a source current after the cut-over: one job per volume between hosts and the head, which
 * writes to the source what hosts write here.
 *
 *   the source opened anew ─ job: what the layer above our copy has (or all) ─▶ write-blocking ▸ in step
 *
 * A job that failed is never resumed, and a connection that broke never waited for: what a source
 * had only in its memory may be lost by then. It begins again with the whole layer.
 */
import { Failure } from '../../domain/refusal.ts';
import type { KeptSource } from '../../ports/importer.ts';
import type { QmpClient } from '../qmp/client.ts';
import { abortJob, tolerating } from '../qmp/commands.ts';
import { QmpClosed } from '../qmp/errors.ts';
import { findJob, isHalfDone, queryBlockJobs, queryJobs } from '../qmp/queries.ts';
import type { BlockJob, Job } from '../qmp/queries.ts';
import { enter, enterRunning } from './enter.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { cutSource, endImportJobs } from './import-jobs.ts';
import { KEEP_JOB, keptFilterNode, originNode } from './import-nodes.ts';
import { openOrigin } from './import-origin.ts';
import type { Kept, KeptVolume } from './import-record.ts';
import { initiatorName, reachSource } from './import-source.ts';
import { headNode, layerNode } from './nodes.ts';
import { activeLayer, findVolume } from './record.ts';
import type { GroupRecord } from './record.ts';

/** A larger unit would copy what was never written. */
const GRANULARITY_BYTES = 4096;
/** Hosts wait no longer for a source that says nothing; then they go on without it. */
const SILENT_MS = 3000;
/** The same for one that is not in step yet: a copy with a low limit gets on in steps. */
const SILENT_COPY_MS = 20_000;

export function keptJob({ key }: Pick<KeptVolume, 'key'>): string {
  return `${KEEP_JOB}${key}`;
}

export async function keepSource(group: Group, bytesPerSecond: number | undefined): Promise<void> {
  await dropFailed(group);
  const known = (await group.record()).kept;
  // Before the lock: others would wait for a source that does not answer, and so would the daemon.
  if (known) await reachSource(group.site, known.source);
  await group.locked(async () => {
    const { record, daemon } = await enterRunning(group);
    const { kept } = record;
    if (!kept) throw new Failure(`group ${group.id} keeps no source`);
    const { qmp } = daemon;
    const jobs = await queryJobs(qmp);
    const speed = Math.ceil((bytesPerSecond ?? 0) / kept.volumes.length);
    for (const volume of kept.volumes) {
      if (findJob(jobs, keptJob(volume)) !== undefined) continue;
      await deleteNodes(qmp, await readGraph(qmp), [originNode(volume.key)]);
      const isWhole = volume.switchedBy !== daemon.instance;
      await startJob(group, qmp, record, { kept, volume, isWhole, speed });
    }
  });
}

/** Hosts' writes go by them in vain, each with an error that the daemon tells of. */
async function dropFailed(group: Group): Promise<void> {
  await group.locked(async () => {
    const { record, daemon } = await enter(group);
    if (!record.kept || !daemon) return;
    const { qmp } = daemon;
    const [jobs, blockJobs] = await Promise.all([queryJobs(qmp), queryBlockJobs(qmp)]);
    for (const volume of record.kept.volumes) {
      const job = findJob(jobs, keptJob(volume));
      if (job === undefined || isWell(job, findJob(blockJobs, job.id))) continue;
      await abortJob(qmp, job);
      await deleteNodes(qmp, await readGraph(qmp), [originNode(volume.key)]);
    }
  });
}

function isWell({ status }: Job, blockJob: BlockJob | undefined): boolean {
  return status !== 'concluded' && blockJob?.ioStatus === 'ok';
}

interface Start {
  readonly kept: Kept;
  readonly volume: KeptVolume;
  readonly isWhole: boolean;
  readonly speed: number;
}

async function startJob(
  group: Group,
  qmp: QmpClient,
  record: GroupRecord,
  { kept: { source }, volume, isWhole, speed }: Start,
): Promise<void> {
  const { key, from, volumeId } = volume;
  const known = findVolume(record, volumeId);
  const active = known && activeLayer(known);
  if (!active) throw new Failure(`group ${group.id}: volume ${volume.name} has no present`);
  await openOrigin(qmp, {
    node: originNode(key),
    source,
    volume: from,
    isLook: false,
    isKept: true,
    tlsDirectory: group.path('source-tls'),
    initiatorName: initiatorName(group.site),
    vault: group.site.options.vault,
  });
  await qmp.execute('blockdev-mirror', {
    'job-id': keptJob(volume),
    device: headNode(key),
    target: originNode(key),
    // What hosts are taken back to takes the place of what they write now.
    replaces: layerNode(key, active.number),
    'filter-node-name': keptFilterNode(key),
    sync: isWhole ? 'full' : 'top',
    granularity: GRANULARITY_BYTES,
    'copy-mode': isWhole ? 'background' : 'write-blocking',
    speed,
    'on-source-error': 'report',
    'on-target-error': 'stop',
    'auto-dismiss': false,
  });
}

/** Waits for no work on the group. */
export async function inspectSource(group: Group): Promise<KeptSource | undefined> {
  const { kept } = await group.record();
  if (!kept) return undefined;
  try {
    const daemon = await group.findDaemon();
    const isWhole = kept.volumes.some(({ switchedBy }) => switchedBy !== daemon?.instance);
    const none: KeptSource = { state: 'none', isWhole, leftBytes: 0, trouble: undefined };
    if (!daemon) return none;
    const { qmp } = daemon;
    const [jobs, blockJobs] = await Promise.all([queryJobs(qmp), queryBlockJobs(qmp)]);
    const seen = kept.volumes.map((volume) => ({
      volume,
      job: findJob(jobs, keptJob(volume)),
      blockJob: findJob(blockJobs, keptJob(volume)),
    }));
    for (const one of seen) await carryWrites(qmp, one);
    await partFromSilent(group, kept, seen);
    const states = seen.map(stateOf);
    const left = seen.map(({ job }) => (job?.totalBytes ?? 0) - (job?.doneBytes ?? 0));
    return {
      state: order.find((state) => states.includes(state)) ?? 'none',
      isWhole,
      leftBytes: left.reduce((sum, bytes) => sum + bytes, 0),
      trouble: seen.flatMap((one) => troubleOf(one) ?? [])[0],
    };
  } catch (cause) {
    if (!(cause instanceof QmpClosed)) throw cause;
    return { state: 'none', isWhole: true, leftBytes: 0, trouble: undefined };
  }
}

const order: readonly KeptSource['state'][] = ['failed', 'none', 'copying', 'in_step'];

interface Seen {
  readonly volume: KeptVolume;
  readonly job: Job | undefined;
  readonly blockJob: BlockJob | undefined;
}

function stateOf({ job, blockJob }: Seen): KeptSource['state'] {
  if (job === undefined) return 'none';
  if (!isWell(job, blockJob)) return 'failed';
  return job.status === 'ready' && blockJob?.activelySynced === true ? 'in_step' : 'copying';
}

function troubleOf({ volume: { name }, job, blockJob }: Seen): string | undefined {
  if (job === undefined || isWell(job, blockJob)) return undefined;
  return `volume ${name}: ${job.error ?? 'its source could not be written'}`;
}

async function carryWrites(qmp: QmpClient, { job, blockJob }: Seen): Promise<void> {
  if (job === undefined || blockJob?.ioStatus !== 'ok' || blockJob.activelySynced) return;
  if (!isHalfDone(job)) return;
  await tolerating(/not found|cannot accept command/, () =>
    qmp.execute('block-job-change', {
      id: job.id,
      type: 'mirror',
      'copy-mode': 'write-blocking',
    }),
  );
}

interface Progress {
  readonly doneBytes: number;
  readonly sinceMs: number;
}

/** Since when what is to be written to a source does not get on, by job. */
const waits = new WeakMap<Group, ReadonlyMap<string, Progress>>();

/** Each write of a host waits for its source, and for one that is silent for ever. */
async function partFromSilent(group: Group, kept: Kept, seen: readonly Seen[]): Promise<void> {
  const nowMs = group.site.options.clock.monotonicMs();
  const before = waits.get(group);
  const now = new Map<string, Progress>();
  let isSilent = false;
  for (const { job, blockJob } of seen) {
    if (job === undefined || !isWell(job, blockJob) || job.doneBytes >= job.totalBytes) continue;
    const known = before?.get(job.id);
    const sinceMs = known?.doneBytes === job.doneBytes ? known.sinceMs : nowMs;
    now.set(job.id, { doneBytes: job.doneBytes, sinceMs });
    const limitMs = blockJob?.activelySynced === true ? SILENT_MS : SILENT_COPY_MS;
    isSilent ||= nowMs - sinceMs >= limitMs;
  }
  waits.set(group, isSilent ? new Map() : now);
  if (isSilent) await cutSource(group, kept);
}

export function letGo(group: Group): Promise<void> {
  return group.locked(async () => {
    const { record, daemon } = await enter(group);
    const { kept } = record;
    if (!kept) return;
    if (record.importing) {
      throw new Failure(`group ${group.id}: some of its volumes are back at their source`);
    }
    if (daemon) {
      await endImportJobs(group, daemon.qmp, kept);
      const origins = kept.volumes.map(({ key }) => originNode(key));
      await deleteNodes(daemon.qmp, await readGraph(daemon.qmp), origins);
    }
    await group.save({ ...record, kept: undefined });
  });
}
