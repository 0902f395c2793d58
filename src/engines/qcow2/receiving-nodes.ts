/** What is being received, as nodes of the daemon. */
import type { QmpClient } from '../qmp/client.ts';
import { addNode, reopenNodes } from '../qmp/commands.ts';
import { RECEIVING_EXPORT, closeExportsOf } from './exports.ts';
import { allOf, deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { closeServer } from './nbd-server.ts';
import { layerNode, layerOptions, reopenOptions } from './nodes.ts';
import type { LayerIo, LayerNode } from './nodes.ts';
import { layerFile } from './record.ts';
import type { Receiving, ReceivingVolume } from './record.ts';

/** Opens the overlays for writing, those included that were about to be sealed. */
export async function openReceiving(
  group: Group,
  qmp: QmpClient,
  volumes: readonly ReceivingVolume[],
): Promise<void> {
  const io = await group.site.io();
  const graph = await readGraph(qmp);
  const closed = volumes.filter(({ key, number }) => !graph.nodes.has(layerNode(key, number)));
  await allOf(
    closed.map((volume) =>
      addNode(
        qmp,
        layerOptions({
          ...nodeOf(volume, io),
          path: group.path(layerFile(volume.volumeId, volume.number)),
          readOnly: false,
        }),
      ),
    ),
  );
  // Completing it had begun: the peer may go on writing all the same.
  const sealed = volumes.filter(({ key, number }) => {
    const node = layerNode(key, number);
    return graph.nodes.has(node) && !graph.writable.has(node);
  });
  await reopenNodes(
    qmp,
    sealed.map((volume) => reopenOptions({ ...nodeOf(volume, io), readOnly: false })),
  );
}

function nodeOf(
  { key, number, base }: ReceivingVolume,
  io: LayerIo,
): Pick<LayerNode, 'node' | 'backing' | 'io'> {
  return {
    node: layerNode(key, number),
    backing: base === undefined ? null : layerNode(key, base),
    io,
  };
}

/** Flushes what was received, and lets nobody write it any more. */
export async function sealReceiving(
  group: Group,
  qmp: QmpClient,
  { volumes }: Receiving,
): Promise<void> {
  const io = await group.site.io();
  const options = volumes.map((v) => reopenOptions({ ...nodeOf(v, io), readOnly: true }));
  await reopenNodes(qmp, options);
}

export async function closeReceiving(
  group: Group,
  qmp: QmpClient,
  { volumes }: Receiving,
): Promise<void> {
  await closeExportsOf(qmp, RECEIVING_EXPORT);
  // A standby is open to the same peer.
  if ((await group.record()).standby === undefined) await closeServer(group.serverPort, qmp);
  const graph = await readGraph(qmp);
  await deleteNodes(
    qmp,
    graph,
    volumes.map(({ key, number }) => layerNode(key, number)),
  );
}
