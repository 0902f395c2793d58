/** Volumes, and of every recovery point a snapshot of each of its volumes. */
import { Type } from 'typebox';
import type { App } from '../../app/app.ts';
import type { VolumeView } from '../../app/views.ts';
import type { Fork } from '../../domain/fork.ts';
import type { GroupId, HostId, Instant, VolumeId } from '../../domain/ids.ts';
import type { RecoveryPoint } from '../../domain/recovery-point.ts';
import { refuse } from '../../domain/refusal.ts';
import { PowerStoreError } from './errors.ts';
import { APPLIANCE_ID, DEFAULT_PERFORMANCE_POLICY, joined, nguidOf, wwnOf } from './ids.ts';
import { asToken } from './l10n.ts';
import { mappingsOf } from './mappings.ts';
import { assignTo, protectBy } from './policy.ts';
import { idOf } from './references.ts';
import { findRow, resourceType, textIn } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Outcome, Resource } from './routes.ts';
import { Clearable, Flag, Name, Reference, body, timestamp, timestampOr } from './schemas.ts';

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

/**
 * The volume that a path or a body names.
 *
 * @throws PowerStoreError 404; `not_offered` when it names a snapshot
 */
export async function volumeOf({
  world,
  reference,
}: Pick<Asked, 'world' | 'reference'>): Promise<VolumeView> {
  const found = await findRow(volumeType, world, reference);
  const volume = (await world.volumes()).find(({ id }) => id === textIn(found, 'id'));
  if (volume !== undefined) return volume;
  const sentence = `${textIn(found, 'name')} is a snapshot of the replication's own: it is not changed by hand.`;
  throw new PowerStoreError('not_offered', sentence, textIn(found, 'id'));
}

/** What is kept of an attribute has to be what was asked: others than the default are refused. */
export function refuseUnkept(
  attribute: string,
  value: string | null | undefined,
  kept: string,
): void {
  if (value === undefined || value === null || value === kept) return;
  refuse({
    code: 'unsupported',
    what: `${attribute} ${JSON.stringify(value.slice(0, 64))}`,
    why: `nothing here keeps it; leave it away, or give ${JSON.stringify(kept)}`,
  });
}

const Size = Type.Integer({ minimum: 1_048_576, maximum: 281_474_976_710_656, multipleOf: 8192 });

const create = operation({
  needs: 'storage',
  schema: body({
    name: Name,
    size: Size,
    description: Type.Optional(Clearable),
    appliance_id: Type.Optional(Reference),
    performance_policy_id: Type.Optional(Reference),
    protection_policy_id: Type.Optional(Clearable),
    volume_group_id: Type.Optional(Reference),
    host_id: Type.Optional(Reference),
    min_size: Type.Optional(Size),
    sector_size: Type.Optional(Type.Integer()),
    metadata: Type.Optional(Type.Object({})),
  }),
  run: async (asked, wanted) => {
    const { app, world, done } = asked;
    refuseUnkept('description', wanted.description, '');
    refuseUnkept('appliance_id', wanted.appliance_id, APPLIANCE_ID);
    refuseUnkept('performance_policy_id', wanted.performance_policy_id, DEFAULT_PERFORMANCE_POLICY);
    if (wanted.sector_size !== undefined)
      refuseUnkept('sector_size', String(wanted.sector_size), '512');
    const groupId = await idOf<GroupId>(world, 'volume_group', wanted.volume_group_id);
    const hostId = await idOf<HostId>(world, 'host', wanted.host_id);
    const policy = wanted.protection_policy_id ?? '';
    if (policy !== '') await idOf(world, 'policy', policy);
    if (groupId !== undefined && (hostId !== undefined || policy !== '')) {
      const sentence = 'In a volume group hosts and protection are the group’s: ask them of it.';
      throw new PowerStoreError('invalid_body', sentence);
    }
    const { jobId, volumeId } = await app.createVolume({
      name: wanted.name,
      sizeBytes: wanted.size,
      ...(groupId !== undefined && { groupId }),
    });
    const outcome: Outcome = { jobId, answer: { id: volumeId } };
    if (hostId === undefined && policy === '') return outcome;
    await done(jobId);
    const own = (await app.showVolume(volumeId)).groupId;
    try {
      if (policy !== '') await protectBy(asked, own, policy);
      if (hostId !== undefined) await app.mapHost({ groupId: own, hostId });
    } catch (error) {
      // A create that is refused leaves nothing.
      await done((await app.deleteVolume({ volumeId })).jobId);
      throw error;
    }
    return outcome;
  },
});

const modify = operation({
  needs: 'storage',
  schema: body({
    name: Type.Optional(Name),
    description: Type.Optional(Clearable),
    size: Type.Optional(Size),
    node_affinity: Type.Optional(Type.String({ maxLength: 64 })),
    protection_policy_id: Type.Optional(Clearable),
    performance_policy_id: Type.Optional(Reference),
    is_replication_destination: Flag,
    app_type: Type.Optional(Clearable),
    app_type_other: Type.Optional(Clearable),
    force: Flag,
  }),
  run: async (asked, wanted) => {
    const volume = await volumeOf(asked);
    const { app, done } = asked;
    refuseUnkept('name', wanted.name, volume.name);
    refuseUnkept('description', wanted.description, '');
    refuseUnkept('node_affinity', wanted.node_affinity, 'System_Select_At_Attach');
    refuseUnkept('performance_policy_id', wanted.performance_policy_id, DEFAULT_PERFORMANCE_POLICY);
    refuseUnkept('app_type', wanted.app_type, '');
    refuseUnkept('app_type_other', wanted.app_type_other, '');
    refuseRoleChange(wanted.is_replication_destination, !volume.heldHere);
    const { protection_policy_id: policy } = wanted;
    // A volume of a group has no policy of its own, so it loses none.
    const ofPolicy =
      Object.hasOwn(wanted, 'protection_policy_id') && (volume.group.implicit || policy);
    const groupId = ofPolicy
      ? await app.groupOfLoneVolume({ volumeId: volume.id, wanted: 'protecting' })
      : undefined;
    if (policy) await idOf(asked.world, 'policy', policy);
    const sizeBytes = wanted.size === volume.sizeBytes ? undefined : wanted.size;
    if (sizeBytes !== undefined && policy && policy !== volume.group.policyId) {
      const why = 'if the second were refused, the first would have been done: ask one by one';
      refuse({ code: 'unsupported', what: 'a new size and a new policy in one request', why });
    }
    const { jobId } =
      sizeBytes === undefined ? {} : await app.resizeVolume({ volumeId: volume.id, sizeBytes });
    if (groupId === undefined) return { jobId };
    if (jobId !== undefined) await done(jobId);
    return { jobId: (await assignTo(asked, groupId, policy ?? '', wanted.force)) ?? jobId };
  },
});

/** A copy becomes what hosts write by a failover, and in no other way. */
export function refuseRoleChange(wanted: boolean | undefined, is: boolean): void {
  if (wanted === undefined || wanted === is) return;
  refuse({
    code: 'unsupported',
    what: `is_replication_destination ${wanted}`,
    why: is
      ? 'another site holds it; fail over, or delete the copy'
      : 'only a replication makes a destination',
  });
}

const remove = operation({
  needs: 'storage',
  schema: body({ immediate: Flag, force_internal: Flag }),
  run: async (asked, { immediate = true }) => {
    const { id, group } = await volumeOf(asked);
    if (!immediate) {
      refuse({
        code: 'unsupported',
        what: 'a recycle bin',
        why: 'what is deleted is gone at once',
      });
    }
    if (!group.implicit && group.volumeIds.includes(id)) {
      refuse({ code: 'in_use', what: 'volume', id, by: `volume group ${group.name}` });
    }
    return asked.app.deleteVolume({ volumeId: id });
  },
});

const Mapping = body({
  host_id: Type.Optional(Reference),
  host_group_id: Type.Optional(Reference),
  logical_unit_number: Type.Optional(Type.Integer()),
});

const attach = operation({
  needs: 'storage',
  schema: Mapping,
  run: async (asked, wanted) => {
    const volume = await volumeOf(asked);
    if (wanted.logical_unit_number !== undefined) {
      const why = 'hosts attach a volume by its name over NBD, which has no unit numbers';
      refuse({ code: 'unsupported', what: 'a logical_unit_number', why });
    }
    const hostId = await hostOf(asked, wanted.host_id, wanted.host_group_id);
    await attachTo(asked.app, volume.id, hostId);
    return {};
  },
});

const detach = operation({
  needs: 'storage',
  schema: body({
    host_id: Type.Optional(Reference),
    host_group_id: Type.Optional(Reference),
    clear_host_agent_data: Flag,
  }),
  run: async (asked, wanted) => {
    const volume = await volumeOf(asked);
    const hostId = await hostOf(asked, wanted.host_id, wanted.host_group_id);
    const isMapped = mappingsOf(volume, await asked.world.hosts()).some(
      (m) => m.host.id === hostId,
    );
    if (!isMapped) {
      const sentence = `Volume ${volume.name} is not mapped to host ${hostId}.`;
      throw new PowerStoreError('not_mapped_to_host', sentence, volume.id, hostId);
    }
    await detachFrom(asked.app, volume.id, hostId);
    return {};
  },
});

async function hostOf(
  { world }: Asked,
  host: string | undefined,
  hostGroup: string | undefined,
): Promise<HostId> {
  if (hostGroup !== undefined) await idOf(world, 'host_group', hostGroup);
  const hostId = await idOf<HostId>(world, 'host', host);
  return hostId ?? refuse({ code: 'invalid', field: 'host_id', wanted: 'a host', seen: 'none' });
}

export async function attachTo(app: App, volumeId: VolumeId, hostId: HostId): Promise<void> {
  const groupId = await app.groupOfLoneVolume({ volumeId, wanted: 'mapping a host to' });
  await app.mapHost({ groupId, hostId });
}

export async function detachFrom(app: App, volumeId: VolumeId, hostId: HostId): Promise<void> {
  const groupId = await app.groupOfLoneVolume({ volumeId, wanted: 'unmapping a host from' });
  await app.unmapHost({ groupId, hostId });
}

export const volume: Resource = {
  type: volumeType,
  create,
  modify,
  remove,
  actions: { attach, detach },
};
