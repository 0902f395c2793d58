import type { Instant } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import {
  DEFAULT_STALL_SECONDS,
  MAX_STALL_SECONDS,
  MIN_STALL_SECONDS,
  newSynchrony,
  withFact,
} from '../domain/synchrony.ts';
import type { OnLoss, Synchrony } from '../domain/synchrony.ts';
import type { AppPorts } from './app-ports.ts';

export type SessionMode = 'async' | 'sync';

/** One that is about to become asynchronous is that to whoever asks. */
export function modeOf({ sync }: Pick<ReplicationSession, 'sync'>): SessionMode {
  return sync?.isEnding === false ? 'sync' : 'async';
}

export interface ModeSettings {
  /** `sync`: beside its cycles each write is at both sites before its host is answered. */
  readonly mode?: SessionMode | undefined;
  /** Hosts wait no longer than this for a destination that is lost, 1 to 10. Of a synchronous one. */
  readonly stallSeconds?: number | undefined;
  /** Of a synchronous one; unless told, hosts go on alone. */
  readonly onLoss?: OnLoss | undefined;
  /** Where this machine cannot close a silent connection, hosts may wait for minutes. */
  readonly acceptUnboundedStall?: boolean | undefined;
}

/** @throws Refusal `invalid`, `unsupported` */
export function checkMode(
  { stallBound }: Pick<AppPorts, 'stallBound'>,
  wanted: ModeSettings,
): void {
  const { mode, stallSeconds, acceptUnboundedStall = false } = wanted;
  const isWhole = Number.isSafeInteger(stallSeconds ?? DEFAULT_STALL_SECONDS);
  const seconds = stallSeconds ?? DEFAULT_STALL_SECONDS;
  if (!isWhole || seconds < MIN_STALL_SECONDS || seconds > MAX_STALL_SECONDS) {
    refuse({
      code: 'invalid',
      field: 'stallSeconds',
      wanted: `a whole number from ${MIN_STALL_SECONDS} to ${MAX_STALL_SECONDS}`,
      seen: String(stallSeconds),
    });
  }
  if (mode !== 'sync' || stallBound.possible || acceptUnboundedStall) return;
  refuse({
    code: 'unsupported',
    what: 'a synchronous session',
    why:
      `this machine cannot close a connection that has gone silent (${stallBound.why}), so hosts ` +
      'could wait for minutes; give the server CAP_NET_ADMIN on a kernel with INET_DIAG_DESTROY, ' +
      'or accept an unbounded stall',
  });
}

/** What a new session's mode means. */
export function synchronyOf(
  { mode, stallSeconds, onLoss }: ModeSettings,
  at: Instant,
): Synchrony | undefined {
  if (mode !== 'sync') return undefined;
  const anew = newSynchrony(stallSeconds ?? DEFAULT_STALL_SECONDS, 'the first copy is to come', at);
  return { ...anew, onLoss };
}

/**
 * The session with another mode. One that becomes asynchronous stays synchronous to the destination
 * until a point there has all that its standby has.
 *
 * @throws Refusal `invalid` — a stall or a loss of an asynchronous one
 */
export function withMode(
  session: ReplicationSession,
  { mode, stallSeconds, onLoss }: ModeSettings,
  { at, newestSequence }: { readonly at: Instant; readonly newestSequence: number },
): ReplicationSession {
  const { sync } = session;
  const wanted = mode ?? modeOf(session);
  if (wanted === 'async') {
    const field =
      stallSeconds !== undefined ? 'stallSeconds' : onLoss === undefined ? undefined : 'onLoss';
    if (field !== undefined) {
      const seen = 'an asynchronous session';
      refuse({ code: 'invalid', field, wanted: 'mode sync', seen });
    }
    if (sync?.mirrorId === undefined) return { ...session, sync: undefined };
    const why = 'the session became asynchronous';
    const ended = withFact(session, 'ended', { why, at, newestSequence });
    return { ...ended, sync: ended.sync && { ...ended.sync, isEnding: true } };
  }
  const seconds = stallSeconds ?? sync?.stallSeconds ?? DEFAULT_STALL_SECONDS;
  const kept = sync ?? newSynchrony(seconds, 'the session became synchronous', at);
  const terms = { onLoss: onLoss ?? kept.onLoss, stallSeconds: seconds };
  // A mirror keeps the terms that it was begun with: hosts go on until another is in sync.
  const isNew =
    kept.mirrorId !== undefined && (terms.onLoss !== kept.onLoss || seconds !== kept.stallSeconds);
  const anew = isNew ? { isStale: true, released: true } : {};
  return { ...session, sync: { ...kept, ...terms, ...anew, isEnding: false } };
}
