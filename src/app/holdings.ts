import type { Group } from '../domain/group.ts';
import type { GroupId } from '../domain/ids.ts';
import { newestCommon } from '../domain/recovery-point.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { SagaProgress } from '../domain/saga-record.ts';
import type { HeldGroup, HeldSession, Holdings } from '../ports/errands.ts';
import type { Transaction } from '../ports/store.ts';
import { failover } from '../sagas/failover.ts';
import { handover } from '../sagas/handover.ts';
import { sessionOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';

const OF_THE_OTHER_SITE = 'operation of the other site';

/** What this site holds, as its peers hear it. */
export function describeHoldings({
  store,
  here,
}: Pick<AppPorts, 'store' | 'here'>): Promise<Holdings> {
  return store.read(async (tx) => {
    const groups = (await tx.groups.all()).filter((g) => g.ownership.holder === here);
    return { groups: await Promise.all(groups.map((group) => describe(tx, group))) };
  });
}

/** A group as this site knows it, whoever holds it. */
export async function describe(tx: Transaction, group: Group): Promise<HeldGroup> {
  const { id, name, description = '', implicit, ownership, hosts, createdAt } = group;
  const session = await sessionOf(tx, id);
  const operation = group.operation && (await tx.sagas.get(group.operation));
  const volumes = await Promise.all(group.volumeIds.map((volumeId) => tx.volumes.need(volumeId)));
  return {
    id,
    name,
    description,
    implicit,
    ownership,
    hosts,
    volumes: volumes.map((v) => ({
      id: v.id,
      name: v.name,
      sizeBytes: v.sizeBytes,
      state: v.state,
      standIn: v.standIn,
      createdAt: v.createdAt,
    })),
    operation: operation?.kind ?? (group.operation && OF_THE_OTHER_SITE),
    undoneMove: session && (await undoneMove(tx, id, session)),
    session: session && (await describeSession(tx, session)),
    createdAt,
  };
}

async function describeSession(tx: Transaction, session: ReplicationSession): Promise<HeldSession> {
  const { id, peerId, state, stateSince, groupId, cycle } = session;
  const point = newestCommon(await tx.points.where({ groupId }));
  const progress = cycle && (await tx.sagas.get(cycle.sagaId))?.progress;
  return {
    id,
    peerId,
    state,
    stateSince,
    dataCondition: session.pause?.inSync === true ? 'in_sync' : session.sync?.condition.state,
    newestPointAt: point?.sealedAt,
    progressPercent: progress && percentOf(progress),
  };
}

function percentOf({ sentBytes, totalBytes }: SagaProgress): number {
  return totalBytes === 0 ? 0 : Math.min(100, Math.floor((100 * sentBytes) / totalBytes));
}

/** One that somebody aborted is no trouble; and once the session has moved on it is history. */
async function undoneMove(
  tx: Transaction,
  groupId: GroupId,
  { stateSince }: ReplicationSession,
): Promise<HeldGroup['undoneMove']> {
  const moves = await Promise.all(
    [handover.kind, failover.kind].map((kind) => tx.sagas.where({ groupId, kind })),
  );
  const last = moves
    .flat()
    .toSorted((a, b) => a.startedAt - b.startedAt)
    .at(-1);
  if (last?.state !== 'undone' || last.outcome?.reason?.code === 'aborted') return undefined;
  if (last.endedAt === undefined || stateSince > last.endedAt) return undefined;
  return last.kind === handover.kind ? 'handover' : 'failover';
}
