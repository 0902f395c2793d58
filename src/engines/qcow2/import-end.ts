/**
 * How an import ends at the data plane.
 *
 *   cut over:  flush our copies ─ record who switches ─ switch each volume ─ record them as ours
 *   abandon:   end the jobs ─ record no copies ─ remove them; the heads stay on the source
 *
 * The record that a daemon switches is there before it may: should it die before we know which
 * volumes it has switched, nothing is opened that could lack a host's write.
 */
import { Failure } from '../../domain/refusal.ts';
import type { CutOver } from '../../ports/importer.ts';
import type { QmpClient } from '../qmp/client.ts';
import { reopenNodes } from '../qmp/commands.ts';
import { QmpError } from '../qmp/errors.ts';
import { queryJobs } from '../qmp/queries.ts';
import { collectGarbage, enter } from './enter.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Graph } from './graph.ts';
import type { Group } from './group.ts';
import { inspectImport } from './import-copy.ts';
import { completeInStep, cutSource, endImportJobs } from './import-jobs.ts';
import { lowerEntries, raiseEntries } from './import-entry.ts';
import {
  copyFiles,
  copyNodes,
  importHeadOptions,
  importJob,
  openedOf,
  originNode,
  uncertainSentence,
} from './import-nodes.ts';
import type { Importing, ImportingVolume, Kept } from './import-record.ts';
import { createLayers } from './layers.ts';
import { headNode, headOptions, layerNode, reopenOptions } from './nodes.ts';
import { specOf } from './record.ts';
import type { GroupRecord, VolumeRecord } from './record.ts';

export function cutOverImport(group: Group, pauseLimitMs: number): Promise<CutOver> {
  return group.locked(async () => {
    const { record, daemon } = await enter(group);
    const { importing } = record;
    if (!importing) {
      if (record.hasPresent) return { isCutOver: true, pauseMs: 0 };
      return { isCutOver: false, why: 'there is nothing to cut over' };
    }
    if (importing.switchedBy !== undefined && importing.switchedBy !== daemon?.instance) {
      return { isCutOver: false, why: uncertainSentence(group) };
    }
    const { copy, trouble } = await inspectImport(group);
    const isBegun = importing.switchedBy !== undefined;
    if (!daemon || (!isBegun && copy !== 'in_step')) {
      const why = `the copies are not in step but ${copy}`;
      return { isCutOver: false, why: trouble === undefined ? why : `${why}: ${trouble}` };
    }
    const { qmp, instance } = daemon;
    const begun = await beginSwitch(group, record, { ...importing, switchedBy: instance });
    const { importing: switching } = begun;
    const why = await writeOut(group, qmp, switching);
    if (why !== undefined) {
      await group.save({ ...begun, importing: { ...switching, switchedBy: undefined } });
      return { isCutOver: false, why };
    }
    const pauseMs = await switchVolumes(group, qmp, switching, pauseLimitMs);
    return settle(group, qmp, begun, instance, pauseMs);
  });
}

/** The layers that hosts write from the cut-over on are there before it, where the source is kept. */
async function beginSwitch(
  group: Group,
  record: GroupRecord,
  importing: Importing,
): Promise<GroupRecord & { readonly importing: Importing }> {
  let { nextLayer } = record;
  const isRaised = importing.volumes.every(({ over }) => over !== undefined);
  const volumes =
    importing.keepsSource === true && !isRaised
      ? importing.volumes.map((volume) => ({ ...volume, over: nextLayer++ }))
      : importing.volumes;
  if (nextLayer > record.nextLayer) {
    const overlays = volumes.map((v) => ({ ...v, number: v.over ?? v.number, below: v.number }));
    await createLayers(group, overlays);
  }
  const begun = { ...record, nextLayer, importing: { ...importing, volumes } };
  await group.save(begun);
  return begun;
}

/** @returns why neither side could be written out; no volume is switched then */
async function writeOut(
  group: Group,
  qmp: QmpClient,
  importing: Importing,
): Promise<string | undefined> {
  try {
    if (importing.keepsSource === true) await raiseEntries(group, qmp, importing);
    else await flushCopies(group, qmp, importing);
    return undefined;
  } catch (cause) {
    const graph = await readGraph(qmp);
    const isBegun = importing.volumes.some((volume) => isSwitched(graph, volume));
    if (isBegun || !(cause instanceof QmpError)) throw cause;
    return `what hosts have written could not be written out: ${cause.description}`;
  }
}

/**
 * Writes out what our copies' caches hold, at one quiet instant of each volume: the heads are opened
 * anew, too, so that no write of a host is on its way. Without that, a copy's mapping of a write
 * that came in between was lost (seen with QEMU 10.0: `blockdev-reopen` of a live mirror's target).
 */
export async function flushCopies(
  group: Group,
  qmp: QmpClient,
  { volumes }: Importing,
): Promise<void> {
  const graph = await readGraph(qmp);
  const io = await group.site.io();
  const open = volumes.filter(
    (volume) => graph.nodes.has(layerNode(volume.key, volume.number)) && !isSwitched(graph, volume),
  );
  const heads = open.map(importHeadOptions);
  const copies = open.map(({ key, number }) =>
    reopenOptions({ node: layerNode(key, number), backing: null, readOnly: false, io }),
  );
  await reopenNodes(qmp, [...heads, ...copies]);
}

/** @returns the longest time that a volume's requests were held, in milliseconds */
async function switchVolumes(
  group: Group,
  qmp: QmpClient,
  { volumes }: Importing,
  limitMs: number,
): Promise<number> {
  const { clock, log } = group.site.options;
  let longestMs = 0;
  for (const volume of volumes) {
    const id = importJob(volume);
    const job = (await queryJobs(qmp)).find((one) => one.id === id);
    if (job === undefined) continue;
    const startedMs = clock.monotonicMs();
    const error = await completeInStep(qmp, job, limitMs);
    longestMs = Math.max(longestMs, clock.monotonicMs() - startedMs);
    if (error !== undefined) {
      log?.warn({ event: 'import_not_switched', groupId: group.id, volume: volume.name, error });
    }
  }
  return longestMs;
}

/** The daemon knows which volumes it has switched: the head stands on ours, or on the source. */
async function settle(
  group: Group,
  qmp: QmpClient,
  record: GroupRecord,
  instance: string,
  pauseMs: number,
): Promise<CutOver> {
  const { importing } = record;
  if (!importing) return { isCutOver: true, pauseMs };
  const graph = await readGraph(qmp);
  const ours = importing.volumes.filter((volume) => isSwitched(graph, volume));
  const left = importing.volumes.filter((volume) => !isSwitched(graph, volume));
  await openToWrites(group, qmp, ours);
  if (importing.keepsSource === true) await lowerEntries(qmp, ours);
  const rest = { ...importing, volumes: left, switchedBy: undefined, copiedBy: undefined };
  await group.save({
    ...record,
    hasPresent: record.hasPresent || ours.length > 0,
    volumes: [...record.volumes, ...ours.map(importedVolume)],
    importing: left.length > 0 ? rest : undefined,
    kept: importing.keepsSource === true ? keptBeside(record, ours, instance) : undefined,
  });
  await deleteNodes(
    qmp,
    graph,
    ours.map(({ key }) => originNode(key)),
  );
  if (left.length === 0) return { isCutOver: true, pauseMs };
  const names = left.map(({ name }) => name).join(', ');
  return { isCutOver: false, why: `volume ${names} could not be switched and is copied again` };
}

function isSwitched(graph: Graph, volume: ImportingVolume): boolean {
  return copyNodes(volume).includes(graph.beneath.get(headNode(volume.key)) ?? '');
}

function keptBeside(
  { kept, importing }: GroupRecord,
  ours: readonly ImportingVolume[],
  switchedBy: string,
): Kept | undefined {
  const volumes = [...(kept?.volumes ?? []), ...ours.map((v) => ({ ...openedOf(v), switchedBy }))];
  if (!importing || volumes.length === 0) return kept;
  return { source: importing.source, volumes, rolledBackBy: undefined };
}

/** What took the place of a volume that is only read is only read itself until it is opened anew. */
async function openToWrites(
  group: Group,
  qmp: QmpClient,
  volumes: readonly ImportingVolume[],
): Promise<void> {
  const io = await group.site.io();
  const closed = volumes.filter(({ from }) => from.readOnly);
  const layers = closed.map(({ key, number }) =>
    reopenOptions({ node: layerNode(key, number), backing: null, readOnly: false, io }),
  );
  const heads = closed.map(({ key, number }) => ({
    ...headOptions(key, layerNode(key, number)),
    'read-only': false,
  }));
  if (closed.length > 0) await reopenNodes(qmp, [...layers, ...heads]);
}

function importedVolume(volume: ImportingVolume): VolumeRecord {
  const { key, number, over } = volume;
  const copy = { number, seals: undefined, isRoot: true };
  const above = over === undefined ? [] : [{ number: over, seals: undefined, isRoot: false }];
  return { ...specOf(volume), key, layers: [copy, ...above] };
}

export function abandonImport(group: Group, { force }: { readonly force: boolean }): Promise<void> {
  return group.locked(async () => {
    if (!(await group.isKnown())) return;
    const known = await group.record();
    if (known.importing === undefined || known.hasPresent) {
      if (!known.hasPresent) return;
      throw canOnlyBeCutOver(group);
    }
    if (force) await cutSource(group, known.importing);
    const { record, daemon } = await enter(group);
    const { importing } = record;
    if (importing === undefined) return;
    if (daemon) {
      const graph = await readGraph(daemon.qmp);
      if (importing.volumes.some((volume) => isSwitched(graph, volume))) {
        throw canOnlyBeCutOver(group);
      }
      await endCopies(group, daemon.qmp, importing);
    }
    // Where nobody knows which copy hosts wrote last, ours stays beside the source.
    const isUncertain =
      importing.switchedBy !== undefined && importing.switchedBy !== daemon?.instance;
    const files = importing.volumes.flatMap(copyFiles);
    let { nextLayer } = record;
    const volumes = importing.volumes.map((volume) => ({
      ...volume,
      number: nextLayer++,
      over: undefined,
    }));
    const saved = await group.save({
      ...record,
      nextLayer,
      importing: { ...importing, volumes, copiedBy: undefined, switchedBy: undefined },
      garbage: isUncertain ? record.garbage : [...record.garbage, ...files],
    });
    await collectGarbage(group, saved);
  });
}

function canOnlyBeCutOver(group: Group): Failure {
  return new Failure(`group ${group.id}: hosts write our copies already; it can only be cut over`);
}

async function endCopies(group: Group, qmp: QmpClient, importing: Importing): Promise<void> {
  await endImportJobs(group, qmp, importing);
  await deleteNodes(qmp, await readGraph(qmp), importing.volumes.flatMap(copyNodes));
}
