import type { GroupId, VolumeId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { AppPorts } from './app-ports.ts';

export interface LoneVolume {
  readonly volumeId: VolumeId;
  /** What is wanted of it alone, as a gerund: `mapping a host to`. */
  readonly wanted: string;
}

/**
 * The group of one of a volume that stands alone: what is asked of the volume is asked of it.
 *
 * @throws Refusal `not_found`, `unsupported` when the volume shares a group with others: they have
 *   one data plane, which has one list of hosts and one session
 */
export function groupOfLoneVolume(
  { store }: Pick<AppPorts, 'store'>,
  { volumeId, wanted }: LoneVolume,
): Promise<GroupId> {
  return store.read(async (tx) => {
    const volume = await tx.volumes.need(volumeId);
    const group = await tx.groups.need(volume.groupId);
    if (group.implicit) return group.id;
    return refuse({
      code: 'unsupported',
      what: `${wanted} volume ${volume.name} alone`,
      why: `it is in group ${group.name}, whose volumes share their hosts and their replication; ask the group`,
    });
  });
}
