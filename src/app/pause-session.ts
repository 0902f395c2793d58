/**
 * Pause and resume, at either side:
 *
 *   here: paused ──▶ there: paused too          a side that cannot be reached goes on unpaused;
 *                                               a second pause, later, pauses it, too
 *   there: resumed ──▶ here: resumed            never one side alone
 */
import type { Instant, SagaId, SessionId } from '../domain/ids.ts';
import { requireEpoch } from '../domain/ownership.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import { advance, isPaused, pauseBy, resumed } from '../domain/replication-session.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { PauseRequest } from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import { noteOfMirror } from '../sagas/operation.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'sagas' | 'peer'>;

export interface PauseSession {
  readonly sessionId: SessionId;
  readonly by: string;
  /** `stop` is possible while the first copy is made, too. */
  readonly event?: 'pause' | 'stop';
}

/**
 * Stops cycles at both sides until `resumeSession`; changes add up and travel as one delta
 * afterwards. A running cycle is ended; what it has sent already is kept. Where the other site does
 * not answer, or is in a state that cannot be paused, only this side is: `pause.bothSides` tells.
 *
 * @throws Refusal `not_found`, `wrong_state` — also when both sides are paused already
 */
export async function pauseSession(
  ports: Deps,
  { sessionId, by, event = 'pause' }: PauseSession,
): Promise<ReplicationSession> {
  const { store, clock } = ports;
  const paused = await store.transaction((tx) => pauseHere(tx, sessionId, event, clock.now()));
  await endCycle(ports, paused, by);
  if (!(await tell(ports, paused, true))) return paused;
  return store.transaction((tx) =>
    tx.sessions.change(sessionId, (s) =>
      isPaused(s) ? pauseBy(s, 'paused_there', clock.now()) : s,
    ),
  );
}

/**
 * Both sides go on from where the pause began.
 *
 * @throws Refusal `not_found`, `peer_unreachable`, `wrong_state` — also when only one side is
 *   paused, and when the system parked it (`sync` goes on then)
 */
export async function resumeSession(
  ports: Deps,
  { sessionId }: { readonly sessionId: SessionId },
): Promise<ReplicationSession> {
  const { store, clock } = ports;
  const paused = await store.read((tx) => tx.sessions.need(sessionId));
  advance(paused, 'resume', clock.now());
  if (!(await tell(ports, paused, false))) {
    // So that a second pause is possible: the other side may have been resumed without our hearing.
    await store.transaction((tx) =>
      tx.sessions.change(sessionId, (s) =>
        s.pause ? { ...s, pause: { ...s.pause, bothSides: false } } : s,
      ),
    );
    refuseOneSided(paused);
  }
  return store.transaction((tx) => tx.sessions.change(sessionId, (s) => resumed(s, clock.now())));
}

/**
 * The other site's word that somebody paused or resumed the session there. A repeated pause changes
 * nothing.
 *
 * @throws Refusal `not_protected`, `stale_epoch`, `wrong_state` — it cannot be paused, or it is to
 *   be resumed and is not paused here
 */
export async function hearPause(
  ports: Pick<Deps, 'store' | 'clock' | 'sagas'>,
  request: PauseRequest,
): Promise<void> {
  const { store, clock } = ports;
  const now = clock.now();
  const changed = await store.transaction(async (tx) => {
    const session = await sessionNamed(tx, request);
    if (!request.paused) return tx.sessions.change(session.id, (s) => resumed(s, now));
    const paused = await pauseHere(tx, session.id, 'paused_there', now);
    return isPaused(paused) ? paused : refuseState(paused, 'pause', ['ok', 'synchronizing']);
  });
  if (request.paused) await endCycle(ports, changed, 'the other site, where it was paused');
}

/** Hosts of a synchronous one write here alone from then on: that is said before they may. */
async function pauseHere(
  tx: Transaction,
  sessionId: SessionId,
  event: Parameters<typeof pauseBy>[1],
  now: Instant,
): Promise<ReplicationSession> {
  const paused = await tx.sessions.change(sessionId, (s) => pauseBy(s, event, now));
  if (!isPaused(paused) || paused.role !== 'source') return paused;
  await noteOfMirror(tx, paused.groupId, 'ended', `the session is ${paused.state}`, now);
  return tx.sessions.need(sessionId);
}

async function sessionNamed(
  tx: Transaction,
  { groupId, sessionId, epoch }: PauseRequest,
): Promise<ReplicationSession> {
  const group = await tx.groups.get(groupId);
  const session = await tx.sessions.get(sessionId);
  if (group === undefined || session === undefined) {
    return refuse({ code: 'not_protected', groupId });
  }
  requireEpoch(groupId, group.ownership, epoch);
  return session;
}

/** @returns whether the other side did the same */
async function tell(
  { store, peer }: Deps,
  { id: sessionId, groupId, peerId }: ReplicationSession,
  paused: boolean,
): Promise<boolean> {
  const { epoch } = (await store.read((tx) => tx.groups.need(groupId))).ownership;
  try {
    await peer.pauseSession(peerId, { groupId, sessionId, epoch, paused });
    return true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { code } = error.reason;
    if (paused || code === 'wrong_state') return false;
    // It knows no session that could be paused there; the next cycle's offer makes it one.
    if (code === 'not_protected') return true;
    throw error;
  }
}

/** Where it has ended meanwhile there is nothing to end. */
async function endCycle(
  { sagas }: Pick<Deps, 'sagas'>,
  { cycle }: ReplicationSession,
  by: string,
): Promise<void> {
  if (cycle === undefined) return;
  const sagaId: SagaId = cycle.sagaId;
  await sagas.abort(sagaId, by).catch((error: unknown) => {
    if (!(error instanceof Refusal)) throw error;
  });
}

function refuseOneSided(session: ReplicationSession): never {
  const allowedIn = ['paused at both sides; pause it once more first'];
  return refuseState({ ...session, state: 'paused' }, 'resume', allowedIn, ' at this side only');
}

function refuseState(
  { id, state }: ReplicationSession,
  event: string,
  allowedIn: readonly string[],
  where = '',
): never {
  const what = 'replication_session';
  return refuse({ code: 'wrong_state', what, id, state: `${state}${where}`, event, allowedIn });
}
