/** Volumes come, grow and go. */
import type { GroupId, SiteId, VolumeId } from '../domain/ids.ts';
import type { Transaction } from '../ports/store.ts';
import { ignoringRefusals, serveGroup, settleReplication, unlockGroup } from './operation.ts';
import { leavePoints } from './points.ts';
import { saga } from './saga.ts';

export interface CreateVolume {
  readonly volumeId: VolumeId;
  readonly groupId: GroupId;
}

/** The rows are there when it starts: the volume as `creating`, its group, perhaps implicit. */
export const createVolume = saga<CreateVolume>('create-volume')
  .ifUndone(async (tx, { volumeId, groupId }, { sagaId }) => {
    await forgetVolume(tx, volumeId, groupId);
    await unlockGroup(tx, groupId, sagaId);
  })
  .step('create', {
    do: async ({ store, engine }, { volumeId, groupId }) => {
      const { name, sizeBytes } = await store.read((tx) => tx.volumes.need(volumeId));
      await engine.createVolume(groupId, { volumeId, name, sizeBytes });
    },
    undo: async ({ store, engine }, { volumeId, groupId }) => {
      const { implicit } = await store.read((tx) => tx.groups.need(groupId));
      await (implicit ? engine.deleteGroup(groupId) : engine.deleteVolume(groupId, volumeId));
    },
  })
  .step('serve', { do: (ports, { groupId }) => serveGroup(ports, groupId) })
  .commit('ready', async (tx, { volumeId, groupId }, _done, { sagaId }) => {
    await tx.volumes.change(volumeId, (v) => ({ ...v, state: 'ready' }));
    await unlockGroup(tx, groupId, sagaId);
  });

export interface DeleteVolume {
  readonly volumeId: VolumeId;
  readonly groupId: GroupId;
}

/** Takes a volume with all its bytes away; an implicit group goes with it. */
export const deleteVolume = saga<DeleteVolume>('delete-volume')
  .pointOfNoReturn()
  .step('settle', {
    do: (ports, { groupId }, _done, control) => settleReplication(ports, groupId, control),
  })
  .step('delete', {
    do: async ({ store, engine }, { volumeId, groupId }) => {
      const { implicit } = await store.read((tx) => tx.groups.need(groupId));
      await (implicit ? engine.deleteGroup(groupId) : engine.deleteVolume(groupId, volumeId));
    },
  })
  .commit('forget', async (tx, { volumeId, groupId }, _done, { sagaId }) => {
    await forgetVolume(tx, volumeId, groupId);
    await unlockGroup(tx, groupId, sagaId);
  });

export interface ResizeVolume {
  readonly volumeId: VolumeId;
  readonly groupId: GroupId;
  readonly sizeBytes: number;
  /** Of a protected group: it has to have room, too. */
  readonly peerId: SiteId | undefined;
}

/**
 * Grows a volume at both sites. Its export closes and opens again, so hosts reconnect.
 * What has grown cannot shrink, so from the first byte on it only goes forward.
 */
export const resizeVolume = saga<ResizeVolume>('resize-volume')
  .ifUndone((tx, { groupId }, { sagaId }) => unlockGroup(tx, groupId, sagaId))
  .step('settle', {
    do: (ports, { groupId }, _done, control) => settleReplication(ports, groupId, control),
  })
  .step('grow-there', {
    do: async ({ store, peer }, { volumeId, groupId, sizeBytes, peerId }) => {
      if (peerId === undefined) return;
      const { epoch } = (await store.read((tx) => tx.groups.need(groupId))).ownership;
      await peer.resizeVolume(peerId, { groupId, epoch, volumeId, sizeBytes });
    },
    undo: async ({ store, peer }, { volumeId, groupId, peerId }) => {
      if (peerId === undefined) return;
      const [{ ownership }, { sizeBytes }] = await store.read((tx) =>
        Promise.all([tx.groups.need(groupId), tx.volumes.need(volumeId)]),
      );
      const { epoch } = ownership;
      const told = peer.resizeVolume(peerId, { groupId, epoch, volumeId, sizeBytes });
      // Where it does not hear of it, the next cycle's offer says the same.
      await ignoringRefusals(told);
    },
  })
  .pointOfNoReturn()
  .step('grow', {
    do: ({ engine }, { volumeId, groupId, sizeBytes }) =>
      engine.resizeVolume(groupId, volumeId, sizeBytes),
  })
  .step('serve', { do: (ports, { groupId }) => serveGroup(ports, groupId) })
  .commit('record', async (tx, { volumeId, groupId, sizeBytes }, _done, { sagaId }) => {
    await tx.volumes.change(volumeId, (v) => ({ ...v, sizeBytes }));
    await unlockGroup(tx, groupId, sagaId);
  });

/** Takes a volume's rows away; an implicit group goes with its volume. */
export async function forgetVolume(
  tx: Transaction,
  volumeId: VolumeId,
  groupId: GroupId,
): Promise<void> {
  await tx.volumes.remove(volumeId);
  const group = await tx.groups.get(groupId);
  if (group === undefined) return;
  if (group.implicit) {
    for (const point of await tx.points.where({ groupId })) await tx.points.remove(point.id);
    await tx.groups.remove(groupId);
    return;
  }
  await leavePoints(tx, groupId, volumeId);
  await tx.groups.change(groupId, (g) => ({
    ...g,
    volumeIds: g.volumeIds.filter((id) => id !== volumeId),
  }));
}
