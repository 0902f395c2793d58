import { MAX_VOLUMES_PER_GROUP } from '../domain/group.ts';
import type { Group } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import type { GroupId, SagaId, SiteId, VolumeId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { requireHolder } from '../domain/ownership.ts';
import { refuse } from '../domain/refusal.ts';
import type { Transaction } from '../ports/store.ts';
import { deleteGroup as deleteSaga, moveVolumes } from '../sagas/members.ts';
import type { Move } from '../sagas/members.ts';
import { sessionOf } from '../sagas/offer.ts';
import { lockGroup } from '../sagas/operation.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { insertGroup, insertImplicitGroup, refuseTakenGroupName } from './create-volume.ts';
import { refuseStandIn } from './pair-volumes.ts';
import { refuseWhileCopied } from './copies.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

export interface CreateGroup {
  readonly name: string;
  readonly description?: string | undefined;
}

/**
 * Makes an empty group.
 *
 * @throws Refusal `invalid`, `already_exists`
 */
export function createGroup(
  { store, clock, here }: Deps,
  { name, description }: CreateGroup,
): Promise<Group> {
  checkName(name);
  return store.transaction((tx) =>
    insertGroup(tx, { name, description, implicit: false, hosts: [] }, here, clock.now()),
  );
}

/**
 * Makes a group of volumes that stand alone: all of them move into it, or it is not made.
 *
 * @throws Refusal of `createGroup`, of `changeMembers`
 */
export function createGroupOf(
  { store, clock, here }: Deps,
  { volumeIds, ...group }: CreateGroup & { readonly volumeIds: readonly VolumeId[] },
): Promise<Job & { readonly groupId: GroupId }> {
  checkName(group.name);
  return store.transaction(async (tx) => {
    const now = clock.now();
    const { id: groupId } = await insertGroup(
      tx,
      { ...group, implicit: false, hosts: [] },
      here,
      now,
    );
    const moves = await intoGroup(tx, here, groupId, volumeIds);
    return { groupId, ...(await startMove(tx, now, moves, groupId)) };
  });
}

export interface RenameGroup {
  readonly groupId: GroupId;
  readonly name?: string | undefined;
  readonly description?: string | undefined;
}

/**
 * Gives a group another name or description; the destination learns them with the next cycle.
 *
 * @throws Refusal `not_found`, `not_holder`, `invalid`, `already_exists`
 */
export function renameGroup(
  { store, here }: Pick<Deps, 'store' | 'here'>,
  { groupId, name, description }: RenameGroup,
): Promise<Group> {
  if (name !== undefined) checkName(name);
  return store.transaction(async (tx) => {
    const group = await tx.groups.need(groupId);
    requireHolder(groupId, group.ownership, here);
    if (group.implicit) refuse({ code: 'not_found', what: 'group', id: groupId });
    if (name !== undefined && name !== group.name) await refuseTakenGroupName(tx, name);
    return tx.groups.change(groupId, (g) => ({
      ...g,
      name: name ?? g.name,
      description: description ?? g.description,
    }));
  });
}

export interface ChangeMembers {
  readonly groupId: GroupId;
  readonly add: readonly VolumeId[];
  readonly remove: readonly VolumeId[];
}

/**
 * Moves lone volumes into a group, and volumes of the group out of it to stand alone with the same
 * hosts; all of them move, or none. Hosts run on and reconnect at the other address. In a
 * protected group what joins travels whole with the next cycle.
 *
 * @throws Refusal `not_found`, `not_holder`, `operation_running`, `limit_reached`, `in_use` when
 *   a volume is in another group, has a session of its own or is another's stand-in;
 *   `already_exists` when a group has the name of a volume that leaves; `unsupported` when hosts may
 *   attach one that may not attach the group (one data plane has one list of hosts), or for a
 *   volume that is not at home: hosts here know it as its stand-in, whose bytes are others
 */
export function changeMembers({ store, clock, here }: Deps, change: ChangeMembers): Promise<Job> {
  const { groupId, add, remove } = change;
  return store.transaction(async (tx) => {
    const now = clock.now();
    const leaving = await outOfGroup(tx, here, now, groupId, remove);
    const joining = await intoGroup(tx, here, groupId, add);
    return startMove(tx, now, [...leaving, ...joining], groupId);
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
    await refuseWhileCopied(tx, groupId);
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

async function outOfGroup(
  tx: Transaction,
  here: SiteId,
  now: number,
  groupId: GroupId,
  volumeIds: readonly VolumeId[],
): Promise<readonly Move[]> {
  const from = await tx.groups.need(groupId);
  requireHolder(from.id, from.ownership, here);
  if (volumeIds.length > 0) await refuseWhileCopied(tx, from.id);
  const moves: Move[] = [];
  for (const volumeId of new Set(volumeIds)) {
    const volume = await tx.volumes.need(volumeId);
    if (from.implicit || volume.groupId !== groupId) {
      refuse({ code: 'not_found', what: 'volume', id: volumeId });
    }
    if (volume.standIn?.siteId === here) {
      const { volumeId: known } = volume.standIn;
      refuse({
        code: 'unsupported',
        what: `taking volume ${volume.name} out of group ${from.name}`,
        why: `hosts know it here as ${known}, whose own bytes are others; hand the group back to where it came from first`,
      });
    }
    const to = await insertImplicitGroup(tx, volume.name, here, now, from.hosts);
    moves.push({ volumeId, from: from.id, to: to.id });
  }
  return moves;
}

async function intoGroup(
  tx: Transaction,
  here: SiteId,
  groupId: GroupId,
  volumeIds: readonly VolumeId[],
): Promise<readonly Move[]> {
  const to = await tx.groups.need(groupId);
  requireHolder(to.id, to.ownership, here);
  if (to.implicit) refuse({ code: 'not_found', what: 'group', id: groupId });
  const joining = new Set(volumeIds);
  if (to.volumeIds.length + joining.size > MAX_VOLUMES_PER_GROUP) {
    refuse({ code: 'limit_reached', what: 'volumes per group', limit: MAX_VOLUMES_PER_GROUP });
  }
  const moves: Move[] = [];
  for (const volumeId of joining) {
    const from = await tx.groups.need((await tx.volumes.need(volumeId)).groupId);
    requireHolder(from.id, from.ownership, here);
    await refuseWhileCopied(tx, from.id);
    if (!from.implicit)
      refuse({ code: 'in_use', what: 'volume', id: volumeId, by: `group ${from.name}` });
    const session = await sessionOf(tx, from.id);
    if (session !== undefined) {
      const by = `replication session ${session.id}`;
      refuse({ code: 'in_use', what: 'volume', id: volumeId, by });
    }
    await refuseStandIn(tx, volumeId);
    await joinHosts(tx, from, await tx.groups.need(groupId), moves.length);
    moves.push({ volumeId, from: from.id, to: groupId });
  }
  return moves;
}

async function joinHosts(
  tx: Transaction,
  from: Group,
  to: Group,
  alreadyJoining: number,
): Promise<void> {
  const strangers = from.hosts.filter((host) => !to.hosts.includes(host));
  const missing = to.hosts.filter((host) => !from.hosts.includes(host));
  if (strangers.length === 0 && (alreadyJoining === 0 || missing.length === 0)) return;
  if (to.volumeIds.length + alreadyJoining > 0) {
    refuse({
      code: 'unsupported',
      what: `adding a volume of hosts ${from.hosts.join(', ') || 'none'}`,
      why: `group ${to.name} is mapped to ${to.hosts.join(', ') || 'none'}, and a group has one list of hosts; map them alike first`,
    });
  }
  await tx.groups.change(to.id, (g) => ({ ...g, hosts: [...g.hosts, ...strangers] }));
}

async function startMove(
  tx: Transaction,
  now: number,
  moves: readonly Move[],
  groupId: GroupId,
): Promise<Job> {
  const sagaId = newId<SagaId>();
  for (const { from, to } of moves) {
    await lockGroup(tx, from, sagaId);
    await lockGroup(tx, to, sagaId);
  }
  await startSaga(tx, moveVolumes, { moves }, { sagaId, groupId, now });
  return { jobId: sagaId };
}
