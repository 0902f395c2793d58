import type { GroupId } from '../domain/ids.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import { LONG_CHAIN_LAYERS, overdue } from '../domain/retention-plan.ts';
import type { ForgottenPoints } from '../ports/engine.ts';
import type { SagaPorts } from './saga.ts';

/** Which points a site may let go of now. */
export type RetentionPlan = (
  session: ReplicationSession,
  points: readonly RecoveryPoint[],
) => readonly RecoveryPoint[];

/** Merging competes with hosts for the disk; this much leaves them most of it. */
const MERGE_BYTES_PER_SECOND = 64 * 1024 * 1024;
/** How long a cycle waits for merges at each site. An RPO that is missed is worse than a long chain. */
const MERGE_PATIENCE_MS = 30_000;

type Deps = Pick<SagaPorts, 'store' | 'engine'>;

/**
 * Carries a plan out, unless an operation has the group, and merges what an earlier call was
 * interrupted in. Rows are marked before bytes go, so that nobody can choose a point that is being
 * merged away; a crash in between is found and finished by the next.
 */
export async function forgetPoints(
  ports: Deps,
  session: ReplicationSession,
  plan: RetentionPlan,
): Promise<ForgottenPoints> {
  return forget(ports, session.groupId, await mark(ports, session, plan));
}

/**
 * Before another point comes: merges at this site what no plan may leave to later. Cycles that
 * follow each other closely leave no time for it in between, and a merge that a send interrupts
 * leaves layers that no point counts any more; so it is the engine that says how long chains are.
 * Returns after `MERGE_PATIENCE_MS` at the latest; the next cycle goes on with it.
 */
export async function keepChainsShort(
  ports: Deps & Pick<SagaPorts, 'clock'>,
  session: ReplicationSession,
  signal?: AbortSignal,
): Promise<void> {
  const { engine, clock } = ports;
  const { groupId } = session;
  const past = await mark(ports, session, overdue);
  const { volumes } = await engine.inspect(groupId);
  if (past.length === 0 && volumes.every(({ layers }) => layers <= LONG_CHAIN_LAYERS)) return;
  const enough = new AbortController();
  const patience = clock
    .sleep(MERGE_PATIENCE_MS, AbortSignal.any([enough.signal, ...(signal ? [signal] : [])]))
    .then(() => enough.abort());
  try {
    await forget(ports, groupId, past, enough.signal);
  } finally {
    enough.abort();
    await patience;
  }
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
    const shown = new Set((await tx.copies.where({ groupId })).map((copy) => copy.basePointId));
    const planned = plan(session, await tx.points.where({ groupId }));
    const past = planned.filter((point) => !shown.has(point.id));
    for (const point of past) await tx.points.change(point.id, (p) => ({ ...p, expiring: true }));
    return past;
  });
}

async function forget(
  { store, engine }: Deps,
  groupId: GroupId,
  past: readonly RecoveryPoint[],
  signal?: AbortSignal,
): Promise<ForgottenPoints> {
  const ids = past.map((p) => p.id);
  const limit = { bytesPerSecond: MERGE_BYTES_PER_SECOND, signal };
  const answer = await engine.forgetPoints(groupId, ids, limit);
  if (answer.forgotten.length > 0) {
    await store.transaction(async (tx) => {
      for (const id of answer.forgotten) await tx.points.remove(id);
    });
  }
  return answer;
}
