/** Volumes have no policies for their performance; clients look for the predefined one. */
import { toWire } from './ids.ts';
import type { Row } from './lists.ts';
import type { ObjectSet } from './object-sets.ts';

export const PERFORMANCE_POLICY = 'default';

const constants = {
  name: PERFORMANCE_POLICY,
  full_name: PERFORMANCE_POLICY,
  search_name: PERFORMANCE_POLICY,
  description: '',
  block_size: 4096,
  compress: false,
  cache: false,
  cache_policy: 'normal',
  space_policy: 'offline',
  app_category: 'Other',
  dedupe_enabled: false,
  deprecated: false,
  predefined: true,
  creation_time: 0,
  last_modified: 0,
} as const satisfies Row;

export const performancePolicies: ObjectSet = {
  name: 'performance_policies',
  attributes: ['id', 'volume_count', ...Object.keys(constants)],
  brief: ['id', 'name'],
  rows: async ({ app }) => {
    const { id } = await app.showSite();
    const volumes = await app.listVolumes();
    return [{ ...constants, id: toWire('performance_policy', id), volume_count: volumes.length }];
  },
};
