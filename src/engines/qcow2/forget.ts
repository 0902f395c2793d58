/**
 * Forgetting points: first they are forgotten, in the record; then the layers that seal nothing any
 * more are merged, one job at a time. A merge changes no content at any moment, so it may be
 * interrupted anywhere and done again.
 *
 *   record: points gone ─ (plan ─ job ─ record: layers gone ─ nodes, files gone)*
 */
import type { PointId } from '../../domain/ids.ts';
import type { ForgottenPoints, MergeLimit } from '../../ports/engine.ts';
import { enter, tidy } from './enter.ts';
import type { Group } from './group.ts';
import { withGarbage } from './histories.ts';
import type { LayerName } from './histories.ts';
import { mergeLayers } from './merge.ts';
import type { GroupRecord, VolumeRecord } from './record.ts';

export async function forgetPoints(
  group: Group,
  pointIds: readonly PointId[],
  limit: MergeLimit,
): Promise<ForgottenPoints> {
  const answer = await group.locked(async () => {
    const { record } = await enter(group);
    const { forgotten, kept } = sortOut(record, pointIds);
    const next = withoutPoints(record, new Set(forgotten));
    if (next !== record) await group.save(next);
    if (next.garbage.length > 0) await tidy(group);
    return { forgotten, kept };
  });
  await mergeLayers(group, limit);
  return answer;
}

function sortOut(record: GroupRecord, pointIds: readonly PointId[]): ForgottenPoints {
  const { sending, receiving, standby, comparing } = record;
  const standing = [...record.forks, ...record.copies, ...(standby ? [standby] : [])];
  const forked = new Set(standing.map(({ basePointId }) => basePointId));
  const sent = [sending?.pointId, sending?.basePointId, comparing?.pointId];
  const busy = new Set([...sent, receiving?.basePointId]);
  return {
    forgotten: pointIds.filter((id) => !forked.has(id) && !busy.has(id)),
    kept: pointIds.filter((id) => forked.has(id)),
  };
}

/** The record without these points; what only they needed at the top of a chain is garbage. */
export function withoutPoints(record: GroupRecord, gone: ReadonlySet<PointId>): GroupRecord {
  if (!record.points.some(({ pointId }) => gone.has(pointId))) return record;
  const unneeded: LayerName[] = [];
  const volumes = record.volumes.flatMap((volume): readonly VolumeRecord[] => {
    const wasActive = volume.layers.at(-1)?.seals === undefined;
    const layers = volume.layers.map((layer) =>
      layer.seals !== undefined && gone.has(layer.seals) ? { ...layer, seals: undefined } : layer,
    );
    // Nothing stands on these: without this the last would pass for one that hosts write.
    const needed = wasActive
      ? layers.length
      : layers.findLastIndex(({ seals }) => seals !== undefined) + 1;
    const { volumeId } = volume;
    unneeded.push(...layers.slice(needed).map(({ number }) => ({ volumeId, number })));
    return needed > 0 ? [{ ...volume, layers: layers.slice(0, needed) }] : [];
  });
  const points = record.points.filter(({ pointId }) => !gone.has(pointId));
  return withGarbage({ ...record, volumes, points }, unneeded);
}
