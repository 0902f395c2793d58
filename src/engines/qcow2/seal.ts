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
import { QmpTimeout } from '../qmp/errors.ts';
import type { Daemon } from './daemon.ts';
import { enterRunning } from './enter.ts';
import type { Group } from './group.ts';
import { makeAhead, overlaysOfPresent, putOnLayers, readyOverlays } from './overlays.ts';
import { findPoint, presentVolumes, specOf } from './record.ts';
import type { GroupRecord, Sealing } from './record.ts';
import { advanced } from './seal-outcome.ts';

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

export function prepareSeal(group: Group): Promise<void> {
  return group.locked(async () => {
    const { record, daemon } = await enterRunning(group);
    await makeAhead(group, daemon, overlaysOfPresent(record));
  });
}

interface SealRequest {
  readonly pointId: PointId;
  readonly pauseLimitMs: number;
}

async function seal(
  group: Group,
  daemon: Daemon,
  record: GroupRecord,
  { pointId, pauseLimitMs }: SealRequest,
): Promise<SealedPoint> {
  const { clock } = group.site.options;
  const volumes = presentVolumes(record);
  const overlays = overlaysOfPresent(record);
  await readyOverlays(group, daemon, overlays);
  const startedAt = clock.now();
  const sealing: Sealing = {
    pointId,
    startedAt,
    tooLong: false,
    overlays: overlays.map(({ volumeId, number }) => ({ volumeId, number })),
  };
  const intended = await group.save({ ...record, sealing, nextLayer: record.nextLayer + 1 });

  const sealedAt = clock.now();
  const before = clock.monotonicMs();
  try {
    await putOnLayers(daemon.qmp, overlays);
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
