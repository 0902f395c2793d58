/** Begins a group's replication: the destination gets the group's copy, then cycles start. */
import type { GroupId, PolicyId, SessionId, SiteId } from '../domain/ids.ts';
import { offerOf } from './offer.ts';
import { ignoringRefusals, settleReplication, unlockGroup } from './operation.ts';
import { assign } from './policies.ts';
import { saga } from './saga.ts';

export interface Protect {
  readonly sessionId: SessionId;
  readonly groupId: GroupId;
  readonly peerId: SiteId;
  /** It begins because somebody assigned this policy, who hears if it does not work. */
  readonly assigning?: PolicyId | undefined;
}

export const protect = saga<Protect>('protect')
  .ifUndone(async (tx, { sessionId, groupId, assigning }, { sagaId }) => {
    await tx.sessions.remove(sessionId);
    const { policyId } = await tx.groups.need(groupId);
    if (assigning !== undefined && policyId === assigning) await assign(tx, groupId, undefined);
    await unlockGroup(tx, groupId, sagaId);
  })
  .step('offer', {
    do: async ({ store, peer }, { sessionId, peerId }) => {
      const offer = await store.read(async (tx) => offerOf(tx, await tx.sessions.need(sessionId)));
      return peer.offerGroup(peerId, offer);
    },
    undo: async ({ store, peer }, { sessionId, groupId, peerId }) => {
      const { epoch } = (await store.read((tx) => tx.groups.need(groupId))).ownership;
      const told = peer.endSession(peerId, { groupId, sessionId, epoch, discardCopy: false });
      // Whatever it refused or missed: the next offer finds it again, and it serves nobody.
      await ignoringRefusals(told);
    },
  })
  .commit('begin', async (tx, { groupId }, { offer }, { sagaId, now }) => {
    // A copy that was kept from an earlier session spares the first full copy.
    for (const point of await tx.points.where({ groupId })) {
      const commonAt = offer.points.includes(point.id) ? (point.commonAt ?? now) : undefined;
      await tx.points.change(point.id, (p) => ({ ...p, commonAt }));
    }
    await unlockGroup(tx, groupId, sagaId);
  });

export interface Unprotect {
  readonly sessionId: SessionId;
  readonly groupId: GroupId;
  readonly peerId: SiteId;
  readonly discardCopy: boolean;
  /** The other site need not hear of it: it may be gone for good. */
  readonly force: boolean;
}

/** Ends a group's replication from its source. The destination's copy stays unless asked otherwise. */
export const unprotect = saga<Unprotect>('unprotect')
  .pointOfNoReturn()
  .step('settle', {
    do: (ports, { groupId }, _done, control) => settleReplication(ports, groupId, control),
  })
  .step('cancel-send', { do: ({ engine }, { groupId }) => engine.cancelSend(groupId) })
  .step('end-there', {
    do: async ({ store, peer, here }, { sessionId, groupId, peerId, discardCopy, force }) => {
      const { holder, epoch } = (await store.read((tx) => tx.groups.need(groupId))).ownership;
      // The other site took the group meanwhile: the session is its own to end now.
      if (holder !== here) return { overtaken: true };
      const told = peer.endSession(peerId, { groupId, sessionId, epoch, discardCopy });
      await (force ? ignoringRefusals(told) : told);
      return { overtaken: false };
    },
  })
  .commit('end-here', async (tx, s, { 'end-there': { overtaken } }, { sagaId }) => {
    if (!overtaken) {
      await tx.sessions.remove(s.sessionId);
      await assign(tx, s.groupId, undefined);
    }
    await unlockGroup(tx, s.groupId, sagaId);
  });

/** A destination without a source forgets the session; the copy stays until it is deleted. */
export const forgetSession = saga<Unprotect>('forget-session')
  .pointOfNoReturn()
  .step('drop-receiving', { do: ({ engine }, { groupId }) => engine.abandonPoint(groupId) })
  .commit('end-here', async (tx, { sessionId, groupId }, _done, { sagaId }) => {
    await tx.sessions.remove(sessionId);
    await assign(tx, groupId, undefined);
    await unlockGroup(tx, groupId, sagaId);
  });
