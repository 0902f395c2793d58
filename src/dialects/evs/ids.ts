/**
 * Ids on the wire. Volumes, groups and pairs have the UUIDs that they have everywhere. What only
 * this API wants an id for gets one that follows from what it belongs to, the same at both sites.
 */
import { createHash } from 'node:crypto';
import { isId } from '../../domain/ids.ts';
import type { GroupId, PairId, SiteId, VolumeId } from '../../domain/ids.ts';

/** An id of this API's own. */
export function derivedId(kind: string, ...parts: readonly string[]): string {
  const hex = createHash('sha256')
    .update([kind, ...parts].join('\n'))
    .digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  const groups = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`];
  return [...groups, `${variant}${hex.slice(18, 20)}`, hex.slice(20, 32)].join('-');
}

/** Keystone's own ids have no dashes. */
export function withoutDashes(id: string): string {
  return id.replaceAll('-', '');
}

/** All that two sites hold is one project, at either of them. */
export const PROJECT_ID = withoutDashes(derivedId('project', 'baton'));

/** The disk by which hosts know a volume's copy where no disk of that site was paired with it. */
export function copyDiskId(volumeId: VolumeId, siteId: SiteId): VolumeId {
  return derivedId('copy', volumeId, siteId) as VolumeId;
}

/** The pair of a volume that is replicated without having been paired in this API. */
export function copyPairId(volumeId: VolumeId): PairId {
  return derivedId('pair', volumeId) as PairId;
}

/** Whether a text of a path or body can be an id of ours at all. */
export function idIn<T extends VolumeId | GroupId | PairId>(text: string): T | undefined {
  const id = text.toLowerCase();
  return isId(id) ? (id as T) : undefined;
}
