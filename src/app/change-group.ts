import { MAX_VOLUMES_PER_GROUP } from '../domain/group.ts';
import type { Group } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import type { GroupId, SagaId, VolumeId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { requireHolder } from '../domain/ownership.ts';
import { refuse } from '../domain/refusal.ts';
import type { Transaction } from '../ports/store.ts';
import { deleteGroup as deleteSaga, moveVolume } from '../sagas/members.ts';
import { sessionOf } from '../sagas/offer.ts';
import { lockGroup } from '../sagas/operation.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { insertGroup, insertImplicitGroup } from './create-volume.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

/**
 * Makes an empty group.
 *
 * @throws Refusal `invalid`, `already_exists`
 */
export function createGroup(
  { store, clock, here }: Deps,
  { name }: { readonly name: string },
): Promise<Group> {
  checkName(name);
  return store.transaction((tx) =>
    insertGroup(tx, { name, implicit: false, hosts: [] }, here, clock.now()),
  );
}

/**
 * Moves a lone volume into a group while its hosts run; they reconnect at the group's address.
 * In a protected group it travels whole with the next cycle.
 *
 * @throws Refusal `not_found`, `not_holder`, `operation_running`, `limit_reached`, `in_use` when
 *   the volume is in another group or has a session of its own, `unsupported` when hosts may
 *   attach it that may not attach the group: one data plane has one list of hosts
 */
export function addVolume(
  { store, clock, here }: Deps,
  { groupId, volumeId }: { readonly groupId: GroupId; readonly volumeId: VolumeId },
): Promise<Job> {
  return store.transaction(async (tx) => {
    const to = await tx.groups.need(groupId);
    const from = await tx.groups.need((await tx.volumes.need(volumeId)).groupId);
    requireHolder(to.id, to.ownership, here);
    requireHolder(from.id, from.ownership, here);
    if (!from.implicit)
      refuse({ code: 'in_use', what: 'volume', id: volumeId, by: `group ${from.name}` });
    if (to.implicit) refuse({ code: 'not_found', what: 'group', id: groupId });
    const session = await sessionOf(tx, from.id);
    if (session !== undefined) {
      refuse({
        code: 'in_use',
        what: 'volume',
        id: volumeId,
        by: `replication session ${session.id}`,
      });
    }
    if (to.volumeIds.length >= MAX_VOLUMES_PER_GROUP) {
      refuse({ code: 'limit_reached', what: 'volumes per group', limit: MAX_VOLUMES_PER_GROUP });
    }
    await joinHosts(tx, from, to);
    return startMove(tx, clock.now(), { volumeId, from: from.id, to: to.id });
  });
}

/**
 * Takes a volume out of its group, with its bytes, to stand alone with the same hosts.
 *
 * @throws Refusal `not_found`, `not_holder`, `operation_running`, `already_exists` when a group
 *   has the volume's name
 */
export function removeVolume(
  { store, clock, here }: Deps,
  { groupId, volumeId }: { readonly groupId: GroupId; readonly volumeId: VolumeId },
): Promise<Job> {
  return store.transaction(async (tx) => {
    const volume = await tx.volumes.need(volumeId);
    const from = await tx.groups.need(groupId);
    requireHolder(from.id, from.ownership, here);
    if (from.implicit || volume.groupId !== groupId) {
      refuse({ code: 'not_found', what: 'volume', id: volumeId });
    }
    const now = clock.now();
    const to = await insertImplicitGroup(tx, volume.name, here, now, from.hosts);
    return startMove(tx, now, { volumeId, from: from.id, to: to.id });
  });
}

/**
 * Deletes a group without volumes, or the copy of a group that no session feeds any more.
 *
 * @throws Refusal `in_use` while it has volumes of ours, or a session
 */
export function deleteGroup(
  { store, clock, here }: Deps,
  { groupId }: { readonly groupId: GroupId },
): Promise<Job> {
  return store.transaction(async (tx) => {
    const group = await tx.groups.need(groupId);
    const session = await sessionOf(tx, groupId);
    if (session !== undefined) {
      refuse({
        code: 'in_use',
        what: 'group',
        id: groupId,
        by: `replication session ${session.id}`,
      });
    }
    if (group.ownership.holder === here && group.volumeIds.length > 0) {
      refuse({
        code: 'in_use',
        what: 'group',
        id: groupId,
        by: `${group.volumeIds.length} volume(s)`,
      });
    }
    const sagaId = newId<SagaId>();
    await lockGroup(tx, groupId, sagaId);
    await startSaga(tx, deleteSaga, { groupId }, { sagaId, groupId, now: clock.now() });
    return { jobId: sagaId };
  });
}

async function joinHosts(tx: Transaction, from: Group, to: Group): Promise<void> {
  const strangers = from.hosts.filter((host) => !to.hosts.includes(host));
  if (strangers.length === 0) return;
  if (to.volumeIds.length > 0) {
    refuse({
      code: 'unsupported',
      what: `adding a volume of host ${strangers.join(', ')}`,
      why: `group ${to.name} is not mapped to it, and a group has one list of hosts; map the group first`,
    });
  }
  await tx.groups.change(to.id, (g) => ({ ...g, hosts: [...g.hosts, ...strangers] }));
}

async function startMove(
  tx: Transaction,
  now: number,
  move: { readonly volumeId: VolumeId; readonly from: GroupId; readonly to: GroupId },
): Promise<Job> {
  const sagaId = newId<SagaId>();
  await lockGroup(tx, move.from, sagaId);
  await lockGroup(tx, move.to, sagaId);
  await startSaga(tx, moveVolume, move, { sagaId, groupId: move.to, now });
  return { jobId: sagaId };
}
