/**
 * The new holder replicates back. It finds out which of its points the other site still has, so
 * that the first cycle moves only what differs since the newest of them. Where there is none, the first
 * cycle compares all bytes of both sites by their hashes, and moves only what differs.
 */
import type { GroupId, SessionId, SiteId } from '../domain/ids.ts';
import { Failure, refuse } from '../domain/refusal.ts';
import { advance } from '../domain/replication-session.ts';
import { offerOf } from './offer.ts';
import { unlockGroup } from './operation.ts';
import { saga } from './saga.ts';

export interface Reprotect {
  readonly sessionId: SessionId;
  readonly groupId: GroupId;
  readonly peerId: SiteId;
}

export const reprotect = saga<Reprotect>('reprotect')
  .ifUndone(async (tx, { sessionId, groupId }, { sagaId, now }) => {
    await unlockGroup(tx, groupId, sagaId);
    // Where the other site has taken the group meanwhile, the session says so and stays.
    await tx.sessions.change(sessionId, (s) =>
      s.state === 'reprotecting' ? advance(s, 'undo_reprotect', now) : s,
    );
  })
  .step('compare', {
    // The other site may have come back only now and be busy setting its own history aside.
    attempts: 8,
    do: async ({ store, peer, here }, { sessionId, groupId, peerId }) => {
      // It may have forgotten the session, and needs one to set its own history aside.
      const offer = await store.read(async (tx) => offerOf(tx, await tx.sessions.need(sessionId)));
      await peer.offerGroup(peerId, offer);
      const theirs = await peer.describeGroup(peerId, groupId);
      if (theirs.ownership.holder !== here) {
        const { epoch } = theirs.ownership;
        refuse({ code: 'not_holder', groupId, holder: theirs.ownership.holder, epoch });
      }
      if (theirs.hasPresent)
        throw new Failure(`site ${peerId} has not set its own history aside yet`);
      return theirs.points;
    },
  })
  .commit(
    'begin',
    async (tx, { sessionId, groupId, peerId }, { compare: theirs }, { sagaId, now }) => {
      const points = await tx.points.where({ groupId });
      const isShared = points.some((p) => theirs.includes(p.id));
      // Their newest is of their own history; with none at all there is nothing to compare with.
      const comparesWith = isShared ? undefined : theirs.at(-1);
      if (!isShared && comparesWith === undefined) {
        refuse({ code: 'no_common_point', groupId, siteId: peerId });
      }
      await tx.sessions.change(sessionId, (s) => ({ ...s, comparesWith }));
      for (const { id } of points) {
        const commonAt = theirs.includes(id) ? now : undefined;
        await tx.points.change(id, (p) => ({
          ...p,
          commonAt: commonAt && (p.commonAt ?? commonAt),
        }));
      }
      await unlockGroup(tx, groupId, sagaId);
    },
  );
