/**
 * Takes hosts back to a source that was kept: what the cut-over did, the other way round.
 *
 *   record who takes them back ─ switch each volume ─ record them as on their source
 */
import type { RolledBack } from '../../ports/importer.ts';
import type { QmpClient } from '../qmp/client.ts';
import { concludeJob } from '../qmp/commands.ts';
import { findJob, queryJobs } from '../qmp/queries.ts';
import { collectGarbage, enter } from './enter.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { inspectSource, keptJob } from './import-keep.ts';
import { openedOf, originNode } from './import-nodes.ts';
import type { Kept, KeptVolume } from './import-record.ts';
import { headNode, layerNode } from './nodes.ts';
import { layerFile } from './record.ts';
import type { GroupRecord } from './record.ts';

export function rollBackImport(group: Group, pauseLimitMs: number): Promise<RolledBack> {
  return group.locked(async () => {
    const known = await group.record();
    const begunBy = known.kept?.rolledBackBy;
    if (known.kept && begunBy !== undefined && begunBy !== (await group.findDaemon())?.instance) {
      group.site.options.log?.warn({ event: 'import_rolled_back_blindly', groupId: group.id });
      return settle(group, known, { back: known.kept.volumes, pauseMs: 0, isCertain: false });
    }
    const { record, daemon } = await enter(group);
    const { kept } = record;
    if (!kept) {
      const isBack = record.importing !== undefined && !record.hasPresent;
      if (isBack) return { isRolledBack: true, pauseMs: 0, isCertain: true };
      return { isRolledBack: false, why: 'no source is kept current' };
    }
    const seen = await inspectSource(group);
    if (!daemon || (begunBy === undefined && seen?.state !== 'in_step')) {
      const why = `the source is not in step but ${seen?.state ?? 'gone'}`;
      const { trouble } = seen ?? {};
      return { isRolledBack: false, why: trouble === undefined ? why : `${why}: ${trouble}` };
    }
    const { qmp, instance } = daemon;
    const begun = await group.save({ ...record, kept: { ...kept, rolledBackBy: instance } });
    const pauseMs = await switchBack(group, qmp, kept, pauseLimitMs);
    const { beneath } = await readGraph(qmp);
    const back = kept.volumes.filter(({ key }) => beneath.get(headNode(key)) === originNode(key));
    const settled = await settle(group, begun, { back, pauseMs, isCertain: true });
    await deleteLayers(qmp, record, back);
    return settled;
  });
}

/** @returns the longest time that a volume's requests were held, in milliseconds */
async function switchBack(
  group: Group,
  qmp: QmpClient,
  { volumes }: Kept,
  limitMs: number,
): Promise<number> {
  const { clock, log } = group.site.options;
  let longestMs = 0;
  for (const volume of volumes) {
    const id = keptJob(volume);
    const job = findJob(await queryJobs(qmp), id);
    if (job === undefined) continue;
    const startedMs = clock.monotonicMs();
    if (job.status !== 'concluded')
      await qmp.execute('block-job-complete', { device: id }, limitMs);
    const error = await concludeJob(qmp, id);
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
    kept: left.length > 0 ? { ...kept, volumes: left, rolledBackBy: undefined } : undefined,
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
