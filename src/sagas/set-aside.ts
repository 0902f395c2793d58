/**
 * A site that lost a group without giving it away puts its own history aside: back to the newest
 * point that the new holder has, too, so that only what differs has to come from there. What
 * stood above it becomes a fork; nothing is thrown away by itself.
 *
 * Where the two have no point in common it goes back to the newest of its own. All that it had is in
 * the fork, and what comes from the new holder is what differs from that point, by hashes.
 */
import { usable } from '../domain/failover-basis.ts';
import type { ForkId, GroupId, PointId, SessionId, SiteId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import { afterFailover } from '../domain/replication-session.ts';
import { newFork } from './forks.ts';
import { fenceGroup, unlockGroup } from './operation.ts';
import { dropPointsAfter, leaveLine, newestSharedPoint } from './points.ts';
import { PAUSE_LIMIT_MS } from './replicate.ts';
import { saga } from './saga.ts';

export interface SetAside {
  readonly sessionId: SessionId;
  readonly groupId: GroupId;
  readonly peerId: SiteId;
  readonly forkId: ForkId;
  /** Its own history as it was at the end, where the two sites have no point in common. */
  readonly pointId: PointId;
}

export const setAside = saga<SetAside>('set-aside')
  .ifUndone(async (tx, { sessionId, groupId }, { sagaId, why }) => {
    await unlockGroup(tx, groupId, sagaId);
    await tx.sessions.change(sessionId, (s) => ({ ...s, parkedBecause: why }));
  })
  .step('fence', { do: (ports, { groupId }) => fenceGroup(ports, groupId) })
  .step('compare', {
    do: async ({ peer, store }, { groupId, peerId }) => {
      const { points } = await peer.describeGroup(peerId, groupId);
      return store.read(async (tx) => {
        const common = await newestSharedPoint(tx, groupId, points);
        if (common !== undefined) return { base: common, isCommon: true };
        const own = usable(await tx.points.where({ groupId })).at(-1)?.id;
        if (own !== undefined) return { base: own, isCommon: false };
        return refuse({ code: 'no_common_point', groupId, siteId: peerId });
      });
    },
  })
  .pointOfNoReturn()
  .step('seal-own', {
    // With a point of its own there is a fork also where nothing was written above the base.
    do: async ({ engine }, { groupId, pointId }, { compare: { isCommon } }) => {
      if (!isCommon) await engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    },
  })
  .step('go-back', {
    do: async ({ engine }, { groupId, forkId }, { compare: { base } }) => {
      await engine.cancelSend(groupId);
      return engine.demote(groupId, base, forkId);
    },
  })
  .commit('record', async (tx, s, { compare, 'go-back': aside }, { sagaId, here, now }) => {
    const { groupId, sessionId, forkId } = s;
    const { base, isCommon } = compare;
    await dropPointsAfter(tx, groupId, base);
    if (isCommon) await tx.points.change(base, (p) => ({ ...p, commonAt: p.commonAt ?? now }));
    else await leaveLine(tx, groupId);
    const { name } = await tx.groups.change(groupId, (g) => ({
      ...g,
      standsOn: undefined,
      overtaken: g.overtaken && {
        ...g.overtaken,
        aside: { basePointId: base, forkId: aside?.forkId },
      },
    }));
    await tx.sessions.change(sessionId, (row) => afterFailover(row, 'destination', now));
    await unlockGroup(tx, groupId, sagaId);
    if (aside === undefined) return undefined;
    return tx.forks.insert(
      newFork({ forkId, groupId, name, here, origin: 'failover', now }, aside),
    );
  })
  .step('tell', {
    do: async ({ peer }, { peerId }, { record: fork }) => {
      if (fork !== undefined) await peer.noteFork(peerId, fork);
    },
  });
