import type { QmpClient } from '../qmp/client.ts';
import { addNode, addObject, deleteNode } from '../qmp/commands.ts';
import { queryExports, queryGraph, queryObjects } from '../qmp/queries.ts';
import type { Group } from './group.ts';
import { importNodes, keptNodes, openImporting, refuseUncertain } from './import-nodes.ts';
import { layerSize } from './layer-file.ts';
import {
  fileNode,
  headNode,
  headOptions,
  layerNode,
  layerOptions,
  throttleGroup,
} from './nodes.ts';
import type { LayerIo } from './nodes.ts';
import { activeLayer, layerBelow, layerFile } from './record.ts';
import type { GroupRecord, VolumeRecord } from './record.ts';

const RESIZE_LIMIT_MS = 10_000;

/** A daemon's nodes as they are. */
export interface Graph {
  readonly nodes: ReadonlySet<string>;
  /** Layers that are open for writing. */
  readonly writable: ReadonlySet<string>;
  /** From a layer's node to that of the layer it stands on. */
  readonly backing: ReadonlyMap<string, string>;
  /** From a filter's node to the node beneath. */
  readonly beneath: ReadonlyMap<string, string>;
}

export async function readGraph(qmp: QmpClient): Promise<Graph> {
  const { nodes, edges } = await queryGraph(qmp);
  const links = (role: string): ReadonlyMap<string, string> =>
    new Map(
      edges.filter((e) => e.role === role && e.parent !== '').map((e) => [e.parent, e.child]),
    );
  return {
    nodes: new Set(nodes),
    writable: new Set(edges.filter((e) => e.role === 'file' && e.writes).map((e) => e.parent)),
    backing: links('backing'),
    beneath: links('file'),
  };
}

/** Opens what the record names and the daemon lacks: layers from the lowest up, then heads. */
export async function openGraph(group: Group, qmp: QmpClient, record: GroupRecord): Promise<void> {
  const io = await group.site.io();
  const [{ nodes }, objects] = await Promise.all([readGraph(qmp), queryObjects(qmp)]);
  const context = { nodes, objects, io };
  refuseUncertain(group, record.kept, nodes);
  for (const volume of record.volumes) await openVolume(group, qmp, volume, context);
  if (record.importing) await openImporting(group, qmp, record.importing, context);
  await growVolumes(group, qmp, record);
}

/** Gives layers that hosts write the size that the record says, unless their export is open. */
export async function growVolumes(
  group: Group,
  qmp: QmpClient,
  record: GroupRecord,
): Promise<void> {
  const exported = new Set((await queryExports(qmp)).map(({ node }) => node));
  for (const volume of record.volumes) {
    const active = activeLayer(volume);
    if (!active || exported.has(headNode(volume.key))) continue;
    const path = group.path(layerFile(volume.volumeId, active.number));
    if ((await layerSize(path)) >= volume.sizeBytes) continue;
    const size = { 'node-name': headNode(volume.key), size: volume.sizeBytes };
    await qmp.execute('block_resize', size, RESIZE_LIMIT_MS);
  }
}

interface OpenContext {
  readonly nodes: ReadonlySet<string>;
  readonly objects: readonly string[];
  readonly io: LayerIo;
}

/** What a daemon without any node of this volume needs. */
export function freshContext(io: LayerIo): OpenContext {
  return { nodes: new Set(), objects: [], io };
}

export async function openVolume(
  group: Group,
  qmp: QmpClient,
  volume: VolumeRecord,
  { nodes, objects, io }: OpenContext,
): Promise<void> {
  const active = activeLayer(volume);
  const steps: Promise<void>[] = [];
  for (const [index, layer] of volume.layers.entries()) {
    const node = layerNode(volume.key, layer.number);
    if (nodes.has(node)) continue;
    const below = layerBelow(volume, index);
    const options = layerOptions({
      node,
      path: group.path(layerFile(volume.volumeId, layer.number)),
      backing: below ? layerNode(volume.key, below.number) : null,
      readOnly: layer !== active,
      io,
    });
    steps.push(addNode(qmp, options));
  }
  if (active && !nodes.has(headNode(volume.key))) {
    const limits = throttleGroup(volume.key);
    if (!objects.includes(limits)) steps.push(addObject(qmp, 'throttle-group', limits, {}));
    steps.push(addNode(qmp, headOptions(volume.key, layerNode(volume.key, active.number))));
  }
  await allOf(steps);
}

/** Every node that the record explains. */
export function expectedNodes(record: GroupRecord): ReadonlySet<string> {
  const expected = new Set<string>();
  for (const volume of record.volumes) {
    for (const { number } of volume.layers) expected.add(layerNode(volume.key, number));
    if (activeLayer(volume)) expected.add(headNode(volume.key));
  }
  const places = [record.receiving, record.standby];
  for (const { key, number } of places.flatMap((place) => place?.volumes ?? []))
    expected.add(layerNode(key, number));
  const ofImports = [...importNodes(record.importing), ...keptNodes(record.kept)];
  for (const node of ofImports) expected.add(node);
  return expected;
}

/** Removes these nodes, each after those that stand on it. */
export async function deleteNodes(
  qmp: QmpClient,
  graph: Graph,
  names: Iterable<string>,
): Promise<void> {
  const doomed = new Set([...names].filter((name) => graph.nodes.has(name)));
  const children = (name: string): readonly string[] =>
    [graph.backing.get(name), graph.beneath.get(name)].filter((child) => child !== undefined);
  while (doomed.size > 0) {
    const held = new Set([...doomed].flatMap(children));
    const free = [...doomed].filter((name) => !held.has(name));
    await allOf(free.map((name) => deleteNode(qmp, name)));
    for (const name of free) doomed.delete(name);
    if (free.length === 0) throw new Error(`nodes in a ring: ${[...doomed].join(', ')}`);
  }
}

/** Nodes that were opened by name: all but the files beneath layers, which go with them. */
export function ownNodes({ nodes }: Graph): readonly string[] {
  return [...nodes].filter((name) => !name.startsWith('#') && !isFileNode(name));
}

function isFileNode(name: string): boolean {
  return name.endsWith(fileNode(''));
}

/** Commands that were sent at once: waits for all, and reports the first that failed. */
export async function allOf(steps: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(steps)).find((step) => step.status === 'rejected');
  if (failed) throw failed.reason;
}
