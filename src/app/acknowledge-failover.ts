import type { Group } from '../domain/group.ts';
import type { GroupId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import type { AppPorts } from './app-ports.ts';

/**
 * Somebody has seen that the group was taken by force. Both sites stop showing it; the epoch stays.
 *
 * @throws Refusal `not_found`, `not_holder` — the holder's word is the one that counts
 */
export function acknowledgeFailover(
  { store, here }: Pick<AppPorts, 'store' | 'here'>,
  { groupId }: { readonly groupId: GroupId },
): Promise<Group> {
  return store.transaction(async (tx) => {
    requireHolder(groupId, (await tx.groups.need(groupId)).ownership, here);
    return tx.groups.change(groupId, (g) => ({
      ...g,
      ownership: { ...g.ownership, forced: false },
    }));
  });
}
