import { cycleIsDue } from '../domain/cycle-plan.ts';
import { newId } from '../domain/ids.ts';
import type { Instant, PointId, SagaId, SiteId } from '../domain/ids.ts';
import { advance, cyclesByItself } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { Transaction } from '../ports/store.ts';
import { startCycle } from '../sagas/replicate.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

/** Starts a cycle for every session of this site's that is due and may. */
export async function startDueCycles({ store, clock, here }: Deps): Promise<void> {
  const now = clock.now();
  const due = await store.read((tx) => dueSessions(tx, here, now));
  for (const { id } of due) {
    await store.transaction(async (tx) => {
      const session = await tx.sessions.get(id);
      if (session === undefined || !(await isDue(tx, session, here, now))) return;
      const moved = await tx.sessions.change(id, (s) => advance(s, 'sync', now));
      const sagaId = newId<SagaId>();
      await startCycle(tx, { session: moved, sagaId, pointId: newId<PointId>(), now });
    });
  }
}

async function dueSessions(
  tx: Transaction,
  here: SiteId,
  now: Instant,
): Promise<readonly ReplicationSession[]> {
  const due: ReplicationSession[] = [];
  for (const session of await tx.sessions.where({ role: 'source' })) {
    if (await isDue(tx, session, here, now)) due.push(session);
  }
  return due;
}

async function isDue(
  tx: Transaction,
  session: ReplicationSession,
  here: SiteId,
  now: Instant,
): Promise<boolean> {
  if (!cyclesByItself(session)) return false;
  const group = await tx.groups.get(session.groupId);
  if (group === undefined || group.operation !== undefined || group.ownership.holder !== here)
    return false;
  // A parked session waits for the link, too: the watch sees it return.
  if ((await tx.links.get(session.peerId))?.state === 'down') return false;
  return cycleIsDue(session, await tx.points.where({ groupId: group.id }), now);
}
