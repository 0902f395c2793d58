/**
 * A site that lost a group without giving it away puts its own history aside: back to the newest
 * point that the new holder has, too, so that only what differs has to come from there. What
 * stood above it becomes a fork; nothing is thrown away by itself.
 */
import type { ForkId, GroupId, SessionId, SiteId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import { afterFailover } from '../domain/replication-session.ts';
import { newFork } from './forks.ts';
import { fenceGroup, unlockGroup } from './operation.ts';
import { dropPointsAfter, newestSharedPoint } from './points.ts';
import { saga } from './saga.ts';

export interface SetAside {
  readonly sessionId: SessionId;
  readonly groupId: GroupId;
  readonly peerId: SiteId;
  readonly forkId: ForkId;
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
      const common = await store.read((tx) => newestSharedPoint(tx, groupId, points));
      return common ?? refuse({ code: 'no_common_point', groupId, siteId: peerId });
    },
  })
  .pointOfNoReturn()
  .step('go-back', {
    do: async ({ engine }, { groupId, forkId }, { compare: common }) => {
      await engine.cancelSend(groupId);
      return engine.demote(groupId, common, forkId);
    },
  })
  .commit('record', async (tx, s, { compare: common, 'go-back': aside }, { sagaId, here, now }) => {
    const { groupId, sessionId, forkId } = s;
    await dropPointsAfter(tx, groupId, common);
    await tx.points.change(common, (p) => ({ ...p, commonAt: p.commonAt ?? now }));
    const { name } = await tx.groups.change(groupId, (g) => ({
      ...g,
      standsOn: undefined,
      overtaken: g.overtaken && {
        ...g.overtaken,
        aside: { basePointId: common, forkId: aside?.forkId },
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
