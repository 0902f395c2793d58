/** What is done with volumes. */
import { Type } from 'typebox';
import type { App } from '../../app/app.ts';
import type { VolumeView } from '../../app/views.ts';
import type { GroupId, HostId, VolumeId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { PowerStoreError } from './errors.ts';
import { APPLIANCE_ID, DEFAULT_PERFORMANCE_POLICY } from './ids.ts';
import { mappingsOf } from './mappings.ts';
import { assignTo, protectBy } from './policy.ts';
import { idOf } from './references.ts';
import { findRow, textIn } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Outcome, Resource } from './routes.ts';
import { Clearable, Flag, Name, Reference, body } from './schemas.ts';
import { volumeType } from './volume-type.ts';

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
