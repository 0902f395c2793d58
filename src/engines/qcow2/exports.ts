import { followedName } from '../../domain/history.ts';
import type { HistoryId } from '../../domain/ids.ts';
import type { QmpClient } from '../qmp/client.ts';
import { closeExports } from '../qmp/commands.ts';
import { queryExports } from '../qmp/queries.ts';
import { importFilterNode, keptFilterNode } from './import-nodes.ts';
import { headNode, mirrorFilterNode } from './nodes.ts';

/** Ids of exports tell whom they are for, and of which volume: `host-3`, `host-3-<history>`. */
export const HOST_EXPORT = 'host-';
export const RECEIVING_EXPORT = 'in-';
export const STANDBY_EXPORT = 'standby-';

/** A volume of the present, or one that is imported. */
export interface Exported {
  readonly key: number;
  readonly name: string;
}

/**
 * By its own name, for whoever is admitted, and under that of its history.
 *
 * @param nodes those that the daemon has: hosts come in above a mirror, or it would miss their writes
 */
export function hostExports(
  volume: Exported,
  history: HistoryId | undefined,
  nodes: ReadonlySet<string>,
): readonly VolumeExport[] {
  const own = hostExport(volume, undefined, nodes);
  return history === undefined ? [own] : [own, hostExport(volume, history, nodes)];
}

/** One of them; without a history that of the volume's own name. */
export function hostExport(
  volume: Exported,
  history: HistoryId | undefined,
  nodes: ReadonlySet<string>,
): VolumeExport {
  const { key } = volume;
  const filters = [mirrorFilterNode(key), importFilterNode(key), keptFilterNode(key)];
  const node = filters.find((filter) => nodes.has(filter)) ?? headNode(key);
  return { ...named(volume, history), node };
}

/** Of a volume as a copy shows it, named as `hostExports` does. */
export function copyExports(
  volume: Exported,
  history: HistoryId | undefined,
  node: string,
): readonly VolumeExport[] {
  const own = { ...named(volume, undefined), node };
  return history === undefined ? [own] : [own, { ...named(volume, history), node }];
}

function named(
  { key, name }: Exported,
  history: HistoryId | undefined,
): Omit<VolumeExport, 'node'> {
  const id = `${HOST_EXPORT}${key}`;
  if (history === undefined) return { id, name };
  return { id: `${id}-${history}`, name: followedName(name, history) };
}

/** Closes a volume to hosts. @returns what its exports were for, so that they may open again */
export async function closeHostExports(
  qmp: QmpClient,
  key: number,
): Promise<readonly (HistoryId | undefined)[]> {
  const id = `${HOST_EXPORT}${key}`;
  const open = (await queryExports(qmp)).map((one) => one.id);
  const closed = open.filter((one) => one === id || one.startsWith(`${id}-`));
  await closeExports(qmp, closed);
  return closed.map((one) => (one === id ? undefined : (one.slice(id.length + 1) as HistoryId)));
}

export function receivingExportId(key: number): string {
  return `${RECEIVING_EXPORT}${key}`;
}

export function standbyExportId(key: number): string {
  return `${STANDBY_EXPORT}${key}`;
}

export interface VolumeExport {
  readonly id: string;
  readonly node: string;
  /** As clients ask for it. */
  readonly name: string;
  /** What is acknowledged is on disk. */
  readonly writethrough?: boolean;
}

/** Opens those that are not open. */
export async function openExports(
  qmp: QmpClient,
  wanted: readonly VolumeExport[],
  { writable = true } = {},
): Promise<void> {
  const open = new Set((await queryExports(qmp)).map(({ id }) => id));
  const missing = wanted.filter(({ id }) => !open.has(id));
  await Promise.all(
    missing.map(({ id, node, name, writethrough = false }) =>
      qmp.execute('block-export-add', {
        type: 'nbd',
        id,
        'node-name': node,
        name,
        writable,
        writethrough,
        // No I/O thread: QEMU 10.0 then drains hosts' requests while it holds the graph's lock that
        // they want, and stands still for ever at the end of a job (job-dismiss under a writer).
      }),
    ),
  );
}

/** On return no request is left in any export of this kind. */
export async function closeExportsOf(qmp: QmpClient, kind: string): Promise<void> {
  const open = (await queryExports(qmp)).filter(({ id }) => id.startsWith(kind));
  await closeExports(
    qmp,
    open.map(({ id }) => id),
  );
}
