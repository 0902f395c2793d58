/** Volume groups, and of every recovery point of one a snapshot set. */
import { Type } from 'typebox';
import type { GroupView } from '../../app/views.ts';
import type { Fork } from '../../domain/fork.ts';
import type { VolumeId } from '../../domain/ids.ts';
import type { RecoveryPoint } from '../../domain/recovery-point.ts';
import { refuse } from '../../domain/refusal.ts';
import { PowerStoreError } from './errors.ts';
import { asToken } from './l10n.ts';
import { assignTo, protectBy } from './policy.ts';
import { needId } from './references.ts';
import { findRow, resourceType, textIn } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Resource } from './routes.ts';
import { Clearable, Flag, Name, Reference, References, body, timestamp } from './schemas.ts';
import { refuseRoleChange, refuseUnkept, volumeOf } from './volume.ts';
import { protectionData, snapshotIdOf } from './volume-type.ts';
import type { Taken } from './volume-type.ts';

const groupType = resourceType({
  name: 'volume_group',
  attributes: [
    'id',
    'name',
    'description',
    'creation_timestamp',
    'is_protectable',
    'protection_policy_id',
    'qos_performance_policy_id',
    'migration_session_id',
    'is_write_order_consistent',
    'placement_rule',
    'type',
    'is_replication_destination',
    'metro_replication_session_id',
    'is_host_access_available',
    'protection_data',
    'is_importing',
    'location_history',
  ],
  texts: { type: asToken },
  links: {
    protection_policy: 'policy',
    volumes: 'volume',
    volume: 'volume',
    replication_sessions: 'replication_session',
  },
  none: ['remote_snapshot_sessions', 'current_remote_snapshot_sessions', 'remote_snapshots'],
  nothing: ['migration_session', 'qos_performance_policy'],
  rows: async ({ groups, points, forks }) => {
    const shown = (await groups()).filter((g) => !g.implicit);
    const sets = (await points()).flatMap((point) => {
      const group = shown.find((g) => g.id === point.groupId);
      return group === undefined ? [] : [saySet(group, point)];
    });
    const setAside = (await forks()).flatMap((fork) => {
      const group = shown.find((g) => g.id === fork.groupId);
      return group === undefined ? [] : [saySetAside(group, fork)];
    });
    return [...shown.map(sayGroup), ...sets, ...setAside];
  },
});

const without = {
  qos_performance_policy_id: null,
  migration_session_id: null,
  metro_replication_session_id: null,
  location_history: null,
  placement_rule: 'No_Preference',
  is_write_order_consistent: true,
};

function sayGroup(group: GroupView) {
  return {
    attributes: {
      ...without,
      id: group.id,
      name: group.name,
      description: '',
      creation_timestamp: timestamp(group.createdAt),
      is_protectable: group.heldHere,
      is_importing: group.importing !== undefined,
      protection_policy_id: group.policyId ?? null,
      type: 'Primary',
      is_replication_destination: !group.heldHere,
      is_host_access_available: group.heldHere && group.fencedBy === undefined,
      protection_data: protectionData(group.id),
    },
    links: {
      protection_policy: group.policyId ?? null,
      volumes: group.volumeIds,
      volume: group.volumeIds,
      replication_sessions: group.session === undefined ? [] : [group.session.id],
    },
  };
}

function saySet(group: GroupView, point: RecoveryPoint) {
  const members = point.volumes
    .filter(({ volumeId }) => group.volumeIds.includes(volumeId))
    .map(({ volumeId }) => snapshotIdOf(volumeId, point));
  const { id, sequence, sealedAt: takenAt } = point;
  const name = `${group.name}.${sequence}`;
  return sayCopy(group, { id, name, takenAt, expiresAt: undefined, copy: id }, members);
}

/** A history that was set aside: what a failover or a test left. It is kept and opened as a whole. */
function saySetAside(group: GroupView, { id, name, setAsideAt: takenAt, expiresAt }: Fork) {
  return sayCopy(group, { id, name, takenAt, expiresAt, copy: id }, []);
}

interface SetFacts extends Taken {
  readonly id: string;
  readonly name: string;
}

function sayCopy(group: GroupView, set: SetFacts, members: readonly string[]) {
  return {
    attributes: {
      ...without,
      id: set.id,
      name: set.name,
      description: '',
      creation_timestamp: timestamp(set.takenAt),
      is_protectable: false,
      is_importing: false,
      protection_policy_id: null,
      type: 'Snapshot',
      is_replication_destination: !group.heldHere,
      is_host_access_available: false,
      protection_data: protectionData(group.id, set),
    },
    links: {
      protection_policy: null,
      volumes: members,
      volume: members,
      replication_sessions: [],
    },
  };
}

/** @throws PowerStoreError 404; `not_offered` when it is a snapshot set */
async function groupOf({ world, reference }: Asked): Promise<GroupView> {
  const found = await findGroup(world, reference);
  const group = (await world.groups()).find(({ id }) => id === textIn(found, 'id'));
  if (group !== undefined) return group;
  const sentence = `${textIn(found, 'name')} is a snapshot set of the replication's own: it is not changed by hand.`;
  throw new PowerStoreError('not_offered', sentence, textIn(found, 'id'));
}

/** Clients look for these words. */
async function findGroup(world: Asked['world'], reference: string) {
  try {
    return await findRow(groupType, world, reference);
  } catch (error) {
    if (!(error instanceof PowerStoreError)) throw error;
    const named = reference.slice(0, 100);
    throw new PowerStoreError('no_such_instance', `Unable to find volume group ${named}.`, named);
  }
}

const create = operation({
  needs: 'storage',
  schema: body({
    name: Name,
    description: Type.Optional(Clearable),
    volume_ids: Type.Optional(References),
    protection_policy_id: Type.Optional(Clearable),
    qos_performance_policy_id: Type.Optional(Clearable),
    is_write_order_consistent: Flag,
    metadata: Type.Optional(Type.Object({})),
  }),
  run: async (asked, wanted) => {
    const { app, world, done } = asked;
    refuseUnkept('description', wanted.description, '');
    refuseUnkept('qos_performance_policy_id', wanted.qos_performance_policy_id, '');
    refuseOrderless(wanted.is_write_order_consistent);
    const policy = wanted.protection_policy_id ?? '';
    if (policy !== '') await needId(world, 'policy', policy);
    const volumeIds = await volumesOf(asked, wanted.volume_ids ?? []);
    const { id: groupId } = await app.createGroup({ name: wanted.name });
    const remove: VolumeId[] = [];
    try {
      if (volumeIds.length > 0) {
        await done((await app.changeMembers({ groupId, add: volumeIds, remove: [] })).jobId);
        remove.push(...volumeIds);
      }
      if (policy !== '') await protectBy(asked, groupId, policy);
    } catch (error) {
      // A create that is refused leaves nothing.
      if (remove.length > 0) {
        await done((await app.changeMembers({ groupId, add: [], remove })).jobId);
      }
      await done((await app.deleteGroup({ groupId })).jobId);
      throw error;
    }
    return { answer: { id: groupId } };
  },
});

const modify = operation({
  needs: 'storage',
  schema: body({
    name: Type.Optional(Name),
    description: Type.Optional(Clearable),
    protection_policy_id: Type.Optional(Clearable),
    qos_performance_policy_id: Type.Optional(Clearable),
    is_write_order_consistent: Flag,
    is_replication_destination: Flag,
    force: Flag,
  }),
  run: async (asked, wanted) => {
    const group = await groupOf(asked);
    refuseUnkept('name', wanted.name, group.name);
    refuseUnkept('description', wanted.description, '');
    refuseUnkept('qos_performance_policy_id', wanted.qos_performance_policy_id, '');
    refuseOrderless(wanted.is_write_order_consistent);
    refuseRoleChange(wanted.is_replication_destination, !group.heldHere);
    if (!Object.hasOwn(wanted, 'protection_policy_id')) return {};
    const policy = wanted.protection_policy_id ?? '';
    return { jobId: await assignTo(asked, group.id, policy, wanted.force) };
  },
});

function refuseOrderless(wanted: boolean | undefined): void {
  if (wanted !== false) return;
  const why = 'the volumes of a group are always cut at one instant';
  refuse({ code: 'unsupported', what: 'is_write_order_consistent false', why });
}

const remove = operation({
  needs: 'storage',
  schema: body({ delete_members: Flag, immediate: Flag }),
  run: async (asked, { delete_members: withMembers = false, immediate = true }) => {
    const { app, done } = asked;
    const group = await groupOf(asked);
    if (!immediate) {
      refuse({
        code: 'unsupported',
        what: 'a recycle bin',
        why: 'what is deleted is gone at once',
      });
    }
    const { id: groupId, session } = group;
    if (session !== undefined || group.policyId !== undefined) {
      const by = session ? `replication session ${session.id}` : 'its protection policy';
      refuse({ code: 'in_use', what: 'group', id: group.name, by });
    }
    if (group.heldHere && group.hosts.length > 0 && withMembers) {
      refuse({
        code: 'in_use',
        what: 'group',
        id: group.name,
        by: `host ${group.hosts.join(', ')}`,
      });
    }
    // A copy goes as a whole; of a group of this site's own the members stay, unless told otherwise.
    for (const volumeId of group.heldHere ? group.volumeIds : []) {
      const { jobId } = withMembers
        ? await app.deleteVolume({ volumeId })
        : await app.removeVolume({ groupId, volumeId });
      await done(jobId);
    }
    return app.deleteGroup({ groupId });
  },
});

const Members = body({
  volume_ids: Type.Array(Reference, { minItems: 1, maxItems: 1000 }),
  force_internal: Flag,
});

const addMembers = operation({
  needs: 'storage',
  schema: Members,
  run: async (asked, { volume_ids: references }) => {
    const { id: groupId } = await groupOf(asked);
    const add = await volumesOf(asked, references);
    return asked.app.changeMembers({ groupId, add, remove: [] });
  },
});

const removeMembers = operation({
  needs: 'storage',
  schema: Members,
  run: async (asked, { volume_ids: references }) => {
    const { id: groupId, volumeIds: members } = await groupOf(asked);
    const remove = await volumesOf(asked, references);
    const stranger = remove.find((id) => !members.includes(id));
    if (stranger !== undefined) {
      const sentence = 'One or more volumes to be removed are not part of the volume group.';
      throw new PowerStoreError('not_a_member', sentence, stranger);
    }
    return asked.app.changeMembers({ groupId, add: [], remove });
  },
});

async function volumesOf(
  asked: Asked,
  references: readonly string[],
): Promise<readonly VolumeId[]> {
  const { world } = asked;
  const ids = await Promise.all(
    references.map(async (reference) => (await volumeOf({ world, reference })).id),
  );
  return [...new Set(ids)];
}

export const volumeGroup: Resource = {
  type: groupType,
  create,
  modify,
  remove,
  actions: { add_members: addMembers, remove_members: removeMembers },
};
