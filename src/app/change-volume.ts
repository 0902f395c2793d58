import { newId } from '../domain/ids.ts';
import type { SagaId, VolumeId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { refuse } from '../domain/refusal.ts';
import { checkGrowth } from '../domain/volume.ts';
import { deleteGroup as deleteGroupSaga } from '../sagas/members.ts';
import { sessionOf } from '../sagas/offer.ts';
import { lockGroup } from '../sagas/operation.ts';
import { startSaga } from '../sagas/saga.ts';
import { deleteVolume as deleteSaga, resizeVolume as resizeSaga } from '../sagas/volumes.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { refusePaired } from './pair-volumes.ts';
import { refuseWhileCopied } from './copies.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

/**
 * Grows a volume at every site that has it. Its export closes and opens again, so its hosts are
 * disconnected for some milliseconds and have to reconnect to see the new size.
 *
 * @throws Refusal `invalid` (smaller, not whole sectors), `not_found`, `not_holder`,
 *   `operation_running`, `in_use` while it is paired: both volumes of a pair have one size
 */
export function resizeVolume(
  { store, clock, here }: Deps,
  { volumeId, sizeBytes }: { readonly volumeId: VolumeId; readonly sizeBytes: number },
): Promise<Job> {
  return store.transaction(async (tx) => {
    const volume = await tx.volumes.need(volumeId);
    const { groupId } = volume;
    const { ownership } = await tx.groups.need(groupId);
    requireHolder(groupId, ownership, here);
    checkGrowth(volume, sizeBytes);
    await refusePaired(tx, volumeId);
    const sagaId = newId<SagaId>();
    await lockGroup(tx, groupId, sagaId);
    const peerId = (await sessionOf(tx, groupId))?.peerId;
    const options = { sagaId, groupId, now: clock.now() };
    await startSaga(tx, resizeSaga, { volumeId, groupId, sizeBytes, peerId }, options);
    return { jobId: sagaId };
  });
}

/**
 * Deletes a volume and all its bytes at this site; also the copy of one that stands alone, once no
 * session feeds it any more.
 *
 * @throws Refusal `not_found`, `not_holder`, `operation_running`, or `in_use` while hosts may
 *   attach it, its own session replicates it, it is paired or a copy of its group is open — unmap,
 *   unprotect, part or discard first
 */
export function deleteVolume(
  { store, clock, here }: Deps,
  { volumeId }: { readonly volumeId: VolumeId },
): Promise<Job> {
  return store.transaction(async (tx) => {
    const { groupId } = await tx.volumes.need(volumeId);
    await refusePaired(tx, volumeId);
    const group = await tx.groups.need(groupId);
    await refuseWhileCopied(tx, groupId);
    const session = await sessionOf(tx, groupId);
    const sagaId = newId<SagaId>();
    const options = { sagaId, groupId, now: clock.now() };
    if (group.implicit && session === undefined && group.ownership.holder !== here) {
      await lockGroup(tx, groupId, sagaId);
      await startSaga(tx, deleteGroupSaga, { groupId }, options);
      return { jobId: sagaId };
    }
    requireHolder(groupId, group.ownership, here);
    if (group.implicit && group.hosts.length > 0) {
      refuse({
        code: 'in_use',
        what: 'volume',
        id: volumeId,
        by: `host ${group.hosts.join(', ')}`,
      });
    }
    if (group.implicit && session !== undefined) {
      refuse({
        code: 'in_use',
        what: 'volume',
        id: volumeId,
        by: `replication session ${session.id}`,
      });
    }
    await lockGroup(tx, groupId, sagaId);
    await tx.volumes.change(volumeId, (v) => ({ ...v, state: 'deleting' }));
    await startSaga(tx, deleteSaga, { volumeId, groupId }, options);
    return { jobId: sagaId };
  });
}
