/** A layer as Baton makes and opens it: the same format, the same options. */
import { join } from 'node:path';
import { createLayerFile, syncDirectory } from '../../src/engines/qcow2/layer-file.ts';
import type { QmpClient } from '../../src/engines/qmp/client.ts';
import { addNode, reopenNodes } from '../../src/engines/qmp/commands.ts';
import type { Fields } from '../../src/engines/qmp/fields.ts';

export interface BareLayer {
  readonly directory: string;
  /** Of the node; its file is called so, too. */
  readonly name: string;
  /** Name of the layer below. */
  readonly below: string | undefined;
  readonly sizeBytes: number;
}

const cache = { direct: true, 'no-flush': false };

export async function createLayer(layer: BareLayer): Promise<void> {
  const { directory, sizeBytes, below } = layer;
  const backingFile = below === undefined ? undefined : `${below}.qcow2`;
  await createLayerFile({ path: layerPath(layer), sizeBytes, backingFile });
  await syncDirectory(directory);
}

export function layerPath({ directory, name }: Pick<BareLayer, 'directory' | 'name'>): string {
  return join(directory, `${name}.qcow2`);
}

/** For writing. @param backing node of the layer below; null: none, or none yet */
export async function openLayer(
  qmp: QmpClient,
  layer: BareLayer,
  backing: string | null,
): Promise<void> {
  const file = {
    driver: 'file',
    'node-name': `${layer.name}.f`,
    filename: layerPath(layer),
    aio: 'io_uring',
    cache,
    discard: 'unmap',
    'read-only': false,
    'auto-read-only': true,
  };
  await addNode(qmp, { ...options(layer.name, backing, false), file });
}

/** Flushes it, and lets nobody write it any more. */
export async function closeToWriters(
  qmp: QmpClient,
  name: string,
  backing: string | null,
): Promise<void> {
  await reopenNodes(qmp, [{ ...options(name, backing, true), file: `${name}.f` }]);
}

function options(name: string, backing: string | null, readOnly: boolean): Fields {
  return {
    driver: 'qcow2',
    'node-name': name,
    'read-only': readOnly,
    discard: 'unmap',
    cache,
    backing,
  };
}
