/** What a token's bearer may reach: this site's two services, in one region. */
import { derivedId, PROJECT_ID, withoutDashes } from './ids.ts';
import type { DialectUrls } from './options.ts';

export const REGION = 'RegionOne';

const interfaces = ['public', 'internal', 'admin'] as const;

/** The same service under each of the names that clients look for. */
export function catalogOf({ identity, evs }: DialectUrls): readonly unknown[] {
  const services = [
    ['identity', 'keystone', identity],
    ['volumev3', 'cinderv3', `${evs}/v3/${PROJECT_ID}`],
    ['block-storage', 'cinder', `${evs}/v3/${PROJECT_ID}`],
    ['volumev2', 'cinderv2', `${evs}/v2/${PROJECT_ID}`],
  ] as const;
  return services.map(([type, name, url]) => ({
    id: idFor('service', type),
    type,
    name,
    endpoints: interfaces.map((one) => ({
      id: idFor('endpoint', type, one),
      interface: one,
      region: REGION,
      region_id: REGION,
      url,
    })),
  }));
}

function idFor(kind: string, ...parts: readonly string[]): string {
  return withoutDashes(derivedId(kind, ...parts));
}
