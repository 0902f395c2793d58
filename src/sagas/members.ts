/**
 * Groups change while their hosts run. A volume's bytes move between two groups' data planes:
 * its export closes at the one address and opens at the other, so its hosts reconnect.
 */
import type { GroupId, VolumeId } from '../domain/ids.ts';
import type { Transaction } from '../ports/store.ts';
import { sessionOf } from './offer.ts';
import { serveGroup, settleReplication, unlockGroup } from './operation.ts';
import { leavePoints } from './points.ts';
import type { SagaPorts } from './saga.ts';
import { saga } from './saga.ts';

export interface Move {
  readonly volumeId: VolumeId;
  readonly from: GroupId;
  readonly to: GroupId;
}

export interface MoveVolumes {
  /** At least one; into one group or out of one, so no group is on both sides. */
  readonly moves: readonly Move[];
}

/** All groups' rows are there when it starts, and all are locked by it. */
export const moveVolumes = saga<MoveVolumes>('move-volume')
  .ifUndone(async (tx, { moves }, { sagaId }) => {
    for (const { from, to } of moves) {
      await dropEmptyImplicit(tx, to);
      await unlockGroup(tx, from, sagaId);
      await unlockGroup(tx, to, sagaId);
    }
  })
  .step('settle', {
    do: async (ports, { moves }, _done, control) => {
      for (const groupId of groupsOf(moves)) await settleReplication(ports, groupId, control);
    },
  })
  .step('move', {
    do: async ({ engine }, { moves }) => {
      for (const { volumeId, from, to } of moves) await engine.moveVolume(volumeId, from, to);
    },
    undo: async (ports, { moves }) => {
      for (const { volumeId, from, to } of moves.toReversed()) {
        await ports.engine.moveVolume(volumeId, to, from);
        await dropIfMade(ports, to);
        await serveGroup(ports, from);
      }
    },
  })
  .step('serve', { do: (ports, { moves }) => serveMoved(ports, moves) })
  // What is recorded is where the bytes are, so from here it only goes forward.
  .pointOfNoReturn(async (tx, { moves }) => {
    for (const move of moves) await recordMove(tx, move);
  })
  .step('clear', {
    do: async ({ engine, store }, { moves }) => {
      for (const { from } of moves) {
        const group = await store.read((tx) => tx.groups.get(from));
        if (group?.implicit === true) await engine.deleteGroup(from);
      }
    },
  })
  .commit('forget', async (tx, { moves }, _done, { sagaId }) => {
    for (const { from, to } of moves) {
      await dropEmptyImplicit(tx, from);
      await unlockGroup(tx, from, sagaId);
      await unlockGroup(tx, to, sagaId);
    }
  });

async function recordMove(tx: Transaction, { volumeId, from, to }: Move): Promise<void> {
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
  // What has come is not at the other site yet, whatever the others were when it was paused.
  const session = await sessionOf(tx, to);
  if (session?.pause?.inSync === true) {
    const { pause } = session;
    await tx.sessions.change(session.id, (s) => ({ ...s, pause: { ...pause, inSync: false } }));
  }
  if ((await tx.groups.need(from)).implicit) await forgetPoints(tx, from);
}

function groupsOf(moves: readonly Move[]): ReadonlySet<GroupId> {
  return new Set(moves.flatMap(({ from, to }) => [from, to]));
}

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

/** Who gives its last volume away has nothing left to serve. */
async function serveMoved(ports: SagaPorts, moves: readonly Move[]): Promise<void> {
  for (const groupId of groupsOf(moves)) {
    const { volumeIds } = await ports.store.read((tx) => tx.groups.need(groupId));
    const comes = moves.some((move) => move.to === groupId);
    const stays = volumeIds.some(
      (id) => !moves.some((m) => m.from === groupId && m.volumeId === id),
    );
    if (comes || stays) await serveGroup(ports, groupId);
  }
}
