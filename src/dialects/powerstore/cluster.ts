/** This system: one cluster of one appliance. */
import { APPLIANCE_ID, CLUSTER_ID, globalIdOf } from './ids.ts';
import { asToken } from './l10n.ts';
import { resourceType } from './resource-types.ts';
import type { Resource } from './routes.ts';
import { timestamp } from './schemas.ts';

export const cluster: Resource = {
  type: resourceType({
    name: 'cluster',
    isSimple: true,
    attributes: [
      'id',
      'global_id',
      'name',
      'management_address',
      'storage_discovery_address',
      'master_appliance_id',
      'primary_appliance_id',
      'appliance_count',
      'physical_mtu',
      'is_encryption_enabled',
      'compatibility_level',
      'state',
      'system_time',
      'nvm_subsystem_nqn',
    ],
    texts: { state: asToken },
    rows: async ({ site, address }) => {
      const { id, name, now } = await site();
      return [
        {
          attributes: {
            id: CLUSTER_ID,
            global_id: globalIdOf(id),
            name,
            management_address: address,
            storage_discovery_address: address,
            master_appliance_id: APPLIANCE_ID,
            primary_appliance_id: APPLIANCE_ID,
            appliance_count: 1,
            physical_mtu: 1500,
            is_encryption_enabled: false,
            compatibility_level: 15,
            state: 'Configured',
            system_time: timestamp(now),
            nvm_subsystem_nqn: null,
          },
          links: {},
        },
      ];
    },
  }),
};

export const appliance: Resource = {
  type: resourceType({
    name: 'appliance',
    attributes: [
      'id',
      'name',
      'service_tag',
      'express_service_code',
      'model',
      'mode',
      'node_count',
      'drive_failure_tolerance_level',
      'storage_class',
      'is_hyper_converged',
    ],
    texts: { mode: asToken, drive_failure_tolerance_level: asToken, storage_class: asToken },
    links: { volumes: 'volume', software_installed: 'software_installed' },
    none: [
      'nodes',
      'ip_pool_addresses',
      'fsns',
      'veth_ports',
      'virtual_volumes',
      'maintenance_windows',
      'fc_ports',
      'sas_ports',
      'eth_ports',
      'eth_be_ports',
      'hardware',
    ],
    rows: async ({ site, volumes }) => {
      const { id, name } = await site();
      return [
        {
          attributes: {
            id: APPLIANCE_ID,
            name,
            service_tag: globalIdOf(id).slice(2, 9).toUpperCase(),
            express_service_code: null,
            model: 'Baton',
            mode: 'Block',
            node_count: 1,
            drive_failure_tolerance_level: null,
            storage_class: null,
            is_hyper_converged: false,
          },
          links: { volumes: (await volumes()).map((v) => v.id), software_installed: [] },
        },
      ];
    },
  }),
};
