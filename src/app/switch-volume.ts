import type { GroupId, VolumeId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { refuse } from '../domain/refusal.ts';
import { fenceGroup, openGroup, refuseWhileOperated } from '../sagas/operation.ts';
import type { AppPorts } from './app-ports.ts';

/**
 * Takes a volume offline, so that no host can attach it until it is put online again, or a change
 * of holder does. A repeat changes nothing but makes sure.
 *
 * @throws Refusal `not_found`, `not_holder`, `operation_running`, and `unsupported` when it shares a
 *   group with others: they are served together
 */
export async function switchVolume(
  ports: Pick<AppPorts, 'store' | 'engine' | 'here' | 'gate' | 'clock'>,
  { volumeId, online }: { readonly volumeId: VolumeId; readonly online: boolean },
): Promise<void> {
  const groupId = await ports.store.transaction(async (tx): Promise<GroupId> => {
    const volume = await tx.volumes.need(volumeId);
    const group = await tx.groups.need(volume.groupId);
    requireHolder(group.id, group.ownership, ports.here);
    if (group.volumeIds.length > 1) {
      refuse({
        code: 'unsupported',
        what: `switching volume ${volume.name} alone`,
        why: `it is served together with the other volumes of group ${group.name}; take it out first`,
      });
    }
    await refuseWhileOperated(tx, group);
    await tx.groups.change(group.id, (g) => ({ ...g, offline: !online }));
    return group.id;
  });
  // The supervisor would do it, too, at its next look.
  if (online) await openGroup(ports, groupId);
  else await fenceGroup(ports, groupId);
}
