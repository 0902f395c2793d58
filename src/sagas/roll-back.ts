/**
 * A provisional failover is taken back: the group returns to the site that it was taken from, with the
 * history that was set aside there. What was written here meanwhile becomes a fork.
 *
 *   holder B                                              site A, which it was taken from
 *   lock-peer ──────────────────────────────────────────▶ locked; its own history is set aside
 *   close-to-hosts, fence
 *   ══ point of no return: given back, holder A, epoch e+1 (B's store) ══
 *   return ─────────────────────────────────────────────▶ what was set aside is the present; A serves
 *   demote to the point below it (a fork), become-destination
 *
 * Replication from A to B goes on as before the failover, with a delta on that point.
 */
import { committed } from '../domain/failover-window.ts';
import type { HistoryAside } from '../domain/failover-window.ts';
import type { ForkId, GroupId, SagaId, SessionId, SiteId } from '../domain/ids.ts';
import { give } from '../domain/ownership.ts';
import { Failure, refuse } from '../domain/refusal.ts';
import { afterHandover } from '../domain/replication-session.ts';
import type { PrepareHandover } from '../ports/peer.ts';
import { newFork } from './forks.ts';
import {
  fenceGroup,
  ignoringSilence,
  isRefusedAs,
  serveGroup,
  settleCycle,
  unlockGroup,
} from './operation.ts';
import { dropPointsAfter } from './points.ts';
import { POINT_OF_NO_RETURN, saga } from './saga.ts';
import type { SagaPorts } from './saga.ts';

export interface RollBack {
  readonly sessionId: SessionId;
  readonly groupId: GroupId;
  readonly to: SiteId;
  /** This holder's, when it was asked. */
  readonly epoch: number;
  /** What was written here becomes this. */
  readonly forkId: ForkId;
  /** Whatever stands in the way at the other site becomes this; see `PeerProtocol.returnGroup`. */
  readonly spareForkId: ForkId;
}

export const rollBack = saga<RollBack>('roll-back')
  .ifUndone((tx, { groupId }, { sagaId }) => unlockGroup(tx, groupId, sagaId))
  .step('lock-peer', {
    // The other site may have come back only now and be busy setting its own history aside.
    attempts: 8,
    do: (ports, r, _done, { sagaId }) => lockPeer(ports, r, sagaId),
    undo: async ({ peer }, r, { sagaId }) => {
      // It also lets go when our heartbeats no longer name this saga.
      await ignoringSilence(peer.cancelHandover(r.to, lockOf(r, sagaId)));
    },
  })
  .step('settle', {
    do: (ports, { groupId }, _done, control) => settleCycle(ports, groupId, control),
  })
  .step('open-again', {
    // Undone last, when the store says again that hosts may write.
    do: () => Promise.resolve(),
    undo: (ports, { groupId }) => serveGroup(ports, groupId),
  })
  .commit(
    'close-to-hosts',
    async (tx, { groupId }, _done, { sagaId }) => {
      await tx.groups.change(groupId, (g) => ({ ...g, fencedBy: sagaId }));
    },
    async (tx, { groupId }) => {
      await tx.groups.change(groupId, (g) => ({ ...g, fencedBy: undefined }));
    },
  )
  .step('fence', { do: (ports, { groupId }) => fenceGroup(ports, groupId) })
  .pointOfNoReturn(async (tx, { groupId, to }, _done, { here }) => {
    const { ownership } = await tx.groups.change(groupId, (g) => ({
      ...committed(g),
      ownership: give(groupId, g.ownership, here, to),
      fencedBy: undefined,
    }));
    return { epoch: ownership.epoch };
  })
  .step('return', {
    do: async (
      { peer, store },
      { to, groupId, spareForkId },
      { 'lock-peer': aside, [POINT_OF_NO_RETURN]: { epoch } },
      { sagaId },
    ) => {
      const { ownership, hosts } = await store.read((tx) => tx.groups.need(groupId));
      // Somebody failed over here in the meantime: there is nothing left to return.
      if (ownership.epoch !== epoch) return { overtaken: true };
      // Refused when the other site has taken the group by itself meanwhile, to stand on something else.
      const returned = peer.returnGroup(to, { groupId, epoch, sagaId, aside, spareForkId, hosts });
      return { overtaken: await isRefusedAs(returned, 'stale_epoch') };
    },
  })
  .step('demote', {
    do: async ({ store, engine, gate }, { groupId, forkId }, done) => {
      const { 'lock-peer': aside, return: returned, [POINT_OF_NO_RETURN]: given } = done;
      return gate.through(groupId, async () => {
        const { ownership } = await store.read((tx) => tx.groups.need(groupId));
        // What is left here is set aside by itself, as far as the other site does not have it.
        if (returned.overtaken || ownership.epoch !== given.epoch) return { isDemoted: false };
        const fork = await engine.demote(groupId, aside.basePointId, forkId);
        return { isDemoted: true, fork };
      });
    },
  })
  .commit('become-destination', async (tx, r, done, { sagaId, here, now }) => {
    const { groupId, sessionId, forkId } = r;
    const { 'lock-peer': aside, demote: demoted, [POINT_OF_NO_RETURN]: given } = done;
    await unlockGroup(tx, groupId, sagaId);
    if (!demoted.isDemoted) return undefined;
    await dropPointsAfter(tx, groupId, aside.basePointId);
    const { name, ownership } = await tx.groups.need(groupId);
    if (ownership.epoch === given.epoch) {
      await tx.groups.change(groupId, (g) => ({ ...g, standsOn: undefined }));
      await tx.sessions.change(sessionId, (s) => afterHandover(s, 'destination', true, now));
      if (aside.forkId !== undefined) await tx.forks.remove(aside.forkId);
    }
    if (demoted.fork === undefined) return undefined;
    const origin = 'rollback';
    return tx.forks.insert(newFork({ forkId, groupId, name, here, origin, now }, demoted.fork));
  })
  .step('tell', {
    do: async ({ peer }, { to }, { 'become-destination': fork }) => {
      if (fork !== undefined) await peer.noteFork(to, fork);
    },
  });

/** @throws Refusal `point_missing` — what both sites had is not here any more */
async function lockPeer(
  { store, peer }: SagaPorts,
  r: RollBack,
  sagaId: SagaId,
): Promise<HistoryAside> {
  const { to, groupId } = r;
  const { hasPresent, aside } = await peer.describeGroup(to, groupId);
  if (hasPresent || aside === undefined) {
    throw new Failure(`site ${to} has not set its own history aside yet`);
  }
  const locked = await peer.prepareReturn(to, lockOf(r, sagaId));
  const { basePointId: pointId } = locked;
  const base = await store.read((tx) => tx.points.get(pointId));
  if (base?.groupId !== groupId || base.expiring) {
    refuse({ code: 'point_missing', groupId, pointId });
  }
  return locked;
}

function lockOf({ groupId, epoch }: RollBack, sagaId: SagaId): PrepareHandover {
  return { groupId, epoch, sagaId };
}
