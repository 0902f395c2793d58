import { firstOwnership, requireHolder } from '../domain/ownership.ts';
import type { Group } from '../domain/group.ts';
import { MAX_VOLUMES_PER_GROUP } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import type { GroupId, Instant, SagaId, SiteId, VolumeId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { refuse } from '../domain/refusal.ts';
import { checkSize, serialOf } from '../domain/volume.ts';
import type { Transaction } from '../ports/store.ts';
import { lockGroup } from '../sagas/operation.ts';
import { startSaga } from '../sagas/saga.ts';
import { createVolume as createVolumeSaga } from '../sagas/volumes.ts';
import type { AppPorts, Job } from './app-ports.ts';

export interface CreateVolume {
  readonly name: string;
  readonly sizeBytes: number;
  /** Absent: the volume is alone, in a group of its own. */
  readonly groupId?: GroupId;
}

/**
 * Makes a volume of zeros, thinly provisioned, and serves it to its group's hosts.
 *
 * @throws Refusal `invalid`, `already_exists`, `not_found` (the group), `not_holder`,
 *   `operation_running`, `limit_reached`, `no_space` — nothing was made
 */
export async function createVolume(
  { store, engine, clock, here }: Pick<AppPorts, 'store' | 'engine' | 'clock' | 'here'>,
  { name, sizeBytes, groupId }: CreateVolume,
): Promise<Job & { readonly volumeId: VolumeId }> {
  checkName(name);
  checkSize(sizeBytes);
  const { totalBytes } = await engine.space();
  if (sizeBytes > totalBytes) {
    refuse({
      code: 'invalid',
      field: 'sizeBytes',
      wanted: `at most ${totalBytes}, what the site's disk could hold when empty`,
      seen: String(sizeBytes),
    });
  }
  return store.transaction(async (tx) => {
    const volumeId = newId<VolumeId>();
    const sagaId = newId<SagaId>();
    const now = clock.now();
    await refuseTakenName(tx, name);
    const group =
      groupId === undefined
        ? await insertImplicitGroup(tx, name, here, now)
        : await tx.groups.need(groupId);
    requireHolder(group.id, group.ownership, here);
    await lockGroup(tx, group.id, sagaId);
    await joinGroup(tx, group, volumeId);
    await tx.volumes.insert({
      id: volumeId,
      name,
      serial: serialOf(volumeId),
      sizeBytes,
      groupId: group.id,
      state: 'creating',
      createdAt: now,
    });
    const options = { sagaId, now, groupId: group.id };
    await startSaga(tx, createVolumeSaga, { volumeId, groupId: group.id }, options);
    return { volumeId, jobId: sagaId };
  });
}

async function refuseTakenName(tx: Transaction, name: string): Promise<void> {
  if ((await tx.volumes.where({ name })).length > 0) {
    refuse({ code: 'already_exists', what: 'volume', name });
  }
}

async function joinGroup(tx: Transaction, group: Group, volumeId: VolumeId): Promise<void> {
  if (group.volumeIds.length >= MAX_VOLUMES_PER_GROUP) {
    refuse({ code: 'limit_reached', what: 'volumes per group', limit: MAX_VOLUMES_PER_GROUP });
  }
  await tx.groups.change(group.id, (g) => ({ ...g, volumeIds: [...g.volumeIds, volumeId] }));
}

/** The group of one that a lone volume has. Its name is the volume's, so it must be free, too. */
export async function insertImplicitGroup(
  tx: Transaction,
  name: string,
  here: SiteId,
  now: Instant,
  hosts: readonly string[] = [],
): Promise<Group> {
  return insertGroup(tx, { name, implicit: true, hosts }, here, now);
}

type NewGroup = Pick<Group, 'name' | 'description' | 'implicit' | 'hosts'>;

export async function insertGroup(
  tx: Transaction,
  { name, description, implicit, hosts }: NewGroup,
  here: SiteId,
  now: Instant,
): Promise<Group> {
  await refuseTakenGroupName(tx, name);
  return tx.groups.insert({
    id: newId<GroupId>(),
    name,
    description,
    implicit,
    volumeIds: [],
    ownership: firstOwnership(here),
    operation: undefined,
    fencedBy: undefined,
    standsOn: undefined,
    hosts,
    policyId: undefined,
    createdAt: now,
  });
}

/** @throws Refusal `already_exists` */
export async function refuseTakenGroupName(tx: Transaction, name: string): Promise<void> {
  if ((await tx.groups.where({ name })).length > 0) {
    refuse({ code: 'already_exists', what: 'group', name });
  }
}
