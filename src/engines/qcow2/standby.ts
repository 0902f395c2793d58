/**
 * The standby of a synchronous session: an overlay per volume beside the chain, open to the peer
 * for as long as its mirror runs. Each write is on disk before it is acknowledged.
 *
 *   p1 ◀── p2 ◀── p3 (the newest)            p1 ◀── p2 ◀── p3 ◀── standby (seals the new point)
 *    └──◀ standby                    keep ▶
 *
 * It stood on the newest point of its time, and points have come since. Whatever was written
 * between its base and those is in the standby, too, since they were sealed while it was mirrored:
 * so it reads the same on top of the newest of them.
 */
import type { MirrorId, PointId, VolumeId } from '../../domain/ids.ts';
import { Failure, refuse } from '../../domain/refusal.ts';
import type { ReceivingTarget } from '../../ports/engine.ts';
import type { OpenStandby } from '../../ports/mirroring.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { Daemon } from './daemon.ts';
import { collectGarbage, enter, enterRunning } from './enter.ts';
import { STANDBY_EXPORT, closeExportsOf, openExports, standbyExportId } from './exports.ts';
import { deleteNodes, openGraph, readGraph } from './graph.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { needRoom } from './layers.ts';
import { closeServer, openServer } from './nbd-server.ts';
import { layerNode } from './nodes.ts';
import { addressOf, makePlace, withPlaceOnTop } from './place.ts';
import { openReceiving } from './receiving-nodes.ts';
import { findPoint, layerFile, specOf } from './record.ts';
import type { GroupRecord, Standby } from './record.ts';

export function openStandby(group: Group, request: OpenStandby): Promise<ReceivingTarget> {
  return group.locked(async () => {
    // Looked at first: what is refused starts no daemon.
    const known = (await group.record()).standby;
    if (known?.mirrorId !== request.mirrorId) {
      checkBase(group, await group.record(), request);
      await needRoom(group, request.volumes.length);
    }
    const { daemon, record } = await enterRunning(group);
    if (known?.mirrorId === request.mirrorId) {
      if (known.instance === daemon.instance) return open(group, daemon.qmp, known);
      const doing = 'a data plane that died had this standby open';
      refuse({ code: 'busy', groupId: group.id, doing });
    }
    const { mirrorId, basePointId, peerId, volumes: specs } = request;
    const free = await giveUpStandby(group, record, daemon);
    const { volumes, next } = await makePlace(group, free, specs, basePointId);
    const { instance } = daemon;
    const standby = { mirrorId, basePointId, peerId, instance, volumes };
    await group.save({ ...next, standby });
    return open(group, daemon.qmp, standby);
  });
}

function checkBase(group: Group, record: GroupRecord, { basePointId }: OpenStandby): void {
  if (record.hasPresent) throw new Failure(`group ${group.id} has a present: it cannot receive`);
  needPoint(group, record, basePointId);
  if (record.points.at(-1)?.pointId === basePointId) return;
  throw new Failure(`group ${group.id}: point ${basePointId} is not its newest`);
}

async function open(
  group: Group,
  qmp: QmpClient,
  { mirrorId, peerId, instance, volumes }: Standby,
): Promise<ReceivingTarget> {
  const { tls } = group.site.options;
  await openReceiving(group, qmp, volumes);
  const port = await openServer(group.serverPort, qmp, {
    audience: 'peer',
    tlsDirectory: tls.peerDirectory(peerId),
    admitted: [tls.peerDistinguishedName(peerId)],
  });
  // Another mirror finds none of the exports that this one had.
  const nameOf = (volumeId: VolumeId): string => `standby-${mirrorId}-${volumeId}`;
  const exports = volumes.map(({ volumeId }) => ({ volumeId, exportName: nameOf(volumeId) }));
  await openExports(
    qmp,
    volumes.map(({ key, number, volumeId }) => ({
      id: standbyExportId(key),
      node: layerNode(key, number),
      name: nameOf(volumeId),
      // The mirror does not pass on flushes, and counts on what was acknowledged.
      writethrough: true,
    })),
  );
  return addressOf(group, port, instance, exports);
}

export function keepStandby(group: Group, mirrorId: MirrorId, pointId: PointId): Promise<void> {
  return group.locked(async () => {
    const entered = await enter(group);
    const { daemon } = entered;
    if (findPoint(entered.record, pointId)) return;
    const { standby, points } = entered.record;
    if (standby?.mirrorId !== mirrorId) {
      return refuse({ code: 'point_missing', groupId: group.id, pointId });
    }
    if (daemon) await close(daemon.qmp, standby);
    const volumes = standby.volumes.map(specOf);
    const sealedAt = group.site.options.clock.now();
    const point = { pointId, sealedAt, pauseMs: 0, volumes, receivedBy: standby.instance };
    const next = { ...entered.record, standby: undefined, points: [...points, point] };
    const saved = await group.save(withPlaceOnTop(next, standby.volumes, pointId));
    if (daemon) await openGraph(group, daemon.qmp, saved);
  });
}

export function dropStandby(group: Group): Promise<void> {
  return group.locked(async () => {
    const { record, daemon } = await enter(group);
    await giveUpStandby(group, record, daemon);
  });
}

/** Within the group's lock. Does nothing when there is none. */
export async function giveUpStandby(
  group: Group,
  record: GroupRecord,
  daemon: Daemon | undefined,
): Promise<GroupRecord> {
  const { standby } = record;
  if (!standby) return record;
  if (daemon) await close(daemon.qmp, standby);
  if (daemon && !record.receiving) await closeServer(group.serverPort, daemon.qmp);
  const files = standby.volumes.map(({ volumeId, number }) => layerFile(volumeId, number));
  const garbage = [...record.garbage, ...files];
  return collectGarbage(group, await group.save({ ...record, standby: undefined, garbage }));
}

async function close(qmp: QmpClient, { volumes }: Standby): Promise<void> {
  await closeExportsOf(qmp, STANDBY_EXPORT);
  const nodes = volumes.map(({ key, number }) => layerNode(key, number));
  await deleteNodes(qmp, await readGraph(qmp), nodes);
}
