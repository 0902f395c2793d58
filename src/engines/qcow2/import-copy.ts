/**
 * Our copies: one job per volume between hosts and the head. In the background, where it slows no
 * host, until half of it is copied; then switched, live, to answer hosts once both have their write:
 * hosts that write faster than a copy may read would keep it from ever ending.
 *
 *   new layers ─ record who fills them ─ jobs ─▶ look: half ▸ write-blocking ▸ ready ▸ in step
 *
 * Jobs live and die with the daemon, and our copies with them: nothing tells which of their blocks
 * were current.
 */
import type { QmpClient } from '../qmp/client.ts';
import { addNode, tolerating } from '../qmp/commands.ts';
import { QmpClosed } from '../qmp/errors.ts';
import { findJob, isHalfDone, queryBlockJobs, queryJobs } from '../qmp/queries.ts';
import type { BlockJob, Job } from '../qmp/queries.ts';
import { Failure } from '../../domain/refusal.ts';
import type { ImportInspection } from '../../ports/importer.ts';
import { collectGarbage, enter, enterRunning } from './enter.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { addEntry } from './import-entry.ts';
import {
  copyFiles,
  copyNodes,
  entryNode,
  importFilterNode,
  importJob,
  originNode,
  uncertainSentence,
} from './import-nodes.ts';
import { WEB_PART_BYTES } from './import-origin.ts';
import type { Importing, ImportingVolume } from './import-record.ts';
import { paceOf, whyHeld } from './import-room.ts';
import { createLayers } from './layers.ts';
import { headNode, layerNode, layerOptions } from './nodes.ts';
import { layerFile } from './record.ts';
import type { GroupRecord } from './record.ts';

/** How often a copy that the source or our disk stopped is tried again before it has failed. */
const MAX_RETRIES = 5;
const RETRY_AFTER_MS = 1000;

export function copyImport(group: Group, bytesPerSecond: number | undefined): Promise<void> {
  return group.locked(async () => {
    const { record, daemon } = await enterRunning(group);
    if (!record.importing) throw new Failure(`group ${group.id} imports nothing`);
    const { qmp, instance } = daemon;
    const isFilled = record.importing.copiedBy === instance;
    const importing = isFilled
      ? record.importing
      : await beginCopies(group, qmp, record, record.importing, instance);
    const [jobs, blockJobs] = await Promise.all([queryJobs(qmp), queryBlockJobs(qmp)]);
    const pace = await paceOf(group, bytesPerSecond);
    const speed = Math.ceil(pace.bytesPerSecond / importing.volumes.length);
    for (const volume of importing.volumes) {
      const id = importJob(volume);
      const job = findJob(jobs, id);
      if (job === undefined) await startJob(group, qmp, importing, volume, speed);
      else if (pace.isHeld) await hold(qmp, job);
      else await goOn(qmp, job, findJob(blockJobs, id), speed);
    }
  });
}

/** Empty layers, whatever an earlier daemon had copied. */
async function beginCopies(
  group: Group,
  qmp: QmpClient,
  record: GroupRecord,
  importing: Importing,
  copiedBy: string,
): Promise<Importing> {
  const before = importing.volumes;
  let { nextLayer } = record;
  const volumes = before.map((v) => ({ ...v, number: nextLayer++, over: undefined }));
  await deleteNodes(qmp, await readGraph(qmp), before.flatMap(copyNodes));
  await createLayers(
    group,
    volumes.map((volume) => ({ ...volume, below: undefined })),
  );
  const next = { ...importing, volumes, copiedBy };
  const files = before.flatMap(copyFiles);
  const saved = { ...record, nextLayer, importing: next, garbage: [...record.garbage, ...files] };
  await collectGarbage(group, await group.save(saved));
  return next;
}

async function startJob(
  group: Group,
  qmp: QmpClient,
  { source, keepsSource = false }: Importing,
  volume: ImportingVolume,
  speed: number,
): Promise<void> {
  const { key, number, volumeId } = volume;
  const node = layerNode(key, number);
  const { nodes } = await readGraph(qmp);
  if (!nodes.has(node)) {
    const path = group.path(layerFile(volumeId, number));
    const io = await group.site.io();
    await addNode(qmp, layerOptions({ node, path, backing: null, readOnly: false, io }));
  }
  if (keepsSource && !nodes.has(entryNode(key))) await addEntry(qmp, key, node);
  await qmp.execute('blockdev-mirror', {
    'job-id': importJob(volume),
    device: headNode(key),
    target: keepsSource ? entryNode(key) : node,
    replaces: originNode(key),
    'filter-node-name': importFilterNode(key),
    sync: 'full',
    'copy-mode': 'background',
    ...(source.endpoint.kind === 'http' && {
      granularity: WEB_PART_BYTES,
      'buf-size': WEB_PART_BYTES,
    }),
    speed,
    'on-source-error': 'stop',
    'on-target-error': 'stop',
    'auto-dismiss': false,
  });
}

async function goOn(
  qmp: QmpClient,
  { id, status }: Job,
  blockJob: BlockJob | undefined,
  speed: number,
): Promise<void> {
  if (status === 'concluded' || blockJob === undefined) return;
  await tolerating(/not found|cannot accept command/, () =>
    qmp.execute('block-job-set-speed', { device: id, speed }),
  );
  if (blockJob.ioStatus === 'ok' && (status === 'paused' || status === 'standby')) {
    await tolerating(/not found|cannot|not paused|cannot accept command/, () =>
      qmp.execute('block-job-resume', { device: id }),
    );
  }
}

export function pauseImport(group: Group): Promise<void> {
  return group.locked(async () => {
    const { record, daemon } = await enter(group);
    if (!record.importing || !daemon) return;
    const jobs = await queryJobs(daemon.qmp);
    for (const volume of record.importing.volumes) {
      const job = findJob(jobs, importJob(volume));
      if (job !== undefined) await hold(daemon.qmp, job);
    }
  });
}

/** One that is ready has nothing left to copy: hosts' own writes go on in it. */
async function hold(qmp: QmpClient, { id, status }: Job): Promise<void> {
  if (status !== 'running') return;
  await tolerating(/not found|cannot accept command|already paused/, () =>
    qmp.execute('block-job-pause', { device: id }),
  );
}

/** Waits for no work on the group. A copy of which half is done is made to carry hosts' writes. */
export async function inspectImport(group: Group): Promise<ImportInspection> {
  const { importing, hasPresent } = await group.record();
  const nothing = { copiedBytes: 0, totalBytes: 0, held: undefined, trouble: undefined };
  if (!importing) return { stands: hasPresent ? 'here' : 'nowhere', copy: 'none', ...nothing };
  const none: ImportInspection = { stands: 'on_source', copy: 'none', ...nothing };
  try {
    const daemon = await group.findDaemon();
    if (importing.switchedBy !== undefined && importing.switchedBy !== daemon?.instance) {
      return { ...none, copy: 'failed', trouble: uncertainSentence(group) };
    }
    if (!daemon || importing.copiedBy !== daemon.instance) return none;
    const { qmp } = daemon;
    const [jobs, blockJobs] = await Promise.all([queryJobs(qmp), queryBlockJobs(qmp)]);
    const seen = importing.volumes.map((volume) => ({
      volume,
      job: findJob(jobs, importJob(volume)),
      blockJob: findJob(blockJobs, importJob(volume)),
    }));
    for (const one of seen) await carryWrites(qmp, one);
    const states = await Promise.all(seen.map((one) => stateOf(group, qmp, one)));
    const worst = order.find((copy) => states.some((state) => state.copy === copy)) ?? 'none';
    return {
      stands: 'on_source',
      copy: worst,
      copiedBytes: sum(seen.map(({ job }) => job?.doneBytes ?? 0)),
      totalBytes: sum(seen.map(({ job, volume }) => job?.totalBytes ?? volume.sizeBytes)),
      held: worst === 'paused' || worst === 'running' ? await whyHeld(group) : undefined,
      trouble: states.find(({ trouble }) => trouble !== undefined)?.trouble,
    };
  } catch (cause) {
    if (cause instanceof QmpClosed) return none;
    throw cause;
  }
}

const order = ['failed', 'none', 'paused', 'running', 'in_step'] as const;

interface SeenCopy {
  readonly volume: ImportingVolume;
  readonly job: Job | undefined;
  readonly blockJob: BlockJob | undefined;
}

interface CopyState {
  readonly copy: ImportInspection['copy'];
  readonly trouble?: string;
}

async function stateOf(
  group: Group,
  qmp: QmpClient,
  { volume: { name, sizeBytes }, job, blockJob }: SeenCopy,
): Promise<CopyState> {
  if (job === undefined) return { copy: 'none' };
  if (job.status === 'concluded') {
    const ended = job.error ?? 'its copy ended';
    const isResized = ended.includes('have different sizes');
    const why = isResized
      ? `its source has another size by now, no longer ${sizeBytes} bytes`
      : ended;
    return { copy: 'failed', trouble: `volume ${name}: ${why}` };
  }
  if (blockJob !== undefined && blockJob.ioStatus !== 'ok') {
    const hasRoomSoon = blockJob.ioStatus === 'nospace';
    if ((await retry(group, qmp, job)) || hasRoomSoon) return { copy: 'running' };
    return { copy: 'failed', trouble: `volume ${name}: ${IO_TROUBLE}` };
  }
  if (job.status === 'ready' && blockJob?.activelySynced === true) return { copy: 'in_step' };
  return { copy: job.status === 'paused' && blockJob?.paused === true ? 'paused' : 'running' };
}

const IO_TROUBLE = 'the source could not be read, or our disk not be written, again and again';

interface Retries {
  /** Since less was left to copy than ever: between a retry and the next error all looks well. */
  readonly count: number;
  readonly leastLeftBytes: number;
  readonly lastMs: number;
}

/** What this process has tried; another one may try again. */
const retries = new WeakMap<Group, Map<string, Retries>>();

/** @returns whether there is hope yet */
async function retry(
  group: Group,
  qmp: QmpClient,
  { id, doneBytes, totalBytes }: Job,
): Promise<boolean> {
  const tried = retries.get(group) ?? new Map<string, Retries>();
  retries.set(group, tried);
  const last = tried.get(id);
  // Hosts' writes add to both sums.
  const leftBytes = totalBytes - doneBytes;
  const leastLeftBytes = Math.min(leftBytes, last?.leastLeftBytes ?? Infinity);
  const count = last?.leastLeftBytes === leastLeftBytes ? last.count : 0;
  const lastMs = last?.lastMs ?? Number.NEGATIVE_INFINITY;
  const nowMs = group.site.options.clock.monotonicMs();
  if (nowMs - lastMs < RETRY_AFTER_MS) return count <= MAX_RETRIES;
  if (count >= MAX_RETRIES) return false;
  tried.set(id, { count: count + 1, leastLeftBytes, lastMs: nowMs });
  await tolerating(/not found|cannot|not paused/, () =>
    qmp.execute('block-job-resume', { device: id }),
  );
  return true;
}

async function carryWrites(qmp: QmpClient, { job, blockJob }: SeenCopy): Promise<void> {
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

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
