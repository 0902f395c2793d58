/**
 * Empty overlays that are put on layers in one transaction: on a present, which makes a point of it,
 * or on a point, which makes a present above it. They may be made and opened ahead, before hosts wait.
 *
 * No record names those that are made ahead. This process knows them for as long as it knows the
 * daemon's graph; any other takes their nodes for strays, and makes their files anew, since their
 * number is not used up.
 */
import type { VolumeId } from '../../domain/ids.ts';
import type { QmpClient } from '../qmp/client.ts';
import { addNode } from '../qmp/commands.ts';
import type { Daemon } from './daemon.ts';
import { allOf } from './graph.ts';
import type { Group } from './group.ts';
import { createLayers } from './layers.ts';
import { layerNode, layerOptions } from './nodes.ts';
import { activeLayer, layerFile, presentVolumes } from './record.ts';
import type { GroupRecord } from './record.ts';

/** More than any pause that is asked for; then the daemon hangs. */
const TRANSACTION_LIMIT_MS = 15_000;

/** An overlay, and the layer of its volume that it is to stand on. */
export interface Overlay {
  readonly volumeId: VolumeId;
  readonly key: number;
  readonly sizeBytes: number;
  readonly number: number;
  readonly below: number;
}

/** Those of the next point, each on what its volume's hosts write. */
export function overlaysOfPresent(record: GroupRecord): readonly Overlay[] {
  return presentVolumes(record).map((volume) => ({
    volumeId: volume.volumeId,
    key: volume.key,
    sizeBytes: volume.sizeBytes,
    number: record.nextLayer,
    below: activeLayer(volume)?.number ?? 0,
  }));
}

/** Within the group's lock. Does nothing where they are open. */
export async function makeAhead(
  group: Group,
  { qmp }: Daemon,
  overlays: readonly Overlay[],
): Promise<void> {
  if (isAhead(group, overlays)) return;
  await openOverlays(group, qmp, overlays);
  group.ahead = overlays;
}

/** Within the group's lock: makes and opens those that were not made ahead; they stand on nothing. */
export async function readyOverlays(
  group: Group,
  { qmp }: Daemon,
  overlays: readonly Overlay[],
): Promise<void> {
  if (!isAhead(group, overlays)) await openOverlays(group, qmp, overlays);
  group.ahead = [];
}

/** Puts each on its layer, all at one instant. */
export async function putOnLayers(qmp: QmpClient, overlays: readonly Overlay[]): Promise<void> {
  const actions = overlays.map(({ key, number, below }) => ({
    type: 'blockdev-snapshot',
    data: { node: layerNode(key, below), overlay: layerNode(key, number) },
  }));
  if (actions.length > 0) await qmp.execute('transaction', { actions }, TRANSACTION_LIMIT_MS);
}

function isAhead({ ahead }: Group, overlays: readonly Overlay[]): boolean {
  const same = (one: Overlay, other: Overlay | undefined): boolean =>
    one.key === other?.key &&
    one.number === other.number &&
    one.below === other.below &&
    one.sizeBytes === other.sizeBytes;
  return ahead.length === overlays.length && ahead.every((one, i) => same(one, overlays[i]));
}

async function openOverlays(
  group: Group,
  qmp: QmpClient,
  overlays: readonly Overlay[],
): Promise<void> {
  await createLayers(group, overlays);
  const io = await group.site.io();
  await allOf(
    overlays.map(({ volumeId, key, number }) => {
      const node = layerNode(key, number);
      const path = group.path(layerFile(volumeId, number));
      return addNode(qmp, layerOptions({ node, path, backing: null, readOnly: false, io }));
    }),
  );
}
