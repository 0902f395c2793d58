import type { Copy } from '../domain/copy.ts';
import { newId } from '../domain/ids.ts';
import type { CopyId, ForkId, Instant, SagaId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { Transaction } from '../ports/store.ts';
import { closeCopy, runningOnCopy } from '../sagas/copies.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock'>;

/**
 * Ends a copy. What was written on it goes, or with `keep` becomes a fork. A repeat while it ends is
 * the same job.
 *
 * @throws Refusal `not_found`, `unsupported` (nothing can have been written), `busy` while it opens
 */
export function discardCopy(
  { store, clock }: Deps,
  { copyId, keep = false }: { readonly copyId: CopyId; readonly keep?: boolean | undefined },
): Promise<Job> {
  return store.transaction(async (tx) => {
    const copy = await tx.copies.need(copyId);
    return startClosing(tx, copy, keep ? newId<ForkId>() : undefined, clock.now());
  });
}

/** Has a copy closed, in the caller's transaction. */
export async function startClosing(
  tx: Transaction,
  copy: Copy,
  keptForkId: ForkId | undefined,
  now: Instant,
): Promise<Job> {
  const { id: copyId, groupId, name, writable, state } = copy;
  const running = await runningOnCopy(tx, { copyId, groupId });
  if (state === 'closing' && running !== undefined) return { jobId: running };
  if (state === 'opening') refuse({ code: 'busy', groupId, doing: `copy ${name} opens` });
  if (keptForkId !== undefined && !writable) {
    const why = 'it is read-only, so there is nothing to keep';
    refuse({ code: 'unsupported', what: `keeping copy ${name}`, why });
  }
  const sagaId = newId<SagaId>();
  await tx.copies.change(copyId, (c) => ({ ...c, state: 'closing' }));
  await startSaga(tx, closeCopy, { copyId, groupId, keptForkId }, { sagaId, groupId, now });
  return { jobId: sagaId };
}
