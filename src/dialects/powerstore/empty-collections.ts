/** What clients list before they do anything, and what this system has none of. */
import { resourceType } from './resource-types.ts';
import type { Resource } from './routes.ts';

const names = [
  'snapshot_rule',
  'host_group',
  'initiator',
  'storage_container',
  'virtual_volume',
  'nas_server',
  'file_system',
  'replication_group',
  'migration_session',
  'node',
  'fc_port',
  'ip_pool_address',
  'witness',
] as const;

/** Attributes by which clients filter and what they select of them. */
const attributes = [
  'id',
  'name',
  'description',
  'state',
  'type',
  'purposes',
  'address',
  'wwn',
  'is_link_up',
  'interval',
  'days_of_week',
  'time_of_day',
  'desired_retention',
  'is_secure',
  'appliance_id',
  'slot',
  'host_connectivity',
] as const;

export const emptyCollections: readonly Resource[] = names.map((name) => ({
  type: resourceType({
    name,
    attributes,
    none: ['policies', 'hosts', 'mapped_host_groups', 'host_virtual_volume_mappings'],
    nothing: ['ip_port'],
    unknown: name === 'snapshot_rule' ? 'snapshot_rule_not_found' : 'no_such_instance',
    rows: () => Promise.resolve([]),
  }),
}));
