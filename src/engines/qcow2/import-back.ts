/**
 * Takes hosts back to a source that was kept: what the cut-over did, the other way round.
 *
 *   record who takes them back ─ switch each volume ─ record them as on their source
 */
import type { RolledBack } from '../../ports/importer.ts';
import type { QmpClient } from '../qmp/client.ts';
import { abortJob, concludeJob } from '../qmp/commands.ts';
import { QmpTimeout } from '../qmp/errors.ts';
import { findJob, queryJobs } from '../qmp/queries.ts';
import { DaemonHung } from './daemon.ts';
import { collectGarbage, enter } from './enter.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { cutSource } from './import-jobs.ts';
import { inspectSource, keptJob } from './import-keep.ts';
import { openedOf, originNode } from './import-nodes.ts';
import type { Kept, KeptVolume } from './import-record.ts';
import { endHolding } from './mirror-hold.ts';
import { headNode, layerNode } from './nodes.ts';
import { layerFile } from './record.ts';
import type { GroupRecord } from './record.ts';

export function rollBackImport(group: Group, pauseLimitMs: number): Promise<RolledBack> {
  return group.locked(async () => {
    try {
      return await takeBack(group, pauseLimitMs);
    } catch (cause) {
      if (cause instanceof QmpTimeout || cause instanceof DaemonHung) await part(group);
      throw cause;
    }
  });
}

/**
 * The daemon may wait for the source, and hosts with it; they go on here then, which is written before.
 * One that waits still, after it was cut off, is ended: hosts come back to the next one, on our copy.
 */
async function part(group: Group): Promise<void> {
  const record = await group.record();
  const { kept } = record;
  if (!kept) return;
  const isBegun = kept.rolledBackBy !== undefined;
  if (isBegun && kept.isParted === true) return endHolding(group, record);
  if (isBegun) await group.save({ ...record, kept: { ...kept, isParted: true } });
  await cutSource(group, kept);
}

async function takeBack(group: Group, pauseLimitMs: number): Promise<RolledBack> {
  const known = await group.record();
  const begunBy = known.kept?.rolledBackBy;
  if (known.kept && begunBy !== undefined && begunBy !== (await group.findDaemon())?.instance) {
    const { isParted = false, volumes } = known.kept;
    group.site.options.log?.warn({ event: 'import_roll_back_lost', groupId: group.id, isParted });
    const back = isParted ? [] : volumes;
    return settle(group, known, { back, pauseMs: 0, isCertain: false });
  }
  const { record, daemon } = await enter(group);
  const { kept } = record;
  if (!kept) {
    const isBack = record.importing !== undefined && !record.hasPresent;
    if (isBack) return { isRolledBack: true, pauseMs: 0, isCertain: true };
    return { isRolledBack: false, why: 'no source is kept current' };
  }
  const isBegun = begunBy !== undefined;
  const seen = isBegun ? undefined : await inspectSource(group);
  if (!daemon || (!isBegun && seen?.state !== 'in_step')) {
    const why = `the source is not in step but ${seen?.state ?? 'gone'}`;
    const { trouble } = seen ?? {};
    return { isRolledBack: false, why: trouble === undefined ? why : `${why}: ${trouble}` };
  }
  const { qmp, instance } = daemon;
  const begun = await group.save({ ...record, kept: { ...kept, rolledBackBy: instance } });
  const pauseMs = await switchBack(group, qmp, kept, { isBegun, limitMs: pauseLimitMs });
  const { beneath } = await readGraph(qmp);
  const back = kept.volumes.filter(({ key }) => beneath.get(headNode(key)) === originNode(key));
  const settled = await settle(group, begun, { back, pauseMs, isCertain: true });
  await deleteLayers(qmp, record, back);
  return settled;
}

interface Switch {
  /** Some may be told already, which QEMU does not survive being told twice. */
  readonly isBegun: boolean;
  readonly limitMs: number;
}

/**
 * On return no job is left that could switch a volume later.
 *
 * @returns the longest time that a volume's requests were held, in milliseconds
 */
async function switchBack(
  group: Group,
  qmp: QmpClient,
  { volumes }: Kept,
  { isBegun, limitMs }: Switch,
): Promise<number> {
  const { clock, log } = group.site.options;
  let longestMs = 0;
  for (const volume of volumes) {
    const id = keptJob(volume);
    const job = findJob(await queryJobs(qmp), id);
    if (job === undefined) continue;
    const startedMs = clock.monotonicMs();
    if (job.status === 'ready' && !isBegun) {
      await qmp.execute('block-job-complete', { device: id }, limitMs);
    } else await abortJob(qmp, job);
    const error = await concludeJob(qmp, id, limitMs);
    longestMs = Math.max(longestMs, clock.monotonicMs() - startedMs);
    if (error === undefined) continue;
    log?.warn({ event: 'import_not_rolled_back', groupId: group.id, volume: volume.name, error });
  }
  return longestMs;
}

interface Outcome {
  readonly back: readonly KeptVolume[];
  readonly pauseMs: number;
  /** If not, nobody knows whether our copies have what the source lacks: their files stay. */
  readonly isCertain: boolean;
}

async function settle(
  group: Group,
  record: GroupRecord,
  { back, pauseMs, isCertain }: Outcome,
): Promise<RolledBack> {
  const { kept, importing } = record;
  if (!kept) return { isRolledBack: true, pauseMs, isCertain };
  const isBack = ({ volumeId }: { readonly volumeId: string }): boolean =>
    back.some((volume) => volume.volumeId === volumeId);
  let { nextLayer } = record;
  const opened = back.map((volume) => ({ ...openedOf(volume), number: nextLayer++ }));
  const left = kept.volumes.filter((volume) => !isBack(volume));
  const gone = record.volumes.filter(isBack);
  const files = gone.flatMap(({ volumeId, layers }) =>
    layers.map(({ number }) => layerFile(volumeId, number)),
  );
  const volumes = [...(importing?.volumes ?? []), ...opened];
  const onSource = { source: kept.source, volumes, copiedBy: undefined, switchedBy: undefined };
  const saved = await group.save({
    ...record,
    nextLayer,
    hasPresent: left.length > 0,
    volumes: record.volumes.filter((volume) => !isBack(volume)),
    importing: volumes.length > 0 ? onSource : undefined,
    kept:
      left.length > 0 ? { source: kept.source, volumes: left, rolledBackBy: undefined } : undefined,
    garbage: isCertain ? [...record.garbage, ...files] : record.garbage,
  });
  await collectGarbage(group, saved);
  if (left.length === 0) return { isRolledBack: true, pauseMs, isCertain };
  const names = left.map(({ name }) => name).join(', ');
  return { isRolledBack: false, why: `volume ${names} could not be switched to its source` };
}

async function deleteLayers(
  qmp: QmpClient,
  { volumes }: GroupRecord,
  back: readonly KeptVolume[],
): Promise<void> {
  const nodes = volumes
    .filter(({ volumeId }) => back.some((one) => one.volumeId === volumeId))
    .flatMap(({ key, layers }) => layers.map(({ number }) => layerNode(key, number)));
  await deleteNodes(qmp, await readGraph(qmp), nodes);
}
