/**
 * What makes a way back possible: from an instant just before the cut-over on, all that hosts write
 * is in a layer of its own.
 *
 *   copy ─▶ v3.c (entry) ─▶ v3-1          v3.c ─▶ v3-2 ─▶ v3-1          v3 (head) ─▶ v3-2 ─▶ v3-1
 *                             raiseEntries            switched, lowerEntries
 *
 * The source has what is below that layer, flushed: to be current it lacks that layer at most.
 */
import type { QmpClient } from '../qmp/client.ts';
import { addNode, addObject, reopenNodes } from '../qmp/commands.ts';
import type { Fields } from '../qmp/fields.ts';
import { queryObjects } from '../qmp/queries.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { entryNode, importHeadOptions } from './import-nodes.ts';
import type { Importing, ImportingVolume } from './import-record.ts';
import { headOptions, layerNode, layerOptions, reopenOptions } from './nodes.ts';
import { layerFile } from './record.ts';

/** Limits nothing: a filter of this kind wants a group. */
const ENTRY_LIMITS = 'tg-entry';

export async function addEntry(qmp: QmpClient, key: number, below: string): Promise<void> {
  if (!(await queryObjects(qmp)).includes(ENTRY_LIMITS)) {
    await addObject(qmp, 'throttle-group', ENTRY_LIMITS, {});
  }
  await addNode(qmp, entryOptions(key, below));
}

function entryOptions(key: number, below: string): Fields {
  const names = { 'node-name': entryNode(key), 'throttle-group': ENTRY_LIMITS, file: below };
  return { driver: 'throttle', ...names };
}

/**
 * Lets the copies write into their upper layers, at one quiet instant of each volume: the heads are
 * opened anew, too, so that no write of a host is on its way, and the source has written its own out.
 */
export async function raiseEntries(
  group: Group,
  qmp: QmpClient,
  { volumes }: Importing,
): Promise<void> {
  const { nodes, beneath } = await readGraph(qmp);
  const io = await group.site.io();
  const low = volumes.filter(
    ({ key, number }) => beneath.get(entryNode(key)) === layerNode(key, number),
  );
  for (const { volumeId, key, number, over = 0 } of low) {
    const node = layerNode(key, over);
    if (nodes.has(node)) continue;
    const path = group.path(layerFile(volumeId, over));
    const backing = layerNode(key, number);
    await addNode(qmp, layerOptions({ node, path, backing, readOnly: false, io }));
  }
  await reopenNodes(qmp, [
    ...low.map(importHeadOptions),
    ...low.map(({ key, over = 0 }) => entryOptions(key, layerNode(key, over))),
  ]);
  // Nobody writes them any more, and what hosts flush is only what is above.
  const copies = volumes.map(({ key, number }) =>
    reopenOptions({ node: layerNode(key, number), backing: null, readOnly: true, io }),
  );
  await reopenNodes(qmp, copies);
}

/** Of volumes that are switched over: their heads stand on the layer itself. */
export async function lowerEntries(
  qmp: QmpClient,
  volumes: readonly ImportingVolume[],
): Promise<void> {
  const graph = await readGraph(qmp);
  const raised = volumes.filter(({ key }) => graph.nodes.has(entryNode(key)));
  await reopenNodes(
    qmp,
    raised.map(({ key, over = 0 }) => headOptions(key, layerNode(key, over))),
  );
  await deleteNodes(
    qmp,
    await readGraph(qmp),
    raised.map(({ key }) => entryNode(key)),
  );
}
