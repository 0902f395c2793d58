/** The group and its one array and pool: this site, as the vendor's clients look at it first. */
import type { SiteView } from '../../app/views.ts';
import { toWire } from './ids.ts';
import type { Row } from './lists.ts';
import type { Asked, ObjectSet } from './object-sets.ts';
import { SOFTWARE_VERSION } from './versions.ts';

const groupConstants = {
  version_current: SOFTWARE_VERSION,
  iscsi_enabled: false,
  fc_enabled: false,
  group_target_enabled: true,
  group_target_name: '',
  default_iscsi_target_scope: 'group',
  send_alert_to_support: false,
  isns_enabled: false,
  merge_state: 'none',
  access_protocol_list: null,
  encryption_config: null,
} as const;

const groupFacts = [
  'id',
  'name',
  'full_name',
  'search_name',
  'leader_array_name',
  'num_snaps',
  'num_snapcolls',
] as const;

export const groups: ObjectSet = {
  name: 'groups',
  attributes: [...groupFacts, ...Object.keys(groupConstants)],
  brief: ['id', 'name'],
  rows: async ({ app }) => {
    const { id, name } = await app.showSite();
    const all = await app.listGroups();
    const points = await Promise.all(all.map(async (g) => app.listPoints(g.id)));
    const counted = points.flat();
    const row: Readonly<Record<(typeof groupFacts)[number], unknown>> & Row = {
      ...groupConstants,
      id: toWire('group', id),
      name,
      full_name: name,
      search_name: name,
      leader_array_name: name,
      num_snaps: counted.reduce((sum, point) => sum + point.volumes.length, 0),
      num_snapcolls: counted.length,
    };
    return [row];
  },
};

const arrayConstants = {
  status: 'reachable',
  role: 'leader',
  group_state: 'initialized',
  model: 'Baton',
  extended_model: 'Baton',
  version: SOFTWARE_VERSION,
  usage_valid: true,
  all_flash: false,
  dedupe_disabled: true,
} as const;

const arrayFacts = [
  'id',
  'name',
  'full_name',
  'search_name',
  'serial',
  'pool_id',
  'pool_name',
  'usable_capacity_bytes',
  'raw_capacity_bytes',
  'available_bytes',
  'usage',
] as const;

export const arrays: ObjectSet = {
  name: 'arrays',
  attributes: [...arrayFacts, ...Object.keys(arrayConstants)],
  brief: ['id', 'name'],
  rows: async ({ app }) => {
    const { id, name, space } = await app.showSite();
    const row: Readonly<Record<(typeof arrayFacts)[number], unknown>> & Row = {
      ...arrayConstants,
      id: toWire('array', id),
      name,
      full_name: name,
      search_name: name,
      serial: id,
      pool_id: toWire('pool', id),
      pool_name: POOL_NAME,
      usable_capacity_bytes: space.totalBytes,
      raw_capacity_bytes: space.totalBytes,
      available_bytes: space.freeBytes,
      usage: space.totalBytes - space.freeBytes,
    };
    return [row];
  },
};

/** A site has one place for all its volumes. */
export const POOL_NAME = 'default';

const poolConstants = {
  description: '',
  creation_time: 0,
  last_modified: 0,
  savings: 0,
  reserve: 0,
  unused_reserve: 0,
  usage_valid: true,
  all_flash: false,
  dedupe_capable: false,
  dedupe_all_volumes_capable: false,
  dedupe_all_volumes: false,
  is_default: true,
  folder_list: null,
  pinned_vol_list: null,
  unassigned_array_list: null,
  array_count: 1,
} as const;

const poolFacts = [
  'id',
  'name',
  'full_name',
  'search_name',
  'capacity',
  'usage',
  'free_space',
  'vol_count',
  'vol_list',
  'array_list',
] as const;

export const pools: ObjectSet = {
  name: 'pools',
  attributes: [...poolFacts, ...Object.keys(poolConstants)],
  brief: ['id', 'name'],
  rows: async ({ app }: Asked) => [await poolRow(await app.showSite(), await app.listVolumes())],
};

async function poolRow(
  { id, name, space }: SiteView,
  volumes: Awaited<ReturnType<Asked['app']['listVolumes']>>,
): Promise<Row> {
  const members = volumes.map((v) => {
    const wire = toWire('volume', v.id);
    return { id: wire, vol_id: wire, name: v.name, vol_name: v.name };
  });
  const array = toWire('array', id);
  const row: Readonly<Record<(typeof poolFacts)[number], unknown>> & Row = {
    ...poolConstants,
    id: toWire('pool', id),
    name: POOL_NAME,
    full_name: POOL_NAME,
    search_name: POOL_NAME,
    capacity: space.totalBytes,
    usage: space.totalBytes - space.freeBytes,
    free_space: space.freeBytes,
    vol_count: volumes.length,
    vol_list: members.length === 0 ? null : members,
    array_list: [{ id: array, array_id: array, name, array_name: name }],
  };
  return row;
}
