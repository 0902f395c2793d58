import type { GroupId } from '../domain/ids.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import { expendable } from '../domain/retention-plan.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'engine' | 'log'>;

/** Merging competes with hosts for the disk; this much leaves them most of it. */
const MERGE_BYTES_PER_SECOND = 64 * 1024 * 1024;

/**
 * Carries out each session's retention plan. Rows are marked before bytes go, so that nobody can
 * choose a point that is being merged away; a crash in between is found and finished by the next.
 */
export async function forgetExpendablePoints(ports: Deps): Promise<void> {
  const sessions = await ports.store.read((tx) => tx.sessions.all());
  for (const session of sessions) {
    // The source merges between its cycles: a send reads the chain that a merge would change.
    if (session.cycle !== undefined || session.state === 'handing_over') continue;
    const past = await mark(ports, session);
    if (past.length > 0) await forget(ports, session.groupId, past);
  }
}

function mark(
  { store }: Deps,
  { id, groupId }: ReplicationSession,
): Promise<readonly RecoveryPoint[]> {
  return store.transaction(async (tx) => {
    const group = await tx.groups.get(groupId);
    const session = await tx.sessions.get(id);
    if (group === undefined || session === undefined || group.operation !== undefined) return [];
    const past = expendable(session, await tx.points.where({ groupId }));
    for (const point of past) await tx.points.change(point.id, (p) => ({ ...p, expiring: true }));
    return past;
  });
}

async function forget(
  { store, engine, log }: Deps,
  groupId: GroupId,
  past: readonly RecoveryPoint[],
): Promise<void> {
  const ids = past.map((p) => p.id);
  const limit = { bytesPerSecond: MERGE_BYTES_PER_SECOND };
  const { forgotten, kept } = await engine.forgetPoints(groupId, ids, limit);
  await store.transaction(async (tx) => {
    for (const id of forgotten) await tx.points.remove(id);
  });
  log.info({ event: 'points_forgotten', groupId, forgotten: forgotten.length, kept: kept.length });
}
