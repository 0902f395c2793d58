/** Hosts and what they may attach. A host proves itself by the certificate that Baton issues to it. */
import { Type } from 'typebox';
import type { HostId, VolumeId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { PowerStoreError } from './errors.ts';
import { asToken } from './l10n.ts';
import { mappingsOf } from './mappings.ts';
import { needId } from './references.ts';
import { resourceType } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Resource } from './routes.ts';
import { Clearable, Flag, Name, Reference, body } from './schemas.ts';
import { attachTo, detachFrom, refuseUnkept } from './volume.ts';

const OS_TYPE = 'Linux';

const hostType = resourceType({
  name: 'host',
  attributes: [
    'id',
    'name',
    'description',
    'type',
    'os_type',
    'host_group_id',
    'import_host_system_id',
    'host_connectivity',
    'host_initiators',
  ],
  texts: { type: asToken, os_type: asToken, host_connectivity: asToken },
  links: { mapped_hosts: 'host_volume_mapping' },
  none: ['initiators', 'host_virtual_volume_mappings', 'vsphere_hosts'],
  nothing: ['host_group', 'import_host_system'],
  rows: async ({ hosts, volumes }) => {
    const [all, known] = [await volumes(), await hosts()];
    const mappings = all.flatMap((volume) => mappingsOf(volume, known));
    return known.map(({ id, name }) => ({
      attributes: {
        id,
        name,
        description: '',
        type: 'External',
        os_type: OS_TYPE,
        host_group_id: null,
        import_host_system_id: null,
        host_connectivity: 'Local_Only',
        host_initiators: [],
      },
      links: { mapped_hosts: mappings.filter((m) => m.host.id === id).map((m) => m.id) },
    }));
  },
});

const create = operation({
  needs: 'administer',
  schema: body({
    name: Name,
    os_type: Type.Enum(['Windows', 'Linux', 'ESXi', 'AIX', 'HP-UX', 'Solaris']),
    description: Type.Optional(Clearable),
    host_connectivity: Type.Optional(Type.String({ maxLength: 64 })),
    initiators: Type.Optional(Type.Array(Type.Object({}), { maxItems: 1000 })),
  }),
  run: async ({ app }, wanted) => {
    refuseUnkept('os_type', wanted.os_type, OS_TYPE);
    refuseUnkept('description', wanted.description, '');
    refuseUnkept('host_connectivity', wanted.host_connectivity, 'Local_Only');
    if ((wanted.initiators ?? []).length > 0) {
      const why = 'hosts attach over NBD with the certificate that is issued to them';
      refuse({ code: 'unsupported', what: 'an initiator', why });
    }
    const { host } = await app.createHost({ name: wanted.name });
    return { answer: { id: host.id } };
  },
});

const remove = operation({
  needs: 'administer',
  schema: body({ force_internal: Flag }),
  run: async ({ app, world, reference }) => {
    await app.deleteHost({ hostId: await needId<HostId>(world, 'host', reference) });
    return {};
  },
});

const attach = operation({
  needs: 'storage',
  schema: body({ volume_id: Reference, logical_unit_number: Type.Optional(Type.Integer()) }),
  run: async ({ app, world, reference }, wanted) => {
    const hostId = await needId<HostId>(world, 'host', reference);
    const volumeId = await needId<VolumeId>(world, 'volume', wanted.volume_id);
    if (wanted.logical_unit_number !== undefined) {
      const why = 'hosts attach a volume by its name over NBD, which has no unit numbers';
      refuse({ code: 'unsupported', what: 'a logical_unit_number', why });
    }
    await attachTo(app, volumeId, hostId);
    return {};
  },
});

const detach = operation({
  needs: 'storage',
  schema: body({ volume_id: Reference }),
  run: async ({ app, world, reference }, wanted) => {
    const hostId = await needId<HostId>(world, 'host', reference);
    const volumeId = await needId<VolumeId>(world, 'volume', wanted.volume_id);
    const volume = await app.showVolume(volumeId);
    const isMapped = mappingsOf(volume, await world.hosts()).some((m) => m.host.id === hostId);
    if (!isMapped) {
      const sentence = `Volume ${volume.name} is not mapped to host ${hostId}.`;
      throw new PowerStoreError('not_mapped', sentence, volumeId, hostId);
    }
    await detachFrom(app, volumeId, hostId);
    return {};
  },
});

export const host: Resource = { type: hostType, create, remove, actions: { attach, detach } };

export const hostVolumeMapping: Resource = {
  type: resourceType({
    name: 'host_volume_mapping',
    attributes: ['id', 'host_id', 'host_group_id', 'volume_id', 'logical_unit_number'],
    links: { host: 'host', volume: 'volume' },
    nothing: ['host_group'],
    rows: async ({ hosts, volumes }) => {
      const known = await hosts();
      return (await volumes()).flatMap((volume) =>
        mappingsOf(volume, known).map((mapping) => ({
          attributes: {
            id: mapping.id,
            host_id: mapping.host.id,
            host_group_id: null,
            volume_id: volume.id,
            logical_unit_number: null,
          },
          links: { host: mapping.host.id, volume: volume.id },
        })),
      );
    },
  }),
};
