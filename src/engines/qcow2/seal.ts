/**
 * Sealing: one transaction puts an empty overlay on every volume at once.
 *
 *   create overlays ─ record `sealing` ─ open them ─ TRANSACTION ─ record the point
 *
 * After a crash with the daemon alive, its graph says whether the transaction was. With the daemon
 * dead it does not matter: all volumes stopped at the same instant, so what lies below the overlays
 * is one instant of the group, and the overlays hold whatever came after.
 */
import type { PointId } from '../../domain/ids.ts';
import { Failure, refuse } from '../../domain/refusal.ts';
import type { SealedPoint } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import { addNode } from '../qmp/commands.ts';
import { QmpTimeout } from '../qmp/errors.ts';
import type { Daemon } from './daemon.ts';
import { enterRunning } from './enter.ts';
import { allOf } from './graph.ts';
import type { Group } from './group.ts';
import { createLayers } from './layers.ts';
import { layerNode, layerOptions } from './nodes.ts';
import { activeLayer, findPoint, layerFile, presentVolumes, specOf } from './record.ts';
import type { GroupRecord, Sealing, VolumeRecord } from './record.ts';
import { advanced } from './seal-outcome.ts';

/** More than any pause that is asked for; then the daemon hangs. */
const TRANSACTION_LIMIT_MS = 15_000;

export function sealPoint(
  group: Group,
  pointId: PointId,
  pauseLimitMs: number,
): Promise<SealedPoint> {
  return group.locked(async () => {
    // Looked at first: a group that has none gets no daemon for asking.
    const known = await group.record();
    if (!known.hasPresent && !findPoint(known, pointId)) {
      throw new Failure(`group ${group.id} has no present to seal`);
    }
    const { record, daemon } = await enterRunning(group);
    const sealed = findPoint(record, pointId);
    if (sealed) {
      const { sealedAt, pauseMs, volumes } = sealed;
      return { pointId, sealedAt, pauseMs, volumes };
    }
    return seal(group, daemon, record, { pointId, pauseLimitMs });
  });
}

interface SealRequest {
  readonly pointId: PointId;
  readonly pauseLimitMs: number;
}

async function seal(
  group: Group,
  { qmp }: Daemon,
  record: GroupRecord,
  { pointId, pauseLimitMs }: SealRequest,
): Promise<SealedPoint> {
  const { clock } = group.site.options;
  const volumes = presentVolumes(record);
  await createLayers(
    group,
    volumes.map((volume) => ({
      ...volume,
      number: record.nextLayer,
      below: activeLayer(volume)?.number,
    })),
  );
  const number = record.nextLayer;
  await openOverlays(group, qmp, volumes, number);
  const startedAt = clock.now();
  const overlays = volumes.map(({ volumeId }) => ({ volumeId, number }));
  const sealing: Sealing = { pointId, startedAt, tooLong: false, overlays };
  const intended = await group.save({ ...record, sealing, nextLayer: number + 1 });

  const sealedAt = clock.now();
  const before = clock.monotonicMs();
  try {
    await switchToOverlays(qmp, volumes, number);
  } catch (cause) {
    if (cause instanceof QmpTimeout) {
      await group.save({ ...intended, sealing: { ...sealing, tooLong: true } });
    }
    throw cause;
  }
  const pauseMs = Math.ceil((clock.monotonicMs() - before) * 10) / 10;
  const tooLong = pauseMs > pauseLimitMs;
  const after = advanced(intended, { ...sealing, tooLong }, { sealedAt, pauseMs });
  await group.save(after);
  if (tooLong) {
    refuse({ code: 'freeze_too_long', groupId: group.id, pauseMs, limitMs: pauseLimitMs });
  }
  return { pointId, sealedAt, pauseMs, volumes: volumes.map(specOf) };
}

async function openOverlays(
  group: Group,
  qmp: QmpClient,
  volumes: readonly VolumeRecord[],
  number: number,
): Promise<void> {
  const io = await group.site.io();
  await allOf(
    volumes.map(({ volumeId, key }) => {
      const options = layerOptions({
        node: layerNode(key, number),
        path: group.path(layerFile(volumeId, number)),
        backing: null,
        readOnly: false,
        io,
      });
      return addNode(qmp, options);
    }),
  );
}

async function switchToOverlays(
  qmp: QmpClient,
  volumes: readonly VolumeRecord[],
  number: number,
): Promise<void> {
  const actions = volumes.map((volume) => ({
    type: 'blockdev-snapshot',
    data: {
      node: layerNode(volume.key, activeLayer(volume)?.number ?? 0),
      overlay: layerNode(volume.key, number),
    },
  }));
  if (actions.length > 0) await qmp.execute('transaction', { actions }, TRANSACTION_LIMIT_MS);
}
