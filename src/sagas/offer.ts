import type { GroupId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { GroupOffer } from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import { offeredPolicy } from './policies.ts';

/** The one session of a group. */
export async function sessionOf(
  tx: Transaction,
  groupId: GroupId,
): Promise<ReplicationSession | undefined> {
  return (await tx.sessions.where({ groupId }))[0];
}

/** @throws Refusal `not_protected` */
export async function needSession(tx: Transaction, groupId: GroupId): Promise<ReplicationSession> {
  return (await sessionOf(tx, groupId)) ?? refuse({ code: 'not_protected', groupId });
}

/** Everything about a group that its destination needs, as it is now. */
export async function offerOf(tx: Transaction, session: ReplicationSession): Promise<GroupOffer> {
  const group = await tx.groups.need(session.groupId);
  const volumes = await Promise.all(group.volumeIds.map((id) => tx.volumes.need(id)));
  return {
    groupId: group.id,
    name: group.name,
    description: group.description,
    implicit: group.implicit,
    ownership: group.ownership,
    hosts: group.hosts,
    policy: await offeredPolicy(tx, group),
    createdAt: group.createdAt,
    volumes: volumes
      .filter((v) => v.state === 'ready')
      .map(({ id, name, serial, sizeBytes, standIn, createdAt }) => ({
        id,
        name,
        serial,
        sizeBytes,
        standIn,
        createdAt,
      })),
    session: {
      id: session.id,
      rpoSeconds: session.rpoSeconds,
      bytesPerSecond: session.bytesPerSecond,
      retainedPoints: session.retainedPoints,
      line: session.line,
      sync: session.sync && { stallSeconds: session.sync.stallSeconds },
      createdAt: session.createdAt,
    },
  };
}
