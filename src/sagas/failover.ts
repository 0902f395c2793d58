/**
 * The destination takes a group without the other site.
 *
 *   destination B                                   holder A: gone, cut off, or late to hear
 *   drop what is being received
 *   ══ point of no return: holder B, epoch e+1, forced ══
 *   where there is a standby: it becomes the newest point
 *   set aside points after the chosen one (a fork); or take what a test or a fork wrote on it
 *   serve                                           … hears e+1 ─ fences ─ `set-aside`
 */
import type { SessionState } from '../domain/replication-session.ts';
import { openWindow } from '../domain/failover-window.ts';
import type { FilledStandby } from '../domain/failover-basis.ts';
import type { ForkId, GroupId, PointId, SessionId } from '../domain/ids.ts';
import { newest } from '../domain/recovery-point.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import { seize, standingOn } from '../domain/ownership.ts';
import { afterFailover, afterUndoneFailover } from '../domain/replication-session.ts';
import { adopt, recordAdopted } from './adopt.ts';
import type { Adoption } from './adopt.ts';
import type { Transaction } from '../ports/store.ts';
import { newFork } from './forks.ts';
import { dropPointsAfter, nextSequence } from './points.ts';
import { saga } from './saga.ts';
import type { SagaPorts } from './saga.ts';
import { openGroup, unlockGroup } from './operation.ts';

export interface Failover {
  readonly sessionId: SessionId;
  readonly groupId: GroupId;
  readonly pointId: PointId;
  /** Later points are here, too, and become this fork. */
  readonly forkId: ForkId;
  /** Its present is what a test or a fork wrote above the point, not the point. */
  readonly adopts: Adoption | undefined;
  /** The session's state when it was asked. */
  readonly before: SessionState;
  /** For so long it can be rolled back; absent: it stands at once. */
  readonly commitAfterMs?: number | undefined;
  /** What a mirror has filled is newer than every point here: it becomes this point first. */
  readonly standby?: FilledStandby | undefined;
}

export const failover = saga<Failover>('failover')
  .ifUndone(async (tx, { sessionId, groupId, before }, { sagaId, now }) => {
    await unlockGroup(tx, groupId, sagaId);
    await tx.sessions.change(sessionId, (s) => afterUndoneFailover(s, before, now));
  })
  .step('drop-receiving', {
    do: ({ engine }, { groupId }) => engine.abandonPoint(groupId),
  })
  .pointOfNoReturn(async (tx, { groupId, pointId, commitAfterMs }, _done, { here, now }) => {
    const { name, ownership } = await tx.groups.need(groupId);
    if (ownership.holder === here) {
      const by = 'this site, which was given it meanwhile';
      refuse({ code: 'in_use', what: 'group', id: name, by });
    }
    await tx.groups.change(groupId, (g) => ({
      ...g,
      ownership: seize(g.ownership, here, pointId, commitAfterMs !== undefined),
      window:
        commitAfterMs === undefined
          ? undefined
          : openWindow(g.ownership.holder, commitAfterMs, now),
      fencedBy: undefined,
      offline: false,
      standsOn: pointId,
    }));
  })
  .step('keep-standby', { do: keepStandby })
  .commit('record-standby', async (tx, { groupId, standby }, { 'keep-standby': kept }) => {
    if (standby === undefined || kept.keptAs === undefined) return;
    await insertStandby(tx, groupId, { ...standby, pointId: kept.keptAs });
    await tx.groups.change(groupId, (g) => ({
      ...g,
      standsOn: kept.standsOn,
      ownership: standingOn(g.ownership, kept.standsOn),
    }));
  })
  .step('keep-copy', {
    do: async ({ engine }, { groupId, adopts }) => {
      if (adopts?.copyId === undefined) return;
      await engine.keepCopy(groupId, adopts.copyId, adopts.forkId);
    },
  })
  .step('go-back', {
    do: async (ports, { groupId, forkId, adopts }, { 'keep-standby': { standsOn } }) => {
      if (adopts !== undefined) return adopt(ports, groupId, adopts, forkId);
      const aside = await ports.engine.demote(groupId, standsOn, forkId);
      return { aside, points: [], volumes: [] };
    },
  })
  .commit('record-fork', async (tx, f, done, { here, now }) => {
    const { groupId, forkId, adopts } = f;
    const {
      'go-back': wentBack,
      'keep-standby': { standsOn },
    } = done;
    const { aside } = wentBack;
    if (adopts === undefined) await dropPointsAfter(tx, groupId, standsOn);
    else await recordAdopted(tx, groupId, standsOn, adopts, wentBack);
    if (aside === undefined) return;
    const { name } = await tx.groups.need(groupId);
    const origin = 'failover';
    await tx.forks.insert(newFork({ forkId, groupId, name, here, origin, now }, aside));
  })
  .step('serve', { do: (ports, { groupId }) => openGroup(ports, groupId) })
  .commit('record', async (tx, { sessionId, groupId }, _done, { sagaId, now }) => {
    await unlockGroup(tx, groupId, sagaId);
    await tx.sessions.change(sessionId, (s) => afterFailover(s, 'source', now));
  });

/**
 * @returns what the standby is called as a point, and the point that the failover stands on, which
 *   may be that one. A handover that did not get there may have made it a point before, and not
 *   recorded that: it keeps that name, by which the other site knows it.
 */
async function keepStandby(
  { engine, store }: Pick<SagaPorts, 'engine' | 'store'>,
  { groupId, pointId, standby }: Failover,
): Promise<{ readonly keptAs: PointId | undefined; readonly standsOn: PointId }> {
  if (standby === undefined) return { keptAs: undefined, standsOn: pointId };
  try {
    await engine.keepStandby(groupId, standby.mirrorId, standby.pointId);
    return { keptAs: standby.pointId, standsOn: pointId };
  } catch (error) {
    const isGone = error instanceof Refusal && error.reason.code === 'point_missing';
    const kept = isGone ? (await engine.points(groupId)).at(-1) : undefined;
    const isRecorded = kept && (await store.read((tx) => tx.points.get(kept)));
    if (kept === undefined || isRecorded !== undefined) throw error;
    return { keptAs: kept, standsOn: pointId === standby.pointId ? kept : pointId };
  }
}

/** Nobody else has it: the site that filled it may have written more since. */
async function insertStandby(
  tx: Transaction,
  groupId: GroupId,
  { pointId, completeUpTo }: FilledStandby,
): Promise<void> {
  const { ownership } = await tx.groups.need(groupId);
  const below = newest(await tx.points.where({ groupId }));
  await tx.points.insert({
    id: pointId,
    groupId,
    sequence: await nextSequence(tx, groupId),
    epoch: ownership.epoch - 1,
    sealedAt: completeUpTo,
    // A mirror does not outlive a change of volumes.
    volumes: below?.volumes ?? [],
    commonAt: undefined,
    expiring: false,
  });
}
