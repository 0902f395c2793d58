/** What a volume is to clients, and of every recovery point a snapshot of each of its volumes. */
import type { VolumeView } from '../../app/views.ts';
import type { Fork } from '../../domain/fork.ts';
import type { GroupId, HostId, Instant, VolumeId } from '../../domain/ids.ts';
import type { RecoveryPoint } from '../../domain/recovery-point.ts';
import { APPLIANCE_ID, DEFAULT_PERFORMANCE_POLICY, joined, nguidOf, wwnOf } from './ids.ts';
import { asToken } from './l10n.ts';
import { mappingsOf } from './mappings.ts';
import { resourceType } from './resource-types.ts';
import { timestamp, timestampOr } from './schemas.ts';

const attributes = [
  'id',
  'name',
  'description',
  'type',
  'wwn',
  'nsid',
  'nguid',
  'appliance_id',
  'state',
  'size',
  'logical_used',
  'node_affinity',
  'creation_timestamp',
  'protection_policy_id',
  'performance_policy_id',
  'qos_performance_policy_id',
  'is_replication_destination',
  'migration_session_id',
  'metro_replication_session_id',
  'is_host_access_available',
  'protection_data',
  'location_history',
  'app_type',
  'app_type_other',
] as const;

const states = {
  creating: 'Initializing',
  importing: 'Ready',
  ready: 'Ready',
  deleting: 'Destroying',
} as const;

/** What no volume here has. */
const without = {
  nsid: null,
  logical_used: null,
  qos_performance_policy_id: null,
  migration_session_id: null,
  metro_replication_session_id: null,
  location_history: null,
  app_type: null,
  app_type_other: null,
};

export const volumeType = resourceType({
  name: 'volume',
  attributes,
  texts: { type: asToken, state: asToken, node_affinity: asToken, app_type: asToken },
  links: {
    appliance: 'appliance',
    protection_policy: 'policy',
    mapped_volumes: 'host_volume_mapping',
    volume_groups: 'volume_group',
    replication_sessions: 'replication_session',
    host: 'host',
  },
  none: [
    'datastores',
    'host_group',
    'remote_snapshot_sessions',
    'current_remote_snapshot_sessions',
    'remote_snapshots',
  ],
  nothing: ['migration_session', 'qos_performance_policy', 'performance_policy'],
  unknown: 'volume_not_found',
  rows: async ({ volumes, hosts, points, forks }) => {
    const [all, known] = [await volumes(), await hosts()];
    const primaries = all.map((volume) => {
      const mappings = mappingsOf(volume, known);
      return sayVolume(
        volume,
        mappings.map(({ id }) => id),
        mappings.map(({ host }) => host.id),
      );
    });
    const snapshots = (await points()).flatMap((point) =>
      point.volumes.flatMap(({ volumeId }) => {
        const volume = all.find((v) => v.id === volumeId);
        return volume === undefined ? [] : [saySnapshot(volume, point)];
      }),
    );
    const setAside = (await forks()).flatMap((fork) => {
      const volume = all.find((v) => v.group.implicit && v.groupId === fork.groupId);
      return volume === undefined ? [] : [saySetAside(volume, fork)];
    });
    return [...primaries, ...snapshots, ...setAside];
  },
});

function sayVolume(volume: VolumeView, mappings: readonly string[], hosts: readonly HostId[]) {
  const { id, group, heldHere, session } = volume;
  const policyId = group.implicit ? (group.policyId ?? null) : null;
  return {
    attributes: {
      ...without,
      id,
      name: volume.name,
      description: '',
      type: 'Primary',
      wwn: wwnOf(id),
      nguid: nguidOf(id),
      appliance_id: APPLIANCE_ID,
      state: states[volume.state],
      size: volume.sizeBytes,
      node_affinity: 'System_Select_At_Attach',
      creation_timestamp: timestamp(volume.createdAt),
      protection_policy_id: policyId,
      performance_policy_id: DEFAULT_PERFORMANCE_POLICY,
      is_replication_destination: !heldHere,
      is_host_access_available: heldHere && group.fencedBy === undefined,
      protection_data: protectionData(id),
    },
    links: {
      appliance: APPLIANCE_ID,
      protection_policy: policyId,
      mapped_volumes: mappings,
      volume_groups: group.implicit ? [] : [group.id],
      replication_sessions: session === undefined || !group.implicit ? [] : [session.id],
      host: hosts,
    },
  };
}

function saySnapshot(volume: VolumeView, point: RecoveryPoint) {
  const { sizeBytes } = point.volumes.find((v) => v.volumeId === volume.id) ?? volume;
  return sayCopy(volume, {
    id: snapshotIdOf(volume.id, point),
    name: `${volume.name}.${point.sequence}`,
    sizeBytes,
    takenAt: point.sealedAt,
    expiresAt: undefined,
    copy: point.id,
    sets: volume.group.implicit ? [] : [point.id],
  });
}

/** A history that was set aside: what a failover or a test left. */
function saySetAside(volume: VolumeView, { id, name, setAsideAt, expiresAt }: Fork) {
  const { sizeBytes } = volume;
  const taken = { takenAt: setAsideAt, expiresAt, copy: id, sets: [] };
  return sayCopy(volume, { id, name, sizeBytes, ...taken });
}

interface SnapshotFacts extends Taken {
  readonly id: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly sets: readonly string[];
}

function sayCopy(volume: VolumeView, snapshot: SnapshotFacts) {
  return {
    attributes: {
      ...without,
      id: snapshot.id,
      name: snapshot.name,
      description: '',
      type: 'Snapshot',
      wwn: null,
      nguid: null,
      appliance_id: APPLIANCE_ID,
      state: 'Ready',
      size: snapshot.sizeBytes,
      node_affinity: 'System_Select_At_Attach',
      creation_timestamp: timestamp(snapshot.takenAt),
      protection_policy_id: null,
      performance_policy_id: DEFAULT_PERFORMANCE_POLICY,
      is_replication_destination: !volume.heldHere,
      is_host_access_available: false,
      protection_data: protectionData(volume.id, snapshot),
    },
    links: {
      appliance: APPLIANCE_ID,
      protection_policy: null,
      mapped_volumes: [],
      volume_groups: snapshot.sets,
      replication_sessions: [],
      host: [],
    },
  };
}

export function snapshotIdOf(volumeId: VolumeId, { id }: Pick<RecoveryPoint, 'id'>): string {
  return joined(id, volumeId);
}

/** When a snapshot was taken, and how long it stays; its copies have one signature. */
export interface Taken {
  readonly takenAt: Instant;
  readonly expiresAt: Instant | undefined;
  readonly copy: string;
}

/** Of what something is, and of a snapshot from when. */
export function protectionData(sourceId: VolumeId | GroupId, taken?: Taken) {
  const creator = taken === undefined ? 'User' : 'System';
  return {
    created_by_rule_id: null,
    created_by_rule_name: null,
    creator_type: creator,
    creator_type_l10n: creator,
    expiration_timestamp: timestampOr(taken?.expiresAt),
    source_timestamp: timestampOr(taken?.takenAt),
    family_id: sourceId,
    source_id: taken === undefined ? null : sourceId,
    parent_id: taken === undefined ? null : sourceId,
    copy_signature: taken?.copy ?? null,
    is_app_consistent: false,
    is_secure: false,
  };
}
