import type { GroupId } from '../domain/ids.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { ForgottenPoints } from '../ports/engine.ts';
import type { SagaPorts } from './saga.ts';

/** Which points a site may let go of now. */
export type RetentionPlan = (
  session: ReplicationSession,
  points: readonly RecoveryPoint[],
) => readonly RecoveryPoint[];

/** Merging competes with hosts for the disk; this much leaves them most of it. */
const MERGE_BYTES_PER_SECOND = 64 * 1024 * 1024;

type Deps = Pick<SagaPorts, 'store' | 'engine'>;

/**
 * Carries a plan out, unless an operation has the group. Rows are marked before bytes go, so that
 * nobody can choose a point that is being merged away; a crash in between is found and finished by
 * the next.
 *
 * @returns undefined when there was nothing to do
 */
export async function forgetPoints(
  ports: Deps,
  session: ReplicationSession,
  plan: RetentionPlan,
): Promise<ForgottenPoints | undefined> {
  const past = await mark(ports, session, plan);
  return past.length > 0 ? forget(ports, session.groupId, past) : undefined;
}

function mark(
  { store }: Deps,
  { id, groupId }: ReplicationSession,
  plan: RetentionPlan,
): Promise<readonly RecoveryPoint[]> {
  return store.transaction(async (tx) => {
    const group = await tx.groups.get(groupId);
    const session = await tx.sessions.get(id);
    if (group === undefined || session === undefined || group.operation !== undefined) return [];
    const past = plan(session, await tx.points.where({ groupId }));
    for (const point of past) await tx.points.change(point.id, (p) => ({ ...p, expiring: true }));
    return past;
  });
}

async function forget(
  { store, engine }: Deps,
  groupId: GroupId,
  past: readonly RecoveryPoint[],
): Promise<ForgottenPoints> {
  const ids = past.map((p) => p.id);
  const limit = { bytesPerSecond: MERGE_BYTES_PER_SECOND };
  const answer = await engine.forgetPoints(groupId, ids, limit);
  await store.transaction(async (tx) => {
    for (const id of answer.forgotten) await tx.points.remove(id);
  });
  return answer;
}
