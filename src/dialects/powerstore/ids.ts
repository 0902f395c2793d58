/**
 * Ids on the wire: our UUIDs are the vendor's. A snapshot of one volume and a mapping have no id of
 * their own here, so theirs is made of the two that they join and can be taken apart again:
 *
 *   snapshot of volume v in recovery point p    p ⊕ v
 *   mapping of volume v to host h               h ⊕ v
 */
import type { HostId, PointId, SiteId, VolumeId } from '../../domain/ids.ts';

export const CLUSTER_ID = '0';
export const APPLIANCE_ID = 'A1';
export const DEFAULT_PERFORMANCE_POLICY = 'default_medium';

/** Digit by digit, so that either half gives the other back. */
export function joined(one: PointId | HostId, other: VolumeId): string {
  return one.replaceAll(/[0-9a-f]/g, (digit, index: number) =>
    (Number.parseInt(digit, 16) ^ Number.parseInt(other.charAt(index), 16)).toString(16),
  );
}

export function wwnOf(volumeId: VolumeId): string {
  return `naa.68ccf098${volumeId.replaceAll('-', '').slice(0, 24)}`;
}

export function nguidOf(volumeId: VolumeId): string {
  return `nguid.${volumeId.replaceAll('-', '')}`;
}

/** How clients recognize a system: the same at both sites. */
export function globalIdOf(siteId: SiteId): string {
  return `PS${siteId.replaceAll('-', '').slice(0, 12)}`;
}

const byName = /^name:(?<name>.*)$/s;

/** `name:X` names a thing by its name wherever an id may stand. */
export function nameIn(reference: string): string | undefined {
  return byName.exec(reference)?.groups?.['name'];
}
