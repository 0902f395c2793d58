import type { QmpClient } from '../qmp/client.ts';
import { closeExports } from '../qmp/commands.ts';
import { queryExports } from '../qmp/queries.ts';

/** Ids of exports tell whom they are for, and of which volume: `host-3`. */
export const HOST_EXPORT = 'host-';
export const RECEIVING_EXPORT = 'in-';
export const STANDBY_EXPORT = 'standby-';

export function hostExportId(key: number): string {
  return `${HOST_EXPORT}${key}`;
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
export async function openExports(qmp: QmpClient, wanted: readonly VolumeExport[]): Promise<void> {
  const open = new Set((await queryExports(qmp)).map(({ id }) => id));
  const missing = wanted.filter(({ id }) => !open.has(id));
  await Promise.all(
    missing.map(({ id, node, name, writethrough = false }) =>
      qmp.execute('block-export-add', {
        type: 'nbd',
        id,
        'node-name': node,
        name,
        writable: true,
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
