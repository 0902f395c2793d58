import type { GroupId, SagaId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { Group } from '../domain/group.ts';
import type { Transaction } from '../ports/store.ts';
import type { SagaPorts, StepControl } from './saga.ts';
import { sessionOf } from './offer.ts';

/**
 * Makes the saga the one operation that may change the group now. Cycles may end, none begins.
 *
 * @throws Refusal `operation_running` naming the one that is
 */
export async function lockGroup(tx: Transaction, groupId: GroupId, sagaId: SagaId): Promise<Group> {
  const group = await tx.groups.need(groupId);
  if (group.operation !== undefined && group.operation !== sagaId) {
    const kind = (await tx.sagas.get(group.operation))?.kind ?? 'operation of the other site';
    refuse({ code: 'operation_running', groupId, sagaId: group.operation, kind });
  }
  return tx.groups.change(groupId, (g) => ({ ...g, operation: sagaId }));
}

/** Does nothing when another operation holds the group, or when it is gone. */
export async function unlockGroup(
  tx: Transaction,
  groupId: GroupId,
  sagaId: SagaId,
): Promise<void> {
  const group = await tx.groups.get(groupId);
  if (group?.operation !== sagaId) return;
  await tx.groups.change(groupId, (g) => ({ ...g, operation: undefined }));
}

/** Waits for the cycle that was running when the group was locked. */
export async function settleCycle(
  { store }: Pick<SagaPorts, 'store'>,
  groupId: GroupId,
  { ended }: Pick<StepControl, 'ended'>,
): Promise<void> {
  const session = await store.read((tx) => sessionOf(tx, groupId));
  if (session?.cycle !== undefined) await ended(session.cycle.sagaId);
}

/** Opens the group to its hosts as the store has them now; does nothing where it is not held. */
export async function serveGroup(
  { store, engine, here }: Pick<SagaPorts, 'store' | 'engine' | 'here'>,
  groupId: GroupId,
): Promise<void> {
  const { hosts, ownership } = await store.read((tx) => tx.groups.need(groupId));
  if (ownership.holder === here) await engine.serve(groupId, { hosts });
}

/** Serves a group that this site holds, on the point where its present begins. */
export async function openGroup(
  ports: Pick<SagaPorts, 'store' | 'engine' | 'here'>,
  groupId: GroupId,
): Promise<void> {
  const { standsOn } = await ports.store.read((tx) => tx.groups.need(groupId));
  if (standsOn !== undefined && !(await ports.engine.inspect(groupId)).hasPresent) {
    await ports.engine.promote(groupId, standsOn);
  }
  await serveGroup(ports, groupId);
}
