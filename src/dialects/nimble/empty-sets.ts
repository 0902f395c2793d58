/** What the vendor's arrays have and this system has none of: clients take stock of it. */
import type { ObjectSet } from './object-sets.ts';

const names = [
  'active_directory_memberships',
  'application_servers',
  'chap_users',
  'disks',
  'fibre_channel_configs',
  'fibre_channel_initiator_aliases',
  'fibre_channel_interfaces',
  'fibre_channel_ports',
  'fibre_channel_sessions',
  'folders',
  'key_managers',
  'ldap_domains',
  'protection_templates',
  'protocol_endpoints',
  'shelves',
  'space_domains',
  'witnesses',
];

export const emptySets: readonly ObjectSet[] = names.map((name) => ({
  name,
  attributes: ['id', 'name'],
  brief: ['id', 'name'],
  rows: () => Promise.resolve([]),
}));
