import type { ConditionFact } from '../domain/data-condition.ts';
import type { GroupId, ImportId, Instant, SagaId } from '../domain/ids.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import type { ReasonCode } from '../domain/refusal.ts';
import { refuseWhileProvisional } from '../domain/failover-window.ts';
import { mayServe } from '../domain/group.ts';
import type { Group } from '../domain/group.ts';
import { newest } from '../domain/recovery-point.ts';
import { isHeldBack, withFact } from '../domain/synchrony.ts';
import type { Transaction } from '../ports/store.ts';
import type { SagaPorts, StepControl } from './saga.ts';
import { sessionOf } from './offer.ts';

/**
 * Makes the saga the one operation that may change the group now. Cycles may end, none begins.
 *
 * @param importId of the import that asks, for a group that one makes
 * @throws Refusal `operation_running` naming the one that is, `in_use` by the group's import or by a
 *   failover that is provisional
 */
export async function lockGroup(
  tx: Transaction,
  groupId: GroupId,
  sagaId: SagaId,
  importId?: ImportId,
): Promise<Group> {
  const group = await tx.groups.need(groupId);
  if (group.operation === sagaId) return group;
  await requireFree(tx, group, importId);
  return tx.groups.change(groupId, (g) => ({ ...g, operation: sagaId }));
}

/** @throws Refusal of `lockGroup`, which would refuse the group now */
export async function requireFree(
  tx: Transaction,
  group: Group,
  importId?: ImportId,
): Promise<void> {
  if (group.importing !== undefined && group.importing !== importId) {
    const { name } = await tx.imports.need(group.importing);
    refuse({ code: 'in_use', what: 'group', id: group.name, by: `import ${name}` });
  }
  await refuseWhileOperated(tx, group);
  refuseWhileProvisional(group);
}

/** @throws Refusal `operation_running` naming the operation that has the group now */
export async function refuseWhileOperated(
  tx: Transaction,
  { id: groupId, operation: sagaId }: Group,
): Promise<void> {
  if (sagaId === undefined) return;
  const kind = (await tx.sagas.get(sagaId))?.kind ?? 'operation of the other site';
  refuse({ code: 'operation_running', groupId, sagaId, kind });
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

/**
 * The same for whoever is about to change the group's volumes: a mirror does not outlive that. It is
 * said first that the copies part, and done then.
 */
export async function settleReplication(
  ports: Pick<SagaPorts, 'store' | 'clock' | 'engine'>,
  groupId: GroupId,
  control: Pick<StepControl, 'ended'>,
): Promise<void> {
  const { store, clock, engine } = ports;
  await settleCycle(ports, groupId, control);
  const now = clock.now();
  await store.transaction((tx) => noteOfMirror(tx, groupId, 'ended', 'its volumes change', now));
  await engine.stopMirror(groupId);
}

/** What a saga knows of the session's mirror. Does nothing for an asynchronous one. */
export async function noteOfMirror(
  tx: Transaction,
  groupId: GroupId,
  fact: ConditionFact,
  why: string,
  at: Instant,
): Promise<void> {
  const session = await sessionOf(tx, groupId);
  if (session?.sync === undefined) return;
  const newestSequence = newest(await tx.points.where({ groupId }))?.sequence ?? 0;
  await tx.sessions.change(session.id, (s) => withFact(s, fact, { why, at, newestSequence }));
}

/** Hosts that come in where the mirror died with its data plane write here alone: it is said before. */
async function sayParted({ store, engine, clock }: Doors, groupId: GroupId): Promise<void> {
  const session = await store.read((tx) => sessionOf(tx, groupId));
  if (session?.sync === undefined || session.sync.condition.state === 'catching_up') return;
  const mirror = await engine.inspectMirror(groupId);
  if (mirror !== undefined && mirror.state !== 'failed') return;
  const why = mirror?.why ?? 'the mirror is gone';
  await store.transaction((tx) => noteOfMirror(tx, groupId, 'broken', why, clock.now()));
}

type Doors = Pick<SagaPorts, 'store' | 'engine' | 'here' | 'gate' | 'clock'>;

/**
 * Opens the group to its hosts as the store has them now; does nothing where this site may not
 * serve it: another one holds it, or an operation has closed it.
 */
export function serveGroup(ports: Doors, groupId: GroupId): Promise<void> {
  return open(ports, groupId, () => Promise.resolve());
}

/** The same, and where the group has no present yet it gets one, on the point where it begins. */
export function openGroup(ports: Doors, groupId: GroupId): Promise<void> {
  const { engine } = ports;
  return open(ports, groupId, async ({ standsOn, volumeIds }) => {
    if (standsOn === undefined || (await engine.inspect(groupId)).hasPresent) return;
    // A volume that has left the group since the point is somewhere else by now.
    await engine.promote(groupId, standsOn, volumeIds);
  });
}

/** Closes the group to every host. The store says before that nobody may open it. */
export function fenceGroup({ engine, gate }: Doors, groupId: GroupId): Promise<void> {
  return gate.through(groupId, () => engine.fence(groupId));
}

/** Nobody while the group's hosts are held back; the site itself can always read. */
async function admittedHosts(tx: Transaction, group: Group): Promise<readonly string[]> {
  const session = await sessionOf(tx, group.id);
  return session !== undefined && isHeldBack(session) ? [] : group.hosts;
}

function open(
  ports: Doors,
  groupId: GroupId,
  prepare: (group: Group) => Promise<void>,
): Promise<void> {
  const { store, engine, here, gate } = ports;
  return gate.through(groupId, async () => {
    const group = await store.read((tx) => tx.groups.need(groupId));
    if (!mayServe(group, here)) return;
    await prepare(group);
    await sayParted(ports, groupId);
    const hosts = await store.read((tx) => admittedHosts(tx, group));
    await engine.serve(groupId, { hosts, history: group.ownership.history.id });
  });
}

/** For what the other side may refuse or miss, because it finds out by itself. */
export async function ignoringRefusals(told: Promise<void>): Promise<void> {
  try {
    await told;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}

/** For what the other side does by itself when it does not hear of it. */
export async function ignoringSilence(told: Promise<void>): Promise<void> {
  try {
    await told;
  } catch (error) {
    if (!(error instanceof Refusal && error.reason.code === 'peer_unreachable')) throw error;
  }
}

/** Whether the other site says no for this reason, as when it has taken the group by itself. */
export async function isRefusedAs(call: Promise<void>, code: ReasonCode): Promise<boolean> {
  try {
    await call;
    return false;
  } catch (error) {
    if (error instanceof Refusal && error.reason.code === code) return true;
    throw error;
  }
}
