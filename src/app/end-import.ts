import { beginRollback, closeWindow } from '../domain/import-rollback.ts';
import { advanceImport } from '../domain/import-session.ts';
import type { ImportEvent, ImportSession } from '../domain/import-session.ts';
import { newId } from '../domain/ids.ts';
import type { GroupId, ImportId, SagaId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { Transaction } from '../ports/store.ts';
import {
  cancelImport as cancelSaga,
  cutOverImport as cutOverSaga,
  forgetImport,
} from '../sagas/imports.ts';
import type { CancelImport } from '../sagas/imports.ts';
import { lockGroup } from '../sagas/operation.ts';
import { rollBackImport as rollBackSaga } from '../sagas/roll-back-import.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock'>;

interface ById {
  readonly importId: ImportId;
}

/**
 * Makes our copies the volumes, at one instant, without a host's noticing more than a pause. When
 * the copies turn out not to be in step, the session says why and copies on.
 *
 * @throws Refusal `not_found`, `wrong_state`
 */
export function cutOverImport({ store, clock }: Deps, { importId }: ById): Promise<Job> {
  return store.transaction((tx) => startCutOver(tx, importId, clock.now()));
}

export async function startCutOver(tx: Transaction, importId: ImportId, now: number): Promise<Job> {
  const { jobId, groupId } = await begin(tx, importId, 'cut_over', now);
  await startSaga(tx, cutOverSaga, { importId, groupId }, { sagaId: jobId, groupId, now });
  return { jobId };
}

/**
 * Takes hosts back to the source after the cut-over, with every write that they got an answer for.
 *
 * @throws Refusal `not_found`, `wrong_state`, `unsupported` where the source is not kept current or
 *   its term is over, `busy` while it is not in step
 */
export function rollBackImport({ store, clock }: Deps, { importId }: ById): Promise<Job> {
  return store.transaction(async (tx) => {
    const now = clock.now();
    const { groupId } = await tx.imports.change(importId, (s) => beginRollback(s, now));
    const jobId = newId<SagaId>();
    await lockGroup(tx, groupId, jobId, importId);
    await startSaga(tx, rollBackSaga, { importId, groupId }, { sagaId: jobId, groupId, now });
    return { jobId };
  });
}

/**
 * Lets the source go before its term; the import watch does it.
 *
 * @throws Refusal `not_found`, `unsupported` where the source is not kept current
 */
export function finishImport({ store, clock }: Deps, { importId }: ById): Promise<ImportSession> {
  return store.transaction((tx) => tx.imports.change(importId, (s) => closeWindow(s, clock.now())));
}

/**
 * Ends an import before its cut-over: hosts go on with the source, our copy is removed.
 *
 * @param force although the source or a host does not answer: hosts are disconnected, nothing is
 *   rolled back, and the session says in what state both were left
 * @throws Refusal `not_found`, `wrong_state`
 */
export function cancelImport(
  { store, clock }: Deps,
  { importId, force }: ById & { readonly force: boolean },
): Promise<Job> {
  return store.transaction((tx) => startCancel(tx, { importId, force }, clock.now()));
}

/**
 * Tries again to take away what a forced cancel left.
 *
 * @throws Refusal `not_found`, `wrong_state` unless it is `cleanup_required`
 */
export function cleanUpImport({ store, clock }: Deps, { importId }: ById): Promise<Job> {
  return store.transaction(async (tx) => {
    const { id, state } = await tx.imports.need(importId);
    if (state !== 'cleanup_required') {
      const [what, event] = ['import_session', 'clean_up'] as const;
      refuse({ code: 'wrong_state', what, id, state, event, allowedIn: ['cleanup_required'] });
    }
    return startCancel(tx, { importId, force: true, isCleanUp: true }, clock.now());
  });
}

async function startCancel(
  tx: Transaction,
  how: Omit<CancelImport, 'groupId'>,
  now: number,
): Promise<Job> {
  const { jobId, groupId } = await begin(tx, how.importId, 'cancel', now);
  const options = { sagaId: jobId, groupId, now };
  await startSaga(tx, cancelSaga, { ...how, groupId }, options);
  return { jobId };
}

/**
 * Removes the record of an import that has ended. Of a cancelled one that hosts go on with, the
 * way to the source closes, too.
 *
 * @throws Refusal `not_found`, `wrong_state`, `in_use` while hosts may attach the source through it,
 *   or go back to it
 */
export function deleteImport({ store, clock }: Deps, { importId }: ById): Promise<Job> {
  return store.transaction(async (tx) => {
    const session = await tx.imports.need(importId);
    const now = clock.now();
    advanceImport(session, 'delete', now);
    const { groupId, name, rollback } = session;
    if (rollback !== undefined) {
      const by = 'the way back to its source; finish it first';
      refuse({ code: 'in_use', what: 'import_session', id: name, by });
    }
    const group = await tx.groups.get(groupId);
    const isOpen = group?.importing === importId;
    if (isOpen && group.hosts.length > 0) {
      const by = `host ${group.hosts.join(', ')}, which may attach the source through it`;
      refuse({ code: 'in_use', what: 'import_session', id: name, by });
    }
    const sagaId = newId<SagaId>();
    if (isOpen) await lockGroup(tx, groupId, sagaId, importId);
    await startSaga(tx, forgetImport, { importId, groupId }, { sagaId, groupId, now });
    return { jobId: sagaId };
  });
}

async function begin(
  tx: Transaction,
  importId: ImportId,
  event: ImportEvent,
  now: number,
): Promise<Job & { readonly groupId: GroupId }> {
  const { groupId } = await tx.imports.change(importId, (s) => advanceImport(s, event, now));
  const jobId = newId<SagaId>();
  await lockGroup(tx, groupId, jobId, importId);
  return { jobId, groupId };
}
