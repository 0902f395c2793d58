import type { SessionId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import { withStaleMirror } from '../domain/synchrony.ts';
import { noteOfMirror } from '../sagas/operation.ts';
import type { AppPorts } from './app-ports.ts';

export interface ReleaseHosts {
  readonly sessionId: SessionId;
  readonly by: string;
}

/**
 * Lets the hosts of a session that holds them go on alone, whether they wait now or not. First the
 * session is fractured, which is durable; then the group's data plane is begun anew, since one that
 * holds does not answer: hosts connect again. A repeat lets them go once more. Nothing is held until
 * both sites are in sync again, for which another mirror begins. Where this process dies in between,
 * the watch of the mirror carries it on.
 *
 * @throws Refusal `not_found`; `wrong_state` when it is not the source of one that holds
 * @throws Failure when the data plane cannot be ended; the session is fractured then, and it
 *   is tried again until it is done
 */
export async function releaseHosts(
  ports: Pick<AppPorts, 'store' | 'engine' | 'clock' | 'log'>,
  { sessionId, by }: ReleaseHosts,
): Promise<ReplicationSession> {
  const { store, engine, clock, log } = ports;
  const { groupId } = await store.transaction(async (tx) => {
    const session = await tx.sessions.need(sessionId);
    requireHolding(session);
    const why = `${by} released its hosts`;
    await noteOfMirror(tx, session.groupId, 'ended', why, clock.now());
    return tx.sessions.change(sessionId, withStaleMirror);
  });
  log.warn({ event: 'hosts_released', groupId, by });
  await engine.stopMirror(groupId);
  return store.read((tx) => tx.sessions.need(sessionId));
}

/** One that was told to go on has a mirror yet that was begun to hold. */
function requireHolding({ id, role, sync }: ReplicationSession): void {
  if (role === 'source' && (sync?.onLoss === 'hold' || sync?.isStale === true)) return;
  refuse({
    code: 'wrong_state',
    what: 'replication_session',
    id,
    state: role === 'source' ? 'not one that holds its hosts' : 'a destination',
    event: 'release',
    allowedIn: ['it is the source of a synchronous session with onLoss hold'],
  });
}
