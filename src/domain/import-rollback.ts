import type { ImportSession } from './import-session.ts';
import { advanceImport } from './import-session.ts';
import type { Instant } from './ids.ts';
import { refuse } from './refusal.ts';

/** Hosts may be taken back to the source until then, with every write that they got an answer for. */
export interface RollbackWindow {
  readonly until: Instant;
  readonly source: SourceCondition;
  readonly since: Instant;
  /** To be written to the source yet, as far as that is known. */
  readonly leftBytes: number;
  /** Why it is not in step, or why all there is goes to it. */
  readonly why: string | undefined;
}

/**
 * `in_step`: a host gets an answer once the source has its write, too. `catching_up`: what it lacks is
 * on its way. `behind`: it is not written now, and tried again.
 */
export const sourceConditions = ['catching_up', 'in_step', 'behind'] as const;
export type SourceCondition = (typeof sourceConditions)[number];

export const MIN_ROLLBACK_SECONDS = 60;
export const MAX_ROLLBACK_SECONDS = 30 * 24 * 60 * 60;

/** What begins with the cut-over; undefined where nobody has asked for it. */
export function openedWindow(
  { settings: { rollbackForSeconds } }: Pick<ImportSession, 'settings'>,
  now: Instant,
): RollbackWindow | undefined {
  if (rollbackForSeconds === undefined) return undefined;
  const until = now + rollbackForSeconds * 1000;
  return { until, source: 'catching_up', since: now, leftBytes: 0, why: undefined };
}

export function isWindowOver({ until }: RollbackWindow, now: Instant): boolean {
  return now >= until;
}

/** The same window, and since when what is seen now is so. */
export function withSource(
  window: RollbackWindow,
  seen: Pick<RollbackWindow, 'source' | 'leftBytes' | 'why'>,
  now: Instant,
): RollbackWindow {
  return { ...window, ...seen, since: seen.source === window.source ? window.since : now };
}

/**
 * @throws Refusal `wrong_state` in another state; `unsupported` where no source is kept, or no longer;
 *   `busy` while it lacks what hosts have written
 */
export function beginRollback(session: ImportSession, now: Instant): ImportSession {
  const { rollback, groupId } = session;
  const begun = advanceImport(session, 'roll_back', now);
  const what = `rolling back import ${session.name}`;
  if (rollback === undefined) {
    const why = 'its source is not kept current, so it lacks what was written since the cut-over';
    return refuse({ code: 'unsupported', what, why });
  }
  if (isWindowOver(rollback, now)) {
    return refuse({ code: 'unsupported', what, why: 'its term is over, and the source is let go' });
  }
  if (rollback.source !== 'in_step')
    return refuse({ code: 'busy', groupId, doing: lacking(rollback) });
  return begun;
}

function lacking({ source, leftBytes, why }: RollbackWindow): string {
  const because = why === undefined ? '' : `: ${why}`;
  if (source === 'behind') return `the source is not in step${because}`;
  return `the source is not in step, ${leftBytes} bytes are on their way to it${because}`;
}

/**
 * Ends the window before its term.
 *
 * @throws Refusal `unsupported` where there is none
 */
export function closeWindow(session: ImportSession, now: Instant): ImportSession {
  const { rollback, state } = session;
  if (rollback !== undefined && state === 'completed') {
    return { ...session, rollback: { ...rollback, until: Math.min(rollback.until, now) } };
  }
  const why = 'its source is not kept current';
  return refuse({
    code: 'unsupported',
    what: `letting the source of import ${session.name} go`,
    why,
  });
}
