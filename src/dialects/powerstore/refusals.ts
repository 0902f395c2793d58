import type { Reason, ReasonCode } from '../../domain/refusal.ts';
import type { Subject } from '../../domain/refusal.ts';
import type { Code } from './codes.ts';

type ReasonOf<C extends ReasonCode> = Extract<Reason, { readonly code: C }>;

/** How this dialect says each refusal; where the vendor has more words, by the facts of the case. */
export const said: { readonly [C in ReasonCode]: Code | ((reason: ReasonOf<C>) => Code) } = {
  invalid: 'invalid_body',
  unauthenticated: 'unauthenticated',
  too_many_logins: 'unauthenticated',
  forbidden: 'forbidden',
  not_found: ({ what }) => unknown[what] ?? 'no_such_instance',
  point_missing: 'no_such_instance',
  already_exists: ({ what }) => taken[what] ?? 'name_exists',
  limit_reached: 'volume_failed',
  wrong_state: ({ what, event, state }) => {
    if (what === 'import_session') return 'import_failed';
    const isTaken = event === 'fail_over' && state === 'failed_over';
    return isTaken ? 'already_failed_over' : 'session_failed';
  },
  operation_running: 'session_failed',
  not_holder: 'session_failed',
  stale_epoch: 'session_failed',
  not_protected: 'session_failed',
  already_protected: 'session_failed',
  peer_untrusted: 'remote_system_failed',
  peer_in_use: 'remote_system_failed',
  peer_unreachable: 'remote_system_failed',
  source_unreachable: 'remote_system_failed',
  no_common_point: 'session_failed',
  confirmation_needed: 'session_failed',
  in_use: ({ what }) => usedBy[what] ?? 'volume_failed',
  past_point_of_no_return: 'session_failed',
  aborted: 'session_failed',
  busy: 'session_failed',
  freeze_too_long: 'session_failed',
  no_space: 'volume_failed',
  unsupported: 'not_offered',
};

const unknown: { readonly [S in Subject]?: Code } = {
  volume: 'volume_not_found',
  // There is no failover test to stop: the session is in the wrong state for it.
  copy: 'session_failed',
  protection_policy: 'policy_not_found',
  replication_rule: 'policy_not_found',
};

const taken: { readonly [S in Subject]?: Code } = {
  volume: 'volume_exists',
  copy: 'session_failed',
  protection_policy: 'policy_exists',
  replication_rule: 'policy_exists',
};

const usedBy: { readonly [S in Subject]?: Code } = {
  protection_policy: 'policy_failed',
  replication_rule: 'policy_failed',
  peer: 'remote_system_failed',
  import_source: 'remote_system_failed',
  import_session: 'import_failed',
};

export function wordsFor(reason: Reason): Code {
  const words = said[reason.code];
  // The table's row fits its own reason; TypeScript cannot follow a union through an index.
  return typeof words === 'string' ? words : (words as (r: Reason) => Code)(reason);
}
