/** Which host may attach which volume: a group's hosts may attach all of its volumes. */
import type { VolumeView } from '../../app/views.ts';
import type { Host } from '../../domain/host.ts';
import { joined } from './ids.ts';

export interface Mapping {
  readonly id: string;
  readonly host: Host;
}

export function mappingsOf({ id, group }: VolumeView, hosts: readonly Host[]): readonly Mapping[] {
  return hosts
    .filter(({ name }) => group.hosts.includes(name))
    .map((host) => ({ id: joined(host.id, id), host }));
}
