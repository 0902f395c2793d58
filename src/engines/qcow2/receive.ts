/**
 * Receiving at the destination: an overlay per volume on the base point, open to the peer only.
 *
 *   receivePoint: create overlays ─ record `receiving` ─ open ─ peer's server ─ exports
 *   completePoint: close exports ─ reopen read-only (flushes) ─ record the point
 *
 * What came is worth nothing with another daemon: the peer's copy job counts on what the first one
 * acknowledged and had not flushed.
 */
import type { PointId } from '../../domain/ids.ts';
import { Failure, refuse } from '../../domain/refusal.ts';
import type { ReceivePoint, ReceivingTarget, VolumeSpec } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { Daemon } from './daemon.ts';
import { collectGarbage, enter, enterRunning } from './enter.ts';
import { RECEIVING_EXPORT, closeExportsOf, openExports, receivingExportId } from './exports.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { needRoom } from './layers.ts';
import { openServer } from './nbd-server.ts';
import { layerNode } from './nodes.ts';
import { makeAhead } from './overlays.ts';
import type { Overlay } from './overlays.ts';
import { addressOf, makePlace, withPlaceOnTop } from './place.ts';
import { closeReceiving, openReceiving, sealReceiving } from './receiving-nodes.ts';
import { findPoint, layerFile, specOf } from './record.ts';
import type { GroupRecord, Receiving } from './record.ts';

export function receivePoint(group: Group, request: ReceivePoint): Promise<ReceivingTarget> {
  return group.locked(async () => {
    const known = findPoint(await group.record(), request.pointId);
    if (known) return targetOf(group, await group.record(), known.receivedBy ?? '', request);
    // Looked at first: what is refused starts no daemon.
    checkBase(group, await group.record(), request);
    const isNew = (await group.record()).receiving?.pointId !== request.pointId;
    if (isNew) await needRoom(group, request.volumes.length);
    const { daemon, record } = await enterRunning(group);
    const prepared = isSamePlace(record.receiving, request, daemon)
      ? record
      : await prepare(group, daemon, await giveUp(group, record, daemon), request);
    const target = await open(group, daemon.qmp, prepared, request);
    if (request.promotesNext === true) await makeAhead(group, daemon, overlaysOn(prepared));
    return target;
  });
}

function checkBase(group: Group, record: GroupRecord, { basePointId }: ReceivePoint): void {
  if (record.hasPresent) throw new Failure(`group ${group.id} has a present: it cannot receive`);
  if (basePointId === undefined) return;
  needPoint(group, record, basePointId);
  if (record.points.at(-1)?.pointId === basePointId) return;
  throw new Failure(`group ${group.id}: points after ${basePointId} must be set aside first`);
}

function isSamePlace(
  receiving: Receiving | undefined,
  { pointId, basePointId, peerId, volumes }: ReceivePoint,
  { instance }: Daemon,
): boolean {
  return (
    receiving?.pointId === pointId &&
    receiving.basePointId === basePointId &&
    receiving.peerId === peerId &&
    receiving.instance === instance &&
    JSON.stringify(receiving.volumes.map(specOf)) === JSON.stringify(volumes.map(specOf))
  );
}

async function prepare(
  group: Group,
  { instance }: Daemon,
  record: GroupRecord,
  { pointId, basePointId, peerId, volumes: specs }: ReceivePoint,
): Promise<GroupRecord> {
  const { volumes, next } = await makePlace(group, record, specs, basePointId);
  return group.save({ ...next, receiving: { pointId, basePointId, peerId, instance, volumes } });
}

/** What a present above the received point will need. */
function overlaysOn({ receiving, nextLayer }: GroupRecord): readonly Overlay[] {
  return (receiving?.volumes ?? []).map(({ number, ...volume }) => ({
    ...volume,
    number: nextLayer,
    below: number,
  }));
}

async function open(
  group: Group,
  qmp: QmpClient,
  record: GroupRecord,
  request: ReceivePoint,
): Promise<ReceivingTarget> {
  const { tls } = group.site.options;
  const { peerId } = request;
  const volumes = record.receiving?.volumes ?? [];
  await openReceiving(group, qmp, volumes);
  await openServer(group.serverPort, qmp, {
    audience: 'peer',
    tlsDirectory: tls.peerDirectory(peerId),
    admitted: [tls.peerDistinguishedName(peerId)],
  });
  await openExports(
    qmp,
    volumes.map(({ key, number, volumeId }) => ({
      id: receivingExportId(key),
      node: layerNode(key, number),
      name: exportName({ volumeId }),
    })),
  );
  const place = record.receiving && instanceOf(record.receiving);
  return targetOf(group, await group.record(), place ?? '', request);
}

/** Each place has layers of its own: what came into another one of the same daemon is not in them. */
function instanceOf({ instance, volumes }: Receiving): string {
  return `${instance}/${volumes[0]?.number ?? 0}`;
}

/** The place as the peer is told of it; of a point that is complete, the place that it was. */
function targetOf(
  group: Group,
  { port }: GroupRecord,
  instance: string,
  { volumes }: ReceivePoint,
): ReceivingTarget {
  const exports = volumes.map(({ volumeId }) => ({
    volumeId,
    exportName: exportName({ volumeId }),
  }));
  return addressOf(group, port, instance, exports);
}

function exportName({ volumeId }: Pick<VolumeSpec, 'volumeId'>): string {
  return `in-${volumeId}`;
}

export function completePoint(group: Group, pointId: PointId, place: string): Promise<void> {
  return group.locked(async () => {
    const { record, daemon } = await enter(group);
    if (findPoint(record, pointId)) return;
    const { receiving } = record;
    const isFilled = receiving?.pointId === pointId && instanceOf(receiving) === place;
    if (!daemon || !isFilled || receiving.instance !== daemon.instance) {
      refuse({ code: 'point_missing', groupId: group.id, pointId });
    }
    const { qmp } = daemon;
    // The server goes on listening: the next point comes soon, and without an export it offers nothing.
    await closeExportsOf(qmp, RECEIVING_EXPORT);
    await sealReceiving(group, qmp, receiving);
    await group.save(completed(record, receiving, group.site.options.clock.now()));
  });
}

function completed(record: GroupRecord, receiving: Receiving, completedAt: number): GroupRecord {
  const { pointId, volumes } = receiving;
  const next: GroupRecord = {
    ...record,
    receiving: undefined,
    points: [
      ...record.points,
      {
        pointId,
        sealedAt: completedAt,
        pauseMs: 0,
        volumes: volumes.map(specOf),
        receivedBy: instanceOf(receiving),
      },
    ],
  };
  return withPlaceOnTop(next, volumes, pointId);
}

export function abandonPoint(group: Group): Promise<void> {
  return group.locked(async () => {
    const { record, daemon } = await enter(group);
    await giveUp(group, record, daemon);
  });
}

/** Gives up what is being received, if anything. Within the group's lock. */
export async function giveUp(
  group: Group,
  record: GroupRecord,
  daemon: Daemon | undefined,
): Promise<GroupRecord> {
  const { receiving } = record;
  if (!receiving) return record;
  if (daemon) await closeReceiving(group, daemon.qmp, receiving);
  const files = receiving.volumes.map(({ volumeId, number }) => layerFile(volumeId, number));
  const saved = await group.save({
    ...record,
    receiving: undefined,
    garbage: [...record.garbage, ...files],
  });
  return collectGarbage(group, saved);
}
