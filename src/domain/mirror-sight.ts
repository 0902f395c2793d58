import type { ConditionFact } from './data-condition.ts';
import type { MirrorId } from './ids.ts';
import { isCompared } from './synchrony.ts';
import type { MirrorState, Synchrony } from './synchrony.ts';

/** What a source knows of its mirror at one look. */
export interface MirrorSight {
  readonly state: MirrorState | 'silent';
  /** Of a failed one. */
  readonly why: string | undefined;
  /** How long a write has been waiting for the standby. */
  readonly waitingMs: number;
  /** How long ago the other site was heard of; undefined: never. */
  readonly heardAgoMs: number | undefined;
  /** How long the standby's data plane has not been the one that opened it, as far as was heard. */
  readonly strangerMs: number;
  /** The mirror whose standby the destination says is complete. */
  readonly recorded: MirrorId | undefined;
}

/** A write that waits this long has met a link or a daemon that is silent; it is cut. */
export function cutAfterMs({ stallSeconds }: Pick<Synchrony, 'stallSeconds'>): number {
  if (stallSeconds > 2) return 1000;
  return stallSeconds > 1 ? 500 : 300;
}

/** A year: no loss ends by itself that is to be waited for. */
export const HOLD_SECONDS = 365 * 24 * 60 * 60;

/**
 * What is left of the bound for connecting again once a connection has gone. Longer than a waiting
 * write needs to be noticed: the session is fractured before its hosts go on alone.
 */
export function reconnectSeconds({
  stallSeconds,
  onLoss,
}: Pick<Synchrony, 'stallSeconds' | 'onLoss'>): number {
  if (onLoss === 'hold') return HOLD_SECONDS;
  return Math.max(1, stallSeconds - 1);
}

const LEAST_FRESH_MS = 1500;
/** A daemon that has just been started is heard of only with the next heartbeats. */
const STRANGER_LIMIT_MS = 2500;

export interface Judgement {
  readonly fact: ConditionFact;
  readonly why: string;
}

/** Whether hosts are to wait for the destination: they have been in sync, and nobody let them go. */
function mayMakeWait({ released, condition }: Synchrony): boolean {
  return released !== true && condition.state !== 'catching_up';
}

/**
 * What a look at the mirror means for the session. In sync are two copies only while every volume is
 * level, what was written while they were parted has been compared, nothing waits, the standby's data
 * plane is the one that opened it and was heard of lately, and the destination has recorded that it
 * is complete.
 */
export function judge(sync: Synchrony, sight: MirrorSight): Judgement | undefined {
  const { state, waitingMs, heardAgoMs, strangerMs } = sight;
  const says = (fact: ConditionFact, why: string): Judgement => ({ fact, why });
  if (state === 'failed') return says('broken', sight.why ?? 'the mirror failed');
  if (state === 'absent') {
    const isMissed = sync.condition.state === 'in_sync';
    return isMissed ? says('broken', 'the mirror is gone') : undefined;
  }
  if (strangerMs >= STRANGER_LIMIT_MS) return says('broken', 'the standby lost its data plane');
  if (state === 'silent') return says('held_up', 'the data plane here does not answer');
  if (waitingMs >= cutAfterMs(sync)) {
    const why = `a write has waited ${Math.round(waitingMs)} ms for the other site`;
    // A mirror of such a session would hold it for a year, and was to hold nothing yet.
    const isForNothing = sync.onLoss === 'hold' && !mayMakeWait(sync);
    return says(isForNothing ? 'broken' : 'held_up', why);
  }
  const freshMs = Math.max(LEAST_FRESH_MS, sync.stallSeconds * 1000);
  if (heardAgoMs === undefined || heardAgoMs > freshMs) {
    return says('held_up', 'the other site is not heard of');
  }
  if (strangerMs > 0) return says('held_up', 'the standby may have lost its data plane');
  const isComparing = !isCompared(sync);
  if (state === 'copying' || isComparing || sight.recorded !== sync.mirrorId) return undefined;
  return says('levelled', 'every write is at both sites');
}
