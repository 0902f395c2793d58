import type { CopyOf } from '../domain/copy.ts';
import { newId } from '../domain/ids.ts';
import type { CopyId, GroupId, SagaId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { refuse } from '../domain/refusal.ts';
import { refreshCopy } from '../sagas/copies.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { needShown, startCopy } from './open-copy.ts';
import type { CopyJob } from './open-copy.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

export interface CloneGroup {
  readonly groupId: GroupId;
  readonly name: string;
  /** Absent: the newest complete point. */
  readonly of?: CopyOf | undefined;
  /** A read-only one is mounted as it was; a writable one takes writes of its own. */
  readonly writable: boolean;
  /** Absent: the group's. */
  readonly hosts?: readonly string[] | undefined;
  /** Absent: until somebody discards it. */
  readonly termSeconds?: number | undefined;
}

/**
 * Opens a point or a fork of a group beside it, at either site. The group goes on as if there were
 * none; the point or fork stays until the copy is discarded.
 *
 * @throws Refusal `not_found`, `point_missing`, `in_use` (a fork of another site), `already_exists`,
 *   `limit_reached`, `invalid`, `wrong_state` (there is no point yet)
 */
export function cloneGroup({ store, clock, here }: Deps, request: CloneGroup): Promise<CopyJob> {
  const { groupId, name, of, writable, hosts, termSeconds } = request;
  checkName(name);
  return store.transaction(async (tx) => {
    await tx.groups.need(groupId);
    const shown = await needShown(tx, groupId, of, here);
    const purpose = writable ? 'clone' : 'mount';
    const copy = { groupId, name, purpose, shown, writable, hosts, termSeconds } as const;
    return startCopy(tx, copy, clock.now());
  });
}

/**
 * Makes a clone or a mount show another point or fork of its group, the newest point unless told. What
 * was written on it goes; its hosts attach again.
 *
 * @throws Refusal `not_found`, `point_missing`, `busy`, `in_use` — a failover test is stopped and
 *   started instead
 */
export function refreshClone(
  { store, clock, here }: Deps,
  { copyId, of }: { readonly copyId: CopyId; readonly of?: CopyOf | undefined },
): Promise<Job> {
  return store.transaction(async (tx) => {
    const { groupId, name, state, purpose } = await tx.copies.need(copyId);
    if (purpose === 'failover_test') {
      refuse({
        code: 'in_use',
        what: 'copy',
        id: name,
        by: 'a failover test; stop it and start another',
      });
    }
    if (state !== 'open') refuse({ code: 'busy', groupId, doing: `copy ${name} is ${state}` });
    const shown = await needShown(tx, groupId, of, here);
    const sagaId = newId<SagaId>();
    const now = clock.now();
    await tx.copies.change(copyId, (c) => ({ ...c, state: 'opening' }));
    await startSaga(tx, refreshCopy, { copyId, groupId, ...shown }, { sagaId, groupId, now });
    return { jobId: sagaId };
  });
}
