import { newId } from '../domain/ids.ts';
import type { GroupId, SagaId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { advance } from '../domain/replication-session.ts';
import { needSession } from '../sagas/offer.ts';
import { lockGroup } from '../sagas/operation.ts';
import { reprotect } from '../sagas/reprotect.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';

/**
 * Replicates from the new holder, after a failover or a handover that did not reverse. The first
 * cycle moves what differs since the newest point that both sites have.
 *
 * @throws Refusal `not_protected`, `not_holder`, `wrong_state`, `operation_running`; the saga ends
 *   undone when the other site does not answer or the two have no point in common
 */
export function reprotectGroup(
  { store, clock, here }: Pick<AppPorts, 'store' | 'clock' | 'here'>,
  { groupId }: { readonly groupId: GroupId },
): Promise<Job> {
  return store.transaction(async (tx) => {
    const session = await needSession(tx, groupId);
    requireHolder(groupId, (await tx.groups.need(groupId)).ownership, here);
    const now = clock.now();
    const moved = advance(session, 'reprotect', now);
    const sagaId = newId<SagaId>();
    await lockGroup(tx, groupId, sagaId);
    await tx.sessions.change(session.id, () => moved);
    const input = { sessionId: session.id, groupId, peerId: session.peerId };
    await startSaga(tx, reprotect, input, { sagaId, groupId, now });
    return { jobId: sagaId };
  });
}
