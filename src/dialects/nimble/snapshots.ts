/** Snapshots: one volume's part of a recovery point. Sizes are in bytes. */
import type { GroupView } from '../../app/views.ts';
import type { RecoveryPoint } from '../../domain/recovery-point.ts';
import { POOL_NAME } from './groups.ts';
import { toWire } from './ids.ts';
import type { Json, Row } from './lists.ts';
import type { ObjectSet } from './object-sets.ts';
import { pointName } from './point-name.ts';
import { remarked, seconds } from './schemas.ts';
import { statusOf } from './snapshot-collections.ts';

const constants = {
  pool_name: POOL_NAME,
  online: false,
  writable: false,
  offline_reason: 'user',
  expiry_time: 0,
  expiry_after: 0,
  is_unmanaged: false,
  access_control_records: null,
  target_name: '',
  schedule_name: '',
  app_uuid: '',
  new_data_valid: false,
  new_data_compressed_bytes: 0,
  new_data_uncompressed_bytes: 0,
  agent_type: 'none',
} as const satisfies Row;

const facts = [
  'id',
  'name',
  'description',
  'size',
  'vol_name',
  'vol_id',
  'snap_collection_name',
  'snap_collection_id',
  'origin_name',
  'is_replica',
  'is_manually_managed',
  'replication_status',
  'serial_number',
  'creation_time',
  'last_modified',
  'schedule_id',
  'metadata',
] as const;

type SnapshotRow = Readonly<Record<(typeof facts)[number], Json>> & Row;

export const snapshots: ObjectSet = {
  name: 'snapshots',
  attributes: [...facts, ...Object.keys(constants)],
  brief: ['id', 'name', 'vol_name'],
  rows: async ({ app }) => {
    const perGroup = await Promise.all(
      (await app.listGroups()).map(async (group) =>
        (await app.listPoints(group.id)).flatMap((point) => saySnapshots(group, point)),
      ),
    );
    return perGroup.flat();
  },
};

function saySnapshots(group: GroupView, point: RecoveryPoint): readonly SnapshotRow[] {
  const { session } = group;
  const name = pointName(group, point);
  const isReplica = session?.role === 'destination';
  const isManual = remarked(point.remarks, 'name', null) !== null;
  return point.volumes.map((volume, at) => ({
    ...constants,
    id: toWire('snapshot', point.id, at + 1),
    name,
    description: remarked(point.remarks, 'description', ''),
    size: volume.sizeBytes,
    vol_name: volume.name,
    vol_id: toWire('volume', volume.volumeId),
    snap_collection_name: name,
    snap_collection_id: toWire('snapshot_collection', point.id),
    origin_name: isReplica ? session.peerName : '',
    is_replica: isReplica,
    is_manually_managed: isManual,
    replication_status: statusOf(group, point),
    serial_number: point.id.replaceAll('-', ''),
    creation_time: seconds(point.sealedAt),
    last_modified: seconds(point.sealedAt),
    schedule_id: isManual ? '' : toWire('protection_schedule', group.id),
    metadata: remarked(point.remarks, 'metadata', null),
  }));
}
