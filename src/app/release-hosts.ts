import type { SessionId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { AppPorts } from './app-ports.ts';
import { noteFact } from './keep-mirror.ts';

export interface ReleaseHosts {
  readonly sessionId: SessionId;
  readonly by: string;
}

/**
 * Lets the hosts of a session that holds them go on alone, whether they wait now or not. First the
 * session is fractured, which is durable; then the group's data plane is begun anew, since one that
 * holds does not answer: hosts connect again. A repeat lets them go once more. Nothing is held until
 * both sites are in sync again, for which another mirror begins.
 *
 * @throws Refusal `not_found`; `wrong_state` when it is not the source of one that holds
 * @throws Failure when the data plane cannot be ended; the session is fractured then
 */
export async function releaseHosts(
  ports: Pick<AppPorts, 'store' | 'engine' | 'clock' | 'log'>,
  { sessionId, by }: ReleaseHosts,
): Promise<ReplicationSession> {
  const { store, engine } = ports;
  const session = await store.read((tx) => tx.sessions.need(sessionId));
  if (session.role !== 'source' || session.sync?.onLoss !== 'hold') {
    refuse({
      code: 'wrong_state',
      what: 'replication_session',
      id: sessionId,
      state: session.role === 'source' ? 'not one that holds its hosts' : 'a destination',
      event: 'release',
      allowedIn: ['it is the source of a synchronous session with onLoss hold'],
    });
  }
  await noteFact(ports, session, { fact: 'ended', why: `${by} released its hosts` });
  await engine.stopMirror(session.groupId);
  return store.read((tx) => tx.sessions.need(sessionId));
}
