import type { GroupId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { advance } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import { needSession } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';

/**
 * Replicates from the new holder after a handover that did not reverse. The next cycle starts at
 * the last common point.
 *
 * @throws Refusal `not_protected`, `not_holder`, `wrong_state`
 */
export function reprotectGroup(
  { store, clock, here }: Pick<AppPorts, 'store' | 'clock' | 'here'>,
  { groupId }: { readonly groupId: GroupId },
): Promise<ReplicationSession> {
  return store.transaction(async (tx) => {
    const session = await needSession(tx, groupId);
    requireHolder(groupId, (await tx.groups.need(groupId)).ownership, here);
    return tx.sessions.change(session.id, (s) => advance(s, 'reprotect', clock.now()));
  });
}
