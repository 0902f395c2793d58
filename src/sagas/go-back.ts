/**
 * The holder's present becomes an older point, or a history that was set aside.
 *
 *   settle the cycle ─ close to hosts ─ fence ══ point of no return ══
 *   the present and the points above become a fork ─ the wanted present stands on the point ─ serve
 *
 * The session begins a new line with it: before the destination receives on the point where the two
 * lines part, it sets its own later points aside (`follow-line`).
 */
import { newId } from '../domain/ids.ts';
import type { ForkId, GroupId, HistoryId, PointId, SessionId } from '../domain/ids.ts';
import { newLine } from '../domain/replication-session.ts';
import { surpassed, withFact } from '../domain/synchrony.ts';
import { adopt, recordAdopted } from './adopt.ts';
import type { Adoption } from './adopt.ts';
import { newFork } from './forks.ts';
import { sessionOf } from './offer.ts';
import { fenceGroup, openGroup, serveGroup, settleCycle, unlockGroup } from './operation.ts';
import { dropPointsAfter, nextSequence } from './points.ts';
import { saga } from './saga.ts';

export interface GoBack {
  readonly groupId: GroupId;
  /** The point, or the one that the fork stands on. */
  readonly pointId: PointId;
  /** Absent: the point itself is the present. */
  readonly adopts: Adoption | undefined;
  /** What is given up becomes this fork. */
  readonly asideForkId: ForkId;
}

export const goBack = saga<GoBack>('go-back')
  .ifUndone((tx, { groupId }, { sagaId }) => unlockGroup(tx, groupId, sagaId))
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
  .step('cancel-send', { do: ({ engine }, { groupId }) => engine.cancelSend(groupId) })
  .pointOfNoReturn(async (tx, { groupId, pointId }) => {
    // What hosts were promised since is not there any more, so a new history begins.
    const history = { id: newId<HistoryId>(), pointId };
    await tx.groups.change(groupId, (g) => ({
      ...g,
      ownership: { ...g.ownership, history },
      standsOn: pointId,
    }));
  })
  .step('change-present', {
    do: async (ports, { groupId, pointId, adopts, asideForkId }) => {
      if (adopts !== undefined) return adopt(ports, groupId, adopts, asideForkId);
      const { engine, store } = ports;
      const { volumeIds } = await store.read((tx) => tx.groups.need(groupId));
      const aside = await engine.demote(groupId, pointId, asideForkId);
      await engine.promote(groupId, pointId, volumeIds);
      return { aside, points: [], volumes: [] };
    },
  })
  .commit('record', async (tx, back, { 'change-present': changed }, { here, now }) => {
    const { groupId, pointId, adopts, asideForkId: forkId } = back;
    if (adopts === undefined) await dropPointsAfter(tx, groupId, pointId);
    else await recordAdopted(tx, groupId, pointId, adopts, changed);
    const session = await sessionOf(tx, groupId);
    if (session !== undefined) {
      // Its mirror ended with the present that it carried: the next one begins on a later point.
      const newestSequence = (await nextSequence(tx, groupId)) - 1;
      const ended = { why: 'the group went back', at: now, newestSequence };
      await tx.sessions.change(session.id, (s) => newLine(withFact(s, 'ended', ended), now));
    }
    const { name } = await tx.groups.change(groupId, (g) => ({ ...g, fencedBy: undefined }));
    if (changed.aside === undefined) return;
    const origin = adopts === undefined ? 'restore' : 'undo';
    await tx.forks.insert(newFork({ forkId, groupId, name, here, origin, now }, changed.aside));
  })
  .step('serve', { do: (ports, { groupId }) => openGroup(ports, groupId) })
  .commit('unlock', (tx, { groupId }, _done, { sagaId }) => unlockGroup(tx, groupId, sagaId));

export interface FollowLine {
  readonly groupId: GroupId;
  readonly sessionId: SessionId;
  readonly line: number;
  /** Where the source's new line leaves the one that is here. */
  readonly pointId: PointId;
  readonly asideForkId: ForkId;
}

/** The destination's half: what came after that point here becomes a fork. */
export const followLine = saga<FollowLine>('follow-line')
  .pointOfNoReturn(async (tx, { sessionId }) => {
    // First the word, then the deed: from now on no failover counts on a standby of the old line.
    if ((await tx.sessions.get(sessionId)) !== undefined) {
      await tx.sessions.change(sessionId, surpassed);
    }
  })
  .step('go-back', {
    do: ({ engine }, { groupId, pointId, asideForkId }) =>
      engine.demote(groupId, pointId, asideForkId),
  })
  .commit('record', async (tx, follow, { 'go-back': aside }, { sagaId, here, now }) => {
    const { groupId, sessionId, line, pointId, asideForkId: forkId } = follow;
    await dropPointsAfter(tx, groupId, pointId);
    if ((await tx.sessions.get(sessionId)) !== undefined) {
      await tx.sessions.change(sessionId, (s) => ({ ...s, line }));
    }
    await unlockGroup(tx, groupId, sagaId);
    if (aside === undefined) return;
    const { name } = await tx.groups.need(groupId);
    await tx.forks.insert(newFork({ forkId, groupId, name, here, origin: 'restore', now }, aside));
  });
