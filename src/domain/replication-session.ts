import type { GroupId, Instant, PointId, SagaId, SessionId, SiteId } from './ids.ts';
import { Refusal } from './refusal.ts';
import { withoutMirror } from './synchrony.ts';
import type { Synchrony } from './synchrony.ts';

export const sessionStates = [
  'initializing',
  'ok',
  'synchronizing',
  'pausing',
  'paused',
  'system_paused',
  'resuming',
  'handing_over',
  'failing_over',
  'failed_over',
  'reprotecting',
  'deleting',
  'error',
] as const;

export type SessionState = (typeof sessionStates)[number];

/** A group's replication to one peer, as one of the two sites sees it. Both use the same id. */
export interface ReplicationSession {
  readonly id: SessionId;
  readonly groupId: GroupId;
  readonly peerId: SiteId;
  readonly role: 'source' | 'destination';
  readonly rpoSeconds: number;
  /** Bytes per second that a cycle may use of the link; absent: all there is. */
  readonly bytesPerSecond: number | undefined;
  /** How many of the newest points the destination keeps. */
  readonly retainedPoints: number;
  /** Of a synchronous session; an asynchronous one has cycles only. */
  readonly sync: Synchrony | undefined;
  readonly state: SessionState;
  readonly stateSince: Instant;
  /** Why the system parked the session, as the operator's sentence. */
  readonly parkedBecause: string | undefined;
  /** Of a session that somebody paused: what it was, and where it is paused. */
  readonly pause: Pause | undefined;
  /**
   * A source begins a new line when its present becomes another one by a restore. A destination
   * names the line that it follows; 0: it has to find out where its own history leaves the source's.
   */
  readonly line: number;
  /**
   * Of a source whose points the destination has none of: the next cycle stands on this one, which only
   * the destination has, and moves what differs by hashes.
   */
  readonly comparesWith?: PointId | undefined;
  readonly cycle: Cycle | undefined;
  readonly lastCycle: CycleReport | undefined;
  readonly createdAt: Instant;
}

export interface Pause {
  readonly before: SessionState;
  /** The other site is paused, too. Else its word was out of reach, or it was paused later. */
  readonly bothSides: boolean;
  /** Of a synchronous one: both copies were the same when it was paused. */
  readonly inSync?: boolean | undefined;
}

/** The cycle that runs now. */
export interface Cycle {
  readonly sagaId: SagaId;
  readonly pointId: PointId;
  readonly startedAt: Instant;
}

/** What the last finished cycle did. Full copies are never silent. */
export interface CycleReport {
  readonly pointId: PointId;
  readonly kind: 'full' | 'delta';
  readonly why: string;
  readonly sealedAt: Instant;
  readonly completedAt: Instant;
  readonly durationMs: number;
  readonly sentBytes: number;
  /** How often a part of it had to be sent again from its beginning. */
  readonly restarts: number;
}

export const MIN_RPO_SECONDS = 5;
export const MAX_RPO_SECONDS = 24 * 60 * 60;
export const DEFAULT_RETAINED_POINTS = 4;
export const MAX_RETAINED_POINTS = 8;

/** What the world reports. A fact cannot be refused, so every state must answer it. */
export const sessionFacts = ['cycle_completed', 'cycle_failed', 'paused_there'] as const;
type Fact = (typeof sessionFacts)[number];

/** What somebody asks for. A command that a row does not list is refused in that state. */
export const sessionCommands = [
  'sync',
  'pause',
  'stop',
  'resume',
  'hand_over',
  'undo_hand_over',
  'fail_over',
  'fail_over_again',
  'reprotect',
  'undo_reprotect',
  'delete',
] as const;
type Command = (typeof sessionCommands)[number];

export type SessionEvent = Fact | Command;

type Row = { readonly [F in Fact]: SessionState } & { readonly [C in Command]?: SessionState };

// oxfmt-ignore
export const transitions: { readonly [S in SessionState]: Row } = {
  initializing:  { cycle_completed: 'ok',           cycle_failed: 'system_paused', paused_there: 'paused',
                   sync: 'initializing', stop: 'paused', fail_over: 'failing_over', delete: 'deleting' },
  ok:            { cycle_completed: 'ok',           cycle_failed: 'system_paused', paused_there: 'paused',
                   sync: 'synchronizing', pause: 'paused', stop: 'paused', hand_over: 'handing_over',
                   fail_over: 'failing_over', delete: 'deleting' },
  synchronizing: { cycle_completed: 'ok',           cycle_failed: 'system_paused', paused_there: 'pausing',
                   pause: 'pausing', stop: 'pausing', hand_over: 'handing_over',
                   fail_over: 'failing_over', delete: 'deleting' },
  pausing:       { cycle_completed: 'paused',       cycle_failed: 'paused',        paused_there: 'pausing',
                   fail_over: 'failing_over' },
  paused:        { cycle_completed: 'paused',       cycle_failed: 'paused',        paused_there: 'paused',
                   resume: 'resuming', fail_over: 'failing_over', delete: 'deleting' },
  system_paused: { cycle_completed: 'ok',           cycle_failed: 'system_paused', paused_there: 'paused',
                   sync: 'synchronizing', pause: 'paused', stop: 'paused',
                   fail_over: 'failing_over', delete: 'deleting' },
  resuming:      { cycle_completed: 'ok',           cycle_failed: 'system_paused', paused_there: 'paused',
                   sync: 'synchronizing', stop: 'paused', fail_over: 'failing_over',
                   delete: 'deleting' },
  handing_over:  { cycle_completed: 'handing_over', cycle_failed: 'handing_over',  paused_there: 'handing_over',
                   undo_hand_over: 'ok', fail_over: 'failing_over' },
  failing_over:  { cycle_completed: 'failing_over', cycle_failed: 'failing_over',  paused_there: 'failing_over' },
  failed_over:   { cycle_completed: 'failed_over',  cycle_failed: 'failed_over',   paused_there: 'failed_over',
                   fail_over_again: 'failing_over', reprotect: 'reprotecting', delete: 'deleting' },
  reprotecting:  { cycle_completed: 'ok',           cycle_failed: 'system_paused', paused_there: 'paused',
                   sync: 'reprotecting', undo_reprotect: 'failed_over',
                   fail_over: 'failing_over', delete: 'deleting' },
  deleting:      { cycle_completed: 'deleting',     cycle_failed: 'deleting',      paused_there: 'deleting',
                   delete: 'deleting' },
  error:         { cycle_completed: 'error',        cycle_failed: 'error',         paused_there: 'error',
                   delete: 'deleting' },
};

/**
 * The session after an event.
 *
 * @throws Refusal `wrong_state` when a command is not possible in the session's state
 */
export function advance(
  session: ReplicationSession,
  event: SessionEvent,
  at: Instant,
): ReplicationSession {
  const { id, state } = session;
  const next = transitions[state][event];
  if (next === undefined) {
    const allowedIn = sessionStates.filter((s) => transitions[s][event] !== undefined);
    throw new Refusal({
      code: 'wrong_state',
      what: 'replication_session',
      id,
      state,
      event,
      allowedIn,
    });
  }
  return next === state ? session : { ...session, state: next, stateSince: at };
}

/** Who receives from now on has to find out, who sends begins a line of its own. */
function lineOf(role: ReplicationSession['role'], { line }: ReplicationSession): number {
  return role === 'source' ? line + 1 : 0;
}

/** Of a session whose roles have just been settled. */
const atRest = {
  cycle: undefined,
  parkedBecause: undefined,
  pause: undefined,
  comparesWith: undefined,
};

/**
 * The session after somebody paused it here, stopped it (also before its first copy is complete), or (`paused_there`) the other site said that it is
 * paused. It remembers what it was; a repeat only learns about the other side.
 *
 * @throws Refusal `wrong_state`
 */
export function pauseBy(
  session: ReplicationSession,
  event: 'pause' | 'stop' | 'paused_there',
  at: Instant,
): ReplicationSession {
  const { state, pause } = session;
  // Paused at one side only, it is paused once more to pause the other, too.
  if (event !== 'paused_there' && state === 'paused' && pause?.bothSides === false) return session;
  const moved = advance(session, event, at);
  if (!isPaused(moved)) return moved;
  const bothSides = event === 'paused_there';
  return {
    ...moved,
    pause:
      isPaused(session) && pause
        ? { ...pause, bothSides: bothSides || pause.bothSides }
        : { before: state, bothSides, ...(session.sync && { inSync: isInSync(session.sync) }) },
  };
}

function isInSync({ condition }: Synchrony): boolean {
  return condition.state === 'in_sync';
}

/**
 * The session after `resume`: what it was. A source that was in the middle of something goes on
 * with a cycle at once.
 *
 * @throws Refusal `wrong_state` unless it is paused
 */
export function resumed(session: ReplicationSession, at: Instant): ReplicationSession {
  const before = session.pause?.before ?? 'ok';
  const moved = { ...advance(session, 'resume', at), pause: undefined };
  const goesOn = session.role === 'source' && before !== 'ok';
  return goesOn ? moved : { ...moved, state: before };
}

/** The source's session once its present has become another one: a cycle tells the destination soon. */
export function newLine(session: ReplicationSession, at: Instant): ReplicationSession {
  const line = session.line + 1;
  const cycles = session.state === 'ok' || session.state === 'system_paused';
  return cycles ? { ...session, line, state: 'resuming', stateSince: at } : { ...session, line };
}

/** Whether somebody paused it, or a cycle is ended for that. */
export function isPaused({ state }: Pick<ReplicationSession, 'state'>): boolean {
  return state === 'paused' || state === 'pausing';
}

/** The session of a failover that did not come to be. */
export function afterUndoneFailover(
  session: ReplicationSession,
  before: SessionState,
  at: Instant,
): ReplicationSession {
  if (session.state !== 'failing_over') return session;
  return { ...session, state: before, stateSince: at };
}

/**
 * The session at either site once the holder has changed. No state may refuse it: the giver is
 * past its point of no return, and whatever a site thought before, the roles are these now.
 */
export function afterHandover(
  session: ReplicationSession,
  role: ReplicationSession['role'],
  reverse: boolean,
  at: Instant,
): ReplicationSession {
  const state = reverse ? 'ok' : 'failed_over';
  const moved = withoutMirror(session, 'the group was handed over', at);
  return { ...moved, role, state, stateSince: at, ...atRest, line: lineOf(role, session) };
}

/** The session at either site once one took the group by itself: no replication either way. */
export function afterFailover(
  session: ReplicationSession,
  role: ReplicationSession['role'],
  at: Instant,
): ReplicationSession {
  const state = 'failed_over';
  const moved = withoutMirror(session, 'the group was failed over', at);
  return { ...moved, role, state, stateSince: at, ...atRest, line: lineOf(role, session) };
}

/** Whether cycles start by themselves in this state. */
export function cyclesByItself(session: ReplicationSession): boolean {
  return (
    session.role === 'source' &&
    session.cycle === undefined &&
    transitions[session.state].sync !== undefined
  );
}
