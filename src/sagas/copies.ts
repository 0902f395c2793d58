/**
 * Copies of what a group was: failover tests, clones, mounted forks. The group is not locked by any
 * of these: its cycles go on beneath, and the copy's row keeps retention away from its point.
 */
import { historyOfCopy } from '../domain/copy.ts';
import type { Copy } from '../domain/copy.ts';
import { newId } from '../domain/ids.ts';
import type { CopyId, ForkId, GroupId, HistoryId, SagaId } from '../domain/ids.ts';
import { hasEnded } from '../domain/saga-record.ts';
import type { Transaction } from '../ports/store.ts';
import { newFork } from './forks.ts';
import { sessionOf } from './offer.ts';
import { ignoringRefusals } from './operation.ts';
import { saga } from './saga.ts';
import type { SagaPorts } from './saga.ts';

export interface OpenCopy {
  readonly copyId: CopyId;
  readonly groupId: GroupId;
}

/** The row is there when it starts, as `opening`. */
export const openCopy = saga<OpenCopy>('open-copy')
  .ifUndone((tx, { copyId }) => tx.copies.remove(copyId))
  .step('open', {
    do: (ports, { copyId }) => open(ports, copyId),
    undo: ({ engine }, { groupId, copyId }) => engine.discardCopy(groupId, copyId),
  })
  .commit('record', async (tx, { copyId }) => {
    await tx.copies.change(copyId, (c) => ({ ...c, state: 'open' }));
  });

export interface RefreshCopy extends OpenCopy {
  readonly of: Copy['of'];
  readonly basePointId: Copy['basePointId'];
}

/** What was written on the copy goes; it shows something else from now on, to the same hosts. */
export const refreshCopy = saga<RefreshCopy>('refresh-copy')
  .pointOfNoReturn(async (tx, { copyId, of, basePointId }) => {
    await tx.copies.change(copyId, (c) => {
      const history = newId<HistoryId>();
      return { ...c, of, basePointId, history, state: 'opening' };
    });
  })
  .step('discard', { do: ({ engine }, { groupId, copyId }) => engine.discardCopy(groupId, copyId) })
  .step('open', { do: (ports, { copyId }) => open(ports, copyId) })
  .commit('record', async (tx, { copyId }) => {
    await tx.copies.change(copyId, (c) => ({ ...c, state: 'open' }));
  });

export interface CloseCopy extends OpenCopy {
  /** What was written becomes this fork; absent: it goes with the copy. */
  readonly keptForkId: ForkId | undefined;
}

export const closeCopy = saga<CloseCopy>('close-copy')
  .pointOfNoReturn(async (tx, { copyId }) => {
    await tx.copies.change(copyId, (c) => ({ ...c, state: 'closing' }));
  })
  .step('close', {
    do: async ({ engine }, { groupId, copyId, keptForkId }) => {
      if (keptForkId !== undefined) return engine.keepCopy(groupId, copyId, keptForkId);
      await engine.discardCopy(groupId, copyId);
      return undefined;
    },
  })
  .commit('forget', async (tx, { copyId, groupId }, { close: kept }, { here, now }) => {
    await tx.copies.remove(copyId);
    if (kept === undefined) return undefined;
    const { name } = await tx.groups.need(groupId);
    const { forkId } = kept;
    return tx.forks.insert(
      newFork({ forkId, groupId, name, here, origin: 'failover_test', now }, kept),
    );
  })
  .step('tell', {
    do: async ({ store, peer }, { groupId }, { forget: fork }) => {
      const session = await store.read((tx) => sessionOf(tx, groupId));
      if (fork === undefined || session === undefined) return;
      // Where it does not hear of it, it does not list it; the bytes are here.
      await ignoringRefusals(peer.noteFork(session.peerId, fork));
    },
  });

/** What opens or closes a copy now. */
export async function runningOnCopy(
  tx: Transaction,
  { copyId, groupId }: OpenCopy,
): Promise<SagaId | undefined> {
  const sagas = await tx.sagas.where({ groupId });
  return sagas.find(
    (saga) =>
      !hasEnded(saga) &&
      [openCopy.kind, closeCopy.kind].includes(saga.kind) &&
      (saga.input as OpenCopy).copyId === copyId,
  )?.id;
}

async function open({ store, engine }: SagaPorts, copyId: CopyId): Promise<void> {
  const copy = await store.read((tx) => tx.copies.need(copyId));
  const { groupId, of, writable, hosts } = copy;
  const access = { hosts, history: historyOfCopy(copy) };
  await engine.openCopy({ groupId, copyId, of, writable, access });
}
