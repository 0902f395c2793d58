import type { QmpClient } from '../qmp/client.ts';
import { closeExports } from '../qmp/commands.ts';
import { queryExports } from '../qmp/queries.ts';
import { IO_THREAD } from './daemon.ts';

/** Ids of exports tell whom they are for, and of which volume: `host-3`. */
export const HOST_EXPORT = 'host-';
export const RECEIVING_EXPORT = 'in-';

export function hostExportId(key: number): string {
  return `${HOST_EXPORT}${key}`;
}

export function receivingExportId(key: number): string {
  return `${RECEIVING_EXPORT}${key}`;
}

export interface VolumeExport {
  readonly id: string;
  readonly node: string;
  /** As clients ask for it. */
  readonly name: string;
}

/** Opens those that are not open. */
export async function openExports(qmp: QmpClient, wanted: readonly VolumeExport[]): Promise<void> {
  const open = new Set((await queryExports(qmp)).map(({ id }) => id));
  const missing = wanted.filter(({ id }) => !open.has(id));
  await Promise.all(
    missing.map(({ id, node, name }) =>
      qmp.execute('block-export-add', {
        type: 'nbd',
        id,
        'node-name': node,
        name,
        writable: true,
        // Without it, what the daemon does for us stops hosts: opening a file natively takes 35 ms.
        iothread: IO_THREAD,
        // Else the first filter on any layer moves the whole chain to the main loop, hosts included;
        // and `block-stream` ends the daemon (QEMU 10.0.2, an assertion in bdrv_insert_node).
        'fixed-iothread': true,
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
