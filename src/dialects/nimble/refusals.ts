import type { Reason, ReasonCode } from '../../domain/refusal.ts';
import type { Code } from './codes.ts';

type ReasonOf<C extends ReasonCode> = Extract<Reason, { readonly code: C }>;

/** How this dialect says each refusal; where the vendor has more words, by the facts of the case. */
export const said: { readonly [C in ReasonCode]: Code | ((reason: ReasonOf<C>) => Code) } = {
  invalid: ({ field }) => (field === 'to' ? 'SM_einval' : 'SM_invalid_arg_value'),
  unauthenticated: 'SM_unauthorized',
  forbidden: 'SM_eacces',
  not_found: ({ what }) => (what === 'peer' ? 'SM_no_such_partner' : 'SM_enoent'),
  point_missing: 'SM_enoent',
  already_exists: 'SM_eexist',
  limit_reached: 'SM_too_many',
  wrong_state: 'SM_ebusy',
  operation_running: ({ kind }) => (kind === 'handover' ? 'SM_repl_handover_busy' : 'SM_ebusy'),
  not_holder: 'SM_not_owner',
  stale_epoch: 'SM_eagain',
  not_protected: 'SM_repl_no_partner_avail',
  already_protected: 'SM_err_vol_coll_multiple_schedules',
  peer_untrusted: 'SM_eperm',
  peer_in_use: 'SM_ebusy',
  no_common_point: 'SM_eperm',
  confirmation_needed: 'SM_eperm',
  in_use: 'SM_ebusy',
  past_point_of_no_return: 'SM_repl_handover_busy',
  aborted: 'SM_eagain',
  busy: 'SM_ebusy',
  unsupported: 'SM_no_support',
  too_many_logins: 'SM_unauthorized',
  source_unreachable: 'SM_eagain',
  peer_unreachable: 'SM_partner_offline',
  freeze_too_long: 'SM_eagain',
  no_space: 'SM_nospace',
};

export function wordsFor<C extends ReasonCode>(reason: ReasonOf<C>): Code {
  const words: Code | ((reason: ReasonOf<C>) => Code) = said[reason.code];
  return typeof words === 'string' ? words : words(reason);
}
