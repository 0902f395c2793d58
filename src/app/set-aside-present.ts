import { newId } from '../domain/ids.ts';
import type { ForkId, GroupId, PointId, SagaId } from '../domain/ids.ts';
import { sessionOf } from '../sagas/offer.ts';
import { lockGroup } from '../sagas/operation.ts';
import { startSaga } from '../sagas/saga.ts';
import { setAside } from '../sagas/set-aside.ts';
import type { AppPorts } from './app-ports.ts';

/** After an attempt that did not work, the next one waits for this long. */
const RETRY_MS = 10_000;

/**
 * Begins to put aside what this site's hosts wrote before it learned that the group is another
 * site's. Does nothing while an operation runs, or right after an attempt.
 */
export function setAsidePresent(
  { store, clock, here }: Pick<AppPorts, 'store' | 'clock' | 'here'>,
  { groupId }: { readonly groupId: GroupId },
): Promise<void> {
  return store.transaction(async (tx) => {
    const group = await tx.groups.get(groupId);
    const session = await sessionOf(tx, groupId);
    if (group === undefined || session === undefined || group.ownership.holder === here) return;
    if (group.operation !== undefined) return;
    const now = clock.now();
    const attempts = await tx.sagas.where({ groupId, kind: setAside.kind });
    const sinceMs = now - (attempts.at(-1)?.endedAt ?? 0);
    // Before zero the clock was set back meanwhile.
    if (sinceMs >= 0 && sinceMs < RETRY_MS) return;
    const sagaId = newId<SagaId>();
    await lockGroup(tx, groupId, sagaId);
    const input = {
      sessionId: session.id,
      groupId,
      peerId: session.peerId,
      forkId: newId<ForkId>(),
      pointId: newId<PointId>(),
    };
    await startSaga(tx, setAside, input, { sagaId, groupId, now });
  });
}
