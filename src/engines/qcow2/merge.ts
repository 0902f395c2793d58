import { Failure } from '../../domain/refusal.ts';
import type { MergeLimit } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import { abortJob, addNode, addObject, concludeJob, deleteNode } from '../qmp/commands.ts';
import { findJob, queryJobs, queryObjects } from '../qmp/queries.ts';
import { collectGarbage, enterRunning } from './enter.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Graph } from './graph.ts';
import type { Group } from './group.ts';
import { forkedLayers, frozenLayers } from './histories.ts';
import { allocatedBytes } from './layer-file.ts';
import { LongWork } from './long-work.ts';
import { MERGE_JOB, MERGE_LIMIT } from './merge-job.ts';
import { afterMerge, nextMerge } from './merge-plan.ts';
import type { MergeFacts, MergeStep } from './merge-plan.ts';
import { jobHeadOptions, layerNode, mergeHeadNode } from './nodes.ts';
import { findVolume, layerFile, withVolume } from './record.ts';
import type { GroupRecord, Layer, VolumeRecord } from './record.ts';

const LOOK_AGAIN_MS = 200;
const REST_MS = 5;

interface Merge {
  readonly volume: VolumeRecord;
  readonly step: MergeStep;
  /** undefined: there is nothing to copy. */
  readonly job: string | undefined;
  readonly qmp: QmpClient;
}

/** Merges what needs no boundary any more, until nothing is left or somebody needs the layers. */
export async function mergeLayers(group: Group, limit: MergeLimit): Promise<void> {
  await group.merges.run(async () => {
    const work = new LongWork('merge', `group ${group.id}: merging layers`);
    const enough = (): void => void work.interrupt();
    limit.signal?.addEventListener('abort', enough, { once: true });
    try {
      if (limit.signal?.aborted) return;
      for (;;) {
        const merge = await group.locked(() => begin(group, limit, work));
        if (!merge) return;
        const done = merge.job === undefined || (await watch(merge, merge.job, work.signal));
        if (done) await group.locked(() => finish(group, merge));
      }
    } finally {
      limit.signal?.removeEventListener('abort', enough);
      group.end(work);
    }
  });
}

/** Within the group's lock. @returns the merge that was begun; undefined when none should be */
async function begin(group: Group, limit: MergeLimit, work: LongWork): Promise<Merge | undefined> {
  const inTheWay = group.working.has('send') || group.working.has('hash');
  const record = await group.record();
  // A send that is parked has jobs on the chain, though nobody waits for them.
  if (work.signal.aborted || inTheWay || record.sending) return undefined;
  for (const volume of record.volumes) {
    const step = nextMerge(volume, await factsOf(group, record, volume));
    if (!step) continue;
    group.begin(work);
    const { daemon } = await enterRunning(group);
    const graph = await readGraph(daemon.qmp);
    const isDone = step.kind === 'drop' || isMerged(volume, step, graph);
    const job = isDone ? undefined : await start(daemon.qmp, { volume, step, graph, limit });
    return { volume, step, job, qmp: daemon.qmp };
  }
  return undefined;
}

async function factsOf(
  group: Group,
  record: GroupRecord,
  { volumeId, layers }: VolumeRecord,
): Promise<MergeFacts> {
  const sizes = layers.map(
    async ({ number }) =>
      [number, await allocatedBytes(group.path(layerFile(volumeId, number)))] as const,
  );
  return {
    forked: forkedLayers(record, volumeId),
    frozen: frozenLayers(record).get(volumeId) ?? new Set(),
    bytes: new Map(await Promise.all(sizes)),
  };
}

/** A job that ended when nobody was looking: the layers to merge are in no chain any more. */
function isMerged({ key, layers }: VolumeRecord, step: MergeStep, graph: Graph): boolean {
  const node = (layer: Layer | undefined): string | undefined =>
    layer && layerNode(key, layer.number);
  const gone = new Set(step.from.map(node));
  const last = step.from.at(-1);
  const above = step.kind === 'up' ? step.into : layers[layers.findIndex((l) => l === last) + 1];
  const below = graph.backing.get(node(above) ?? '');
  return !gone.has(below);
}

interface Start {
  readonly volume: VolumeRecord;
  readonly step: MergeStep;
  readonly graph: Graph;
  readonly limit: MergeLimit;
}

async function start(qmp: QmpClient, { volume, step, graph, limit }: Start): Promise<string> {
  const { key, volumeId, layers } = volume;
  const job = `${MERGE_JOB}${key}`;
  const speed = limit.bytesPerSecond ?? 0;
  const common = { 'job-id': job, speed, 'auto-dismiss': false };
  const lowest = layers.findIndex(({ number }) => number === step.from[0]?.number);
  if (step.kind === 'up') {
    const below = step.from[0]?.isRoot === true ? undefined : layers[lowest - 1];
    await qmp.execute('block-stream', {
      ...common,
      device: layerNode(key, step.into.number),
      ...(below && {
        'base-node': layerNode(key, below.number),
        'backing-file': layerFile(volumeId, below.number),
      }),
    });
    return job;
  }
  if (step.kind === 'drop') throw new Failure('nothing is copied for layers that are dropped');
  const top = step.from.at(-1);
  const above = layers[layers.findIndex(({ number }) => number === top?.number) + 1];
  if (!top || !above) throw new Failure(`volume ${volumeId}: no layer above the one to merge`);
  // `block-commit` wants a root node and blocks it: one of its own keeps it off the hosts' way.
  const head = mergeHeadNode(key);
  if (graph.nodes.has(head)) await deleteNode(qmp, head);
  if (!(await queryObjects(qmp)).includes(MERGE_LIMIT)) {
    await addObject(qmp, 'throttle-group', MERGE_LIMIT, {});
  }
  await addNode(qmp, jobHeadOptions(head, MERGE_LIMIT, layerNode(key, above.number)));
  await qmp.execute('block-commit', {
    ...common,
    device: head,
    'top-node': layerNode(key, top.number),
    'base-node': layerNode(key, step.into.number),
    'backing-file': layerFile(volumeId, step.into.number),
  });
  return job;
}

/** @returns whether the job came to its good end */
async function watch({ qmp }: Merge, jobId: string, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    const seen = qmp.eventCount;
    const job = findJob(await queryJobs(qmp), jobId);
    if (!job) return false;
    if (job.status === 'concluded') {
      const error = await concludeJob(qmp, jobId);
      if (error === undefined) return true;
      if (signal.aborted) return false;
      throw new Failure(`merge of layers: ${error}`);
    }
    if (signal.aborted) await abortJob(qmp, job);
    else await qmp.nextEventOrTimeout(seen, LOOK_AGAIN_MS);
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
  }
}

/** Within the group's lock. */
async function finish(group: Group, { volume, step, qmp }: Merge): Promise<void> {
  const record = await group.record();
  const now = findVolume(record, volume.volumeId);
  // The layers' numbers are never used again: either all are still there, or the volume went.
  if (!now || step.from.some(({ number }) => !now.layers.some((l) => l.number === number))) return;
  const files = step.from.map(({ number }) => layerFile(volume.volumeId, number));
  const saved = await group.save({
    ...withVolume(record, volume.volumeId, (v) => ({ ...v, layers: afterMerge(v.layers, step) })),
    garbage: [...record.garbage, ...files],
  });
  const names = step.from.map(({ number }) => layerNode(volume.key, number));
  await deleteNodes(qmp, await readGraph(qmp), [mergeHeadNode(volume.key), ...names]);
  await collectGarbage(group, saved);
}
