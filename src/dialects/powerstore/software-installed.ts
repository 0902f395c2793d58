/** The release whose API this is: clients choose by it what they ask for. */
import { APPLIANCE_ID } from './ids.ts';
import { asToken } from './l10n.ts';
import { resourceType } from './resource-types.ts';
import type { Resource } from './routes.ts';

export const RELEASE = '4.1.0.0';
const BUILD = `${RELEASE}.1`;

/** The row of the cluster comes first: clients look at no other. */
const rows = [
  { id: '3f1a5c60-0000-4000-8000-000000000000', isCluster: true, appliances: [] },
  { id: '3f1a5c60-0000-4000-8000-000000000001', isCluster: false, appliances: [APPLIANCE_ID] },
];

export const softwareInstalled: Resource = {
  type: resourceType({
    name: 'software_installed',
    attributes: [
      'id',
      'is_cluster',
      'release_version',
      'build_version',
      'release_timestamp',
      'installed_date',
      'build_flavor',
      'build_type',
      'build_id',
    ],
    texts: { build_flavor: asToken, build_type: asToken },
    links: { appliance: 'appliance' },
    rows: () =>
      Promise.resolve(
        rows.map(({ id, isCluster, appliances: [appliance = null] }) => ({
          attributes: {
            id,
            is_cluster: isCluster,
            release_version: RELEASE,
            build_version: BUILD,
            release_timestamp: null,
            installed_date: null,
            build_flavor: null,
            build_type: null,
            build_id: null,
          },
          links: { appliance },
        })),
      ),
  }),
};
