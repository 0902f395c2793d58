/**
 * Groups change while their hosts run. A volume's bytes move between two groups' data planes:
 * its export closes at the one address and opens at the other, so its hosts reconnect.
 */
import type { GroupId, VolumeId } from '../domain/ids.ts';
import type { Transaction } from '../ports/store.ts';
import { serveGroup, settleCycle, unlockGroup } from './operation.ts';
import { leavePoints } from './points.ts';
import type { SagaPorts } from './saga.ts';
import { POINT_OF_NO_RETURN, saga } from './saga.ts';

export interface MoveVolume {
  readonly volumeId: VolumeId;
  readonly from: GroupId;
  readonly to: GroupId;
}

/** Both groups' rows are there when it starts, and both are locked by it. */
export const moveVolume = saga<MoveVolume>('move-volume')
  .ifUndone(async (tx, { from, to }, { sagaId }) => {
    await dropEmptyImplicit(tx, to);
    await unlockGroup(tx, from, sagaId);
    await unlockGroup(tx, to, sagaId);
  })
  .step('settle', {
    do: async (ports, { from, to }, _done, control) => {
      await settleCycle(ports, from, control);
      await settleCycle(ports, to, control);
    },
  })
  .step('move', {
    do: ({ engine }, { volumeId, from, to }) => engine.moveVolume(volumeId, from, to),
    undo: async (ports, { volumeId, from, to }) => {
      await ports.engine.moveVolume(volumeId, to, from);
      await dropIfMade(ports, to);
      await serveGroup(ports, from);
    },
  })
  .step('serve', { do: (ports, move) => serveBoth(ports, move) })
  // What is recorded is where the bytes are, so from here it only goes forward.
  .pointOfNoReturn(async (tx, { volumeId, from, to }, _done, { sagaId }) => {
    await tx.volumes.change(volumeId, (v) => ({ ...v, groupId: to }));
    await tx.groups.change(from, (g) => ({
      ...g,
      volumeIds: g.volumeIds.filter((id) => id !== volumeId),
    }));
    await tx.groups.change(to, (g) => ({
      ...g,
      volumeIds: [...g.volumeIds.filter((id) => id !== volumeId), volumeId],
    }));
    await leavePoints(tx, from, volumeId);
    await unlockGroup(tx, to, sagaId);
    const emptied = (await tx.groups.need(from)).implicit;
    if (emptied) await forgetPoints(tx, from);
    return { emptied };
  })
  .step('clear', {
    do: async ({ engine }, { from }, { [POINT_OF_NO_RETURN]: { emptied } }) => {
      if (emptied) await engine.deleteGroup(from);
    },
  })
  .commit('forget', async (tx, { from }, _done, { sagaId }) => {
    await dropEmptyImplicit(tx, from);
    await unlockGroup(tx, from, sagaId);
  });

export interface DeleteGroup {
  readonly groupId: GroupId;
}

/** Takes an empty group, or a copy that no session feeds any more, away with its bytes. */
export const deleteGroup = saga<DeleteGroup>('delete-group')
  .pointOfNoReturn((tx, { groupId }) => forgetPoints(tx, groupId))
  .step('delete', { do: ({ engine }, { groupId }) => engine.deleteGroup(groupId) })
  .commit('forget', (tx, { groupId }) => forgetGroup(tx, groupId));

/** Takes a group's rows away, its volumes' and points' with it. */
export async function forgetGroup(tx: Transaction, groupId: GroupId): Promise<void> {
  await forgetPoints(tx, groupId);
  for (const { id } of await tx.volumes.where({ groupId })) await tx.volumes.remove(id);
  await tx.groups.remove(groupId);
}

/** Goes before the bytes do: what a site says that it has is there. */
export async function forgetPoints(tx: Transaction, groupId: GroupId): Promise<void> {
  for (const { id } of await tx.points.where({ groupId })) await tx.points.remove(id);
}

/** The group of one that was made for the volume has nothing left to keep a data plane for. */
async function dropIfMade({ store, engine }: SagaPorts, groupId: GroupId): Promise<void> {
  const group = await store.read((tx) => tx.groups.get(groupId));
  if (group?.implicit === true) await engine.deleteGroup(groupId);
}

async function dropEmptyImplicit(tx: Transaction, groupId: GroupId): Promise<void> {
  const group = await tx.groups.get(groupId);
  if (group?.implicit === true && group.volumeIds.length === 0) await forgetGroup(tx, groupId);
}

async function serveBoth(ports: SagaPorts, { volumeId, from, to }: MoveVolume): Promise<void> {
  await serveGroup(ports, to);
  const { volumeIds } = await ports.store.read((tx) => tx.groups.need(from));
  if (volumeIds.some((id) => id !== volumeId)) await serveGroup(ports, from);
}
