import type { SessionId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { advance } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here' | 'sagas'>;

/**
 * Stops cycles until `resumeSession`; changes add up and travel as one delta afterwards. A running
 * cycle is ended; what it has sent already is kept.
 *
 * @throws Refusal `not_found`, `not_holder`, `wrong_state`
 */
export async function pauseSession(
  { store, clock, here, sagas }: Deps,
  { sessionId, by }: { readonly sessionId: SessionId; readonly by: string },
): Promise<ReplicationSession> {
  const paused = await change({ store, clock, here }, sessionId, 'pause');
  if (paused.cycle !== undefined) await sagas.abort(paused.cycle.sagaId, by);
  return paused;
}

/**
 * Goes on from where the pause began.
 *
 * @throws Refusal `not_found`, `not_holder`, `wrong_state` — also when the system parked it
 */
export function resumeSession(
  ports: Omit<Deps, 'sagas'>,
  { sessionId }: { readonly sessionId: SessionId },
): Promise<ReplicationSession> {
  return change(ports, sessionId, 'resume');
}

function change(
  { store, clock, here }: Omit<Deps, 'sagas'>,
  sessionId: SessionId,
  command: 'pause' | 'resume',
): Promise<ReplicationSession> {
  return store.transaction(async (tx) => {
    const { groupId } = await tx.sessions.need(sessionId);
    requireHolder(groupId, (await tx.groups.need(groupId)).ownership, here);
    return tx.sessions.change(sessionId, (s) => advance(s, command, clock.now()));
  });
}
