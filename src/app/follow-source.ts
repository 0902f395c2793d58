import { newId } from '../domain/ids.ts';
import type { ForkId, PointId, SagaId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import { followLine } from '../sagas/go-back.ts';
import { lockGroup } from '../sagas/operation.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts } from './app-ports.ts';

/**
 * Before the destination receives on a line that is new to it, what it has after the point where
 * that leaves its own history becomes a fork. Returns when that is done; does nothing on the line
 * that it follows already.
 *
 * @throws Refusal `wrong_state` — a late word about a line that the source has left;
 *   `operation_running`, `point_missing`
 */
export async function followSource(
  { store, clock, sagas }: Pick<AppPorts, 'store' | 'clock' | 'sagas'>,
  { id: sessionId, groupId }: ReplicationSession,
  line: number,
  basePointId: PointId | undefined,
): Promise<void> {
  const job = await store.transaction(async (tx) => {
    const session = await tx.sessions.need(sessionId);
    if (session.line === line) return undefined;
    if (session.line > line) {
      refuse({
        code: 'wrong_state',
        what: 'replication_session',
        id: sessionId,
        state: `on line ${session.line} of its source`,
        event: `receive on line ${line}`,
        allowedIn: ['that line is the newest'],
      });
    }
    const base = basePointId && (await tx.points.get(basePointId));
    if (basePointId !== undefined && (base === undefined || base.expiring)) {
      refuse({ code: 'point_missing', groupId, pointId: basePointId });
    }
    const points = await tx.points.where({ groupId });
    const isParted = base !== undefined && points.some((p) => p.sequence > base.sequence);
    if (!isParted || base === undefined) {
      await tx.sessions.change(sessionId, (s) => ({ ...s, line }));
      return undefined;
    }
    const sagaId = newId<SagaId>();
    await lockGroup(tx, groupId, sagaId);
    const asideForkId = newId<ForkId>();
    const input = { groupId, sessionId, line, pointId: base.id, asideForkId };
    return startSaga(tx, followLine, input, { sagaId, groupId, now: clock.now() });
  });
  if (job !== undefined) await sagas.ended(job);
}
