import type { Reason, ReasonCode } from '../../domain/refusal.ts';

/** How this dialect says each refusal: HTTP status, then the problem's type and its title. */
export const said: {
  readonly [C in ReasonCode]: readonly [status: number, type: string, title: string];
} = {
  invalid: [400, 'invalid', 'The request is not valid'],
  unauthenticated: [401, 'unauthenticated', 'Sign in first'],
  forbidden: [403, 'forbidden', 'Your role does not allow this'],
  not_found: [404, 'not-found', 'There is no such thing here'],
  point_missing: [404, 'point-missing', 'The recovery point is not here'],
  already_exists: [409, 'already-exists', 'The name is taken'],
  limit_reached: [409, 'limit-reached', 'There are as many as there may be'],
  wrong_state: [409, 'wrong-state', 'Not possible in this state'],
  operation_running: [409, 'operation-running', 'Another operation is running'],
  not_holder: [409, 'not-holder', 'Another site holds the group'],
  stale_epoch: [409, 'stale-epoch', 'The group has changed hands'],
  not_protected: [409, 'not-protected', 'The group is not replicated'],
  already_protected: [409, 'already-protected', 'The group is replicated already'],
  peer_untrusted: [409, 'peer-untrusted', 'The other site could not be trusted'],
  peer_in_use: [409, 'peer-in-use', 'The peer is in use'],
  no_common_point: [409, 'no-common-point', 'The sites have no recovery point in common'],
  confirmation_needed: [409, 'confirmation-needed', 'Say that you have seen what this does'],
  in_use: [409, 'in-use', 'It is in use'],
  past_point_of_no_return: [409, 'past-point-of-no-return', 'It is too late to abort'],
  aborted: [409, 'aborted', 'The job was aborted'],
  busy: [409, 'busy', 'The group is busy'],
  unsupported: [422, 'unsupported', 'This is not possible here'],
  too_many_logins: [429, 'too-many-logins', 'Too many failed sign-ins'],
  peer_unreachable: [503, 'peer-unreachable', 'The other site does not answer'],
  source_unreachable: [503, 'source-unreachable', 'The source cannot be used'],
  freeze_too_long: [503, 'freeze-too-long', 'Hosts would have waited too long'],
  no_space: [507, 'no-space', 'There is not enough room'],
};

/** The headers that HTTP wants with some refusals. */
export function headersOf(reason: Reason): Readonly<Record<string, string>> {
  if (reason.code === 'unauthenticated') return { 'www-authenticate': 'Bearer realm="baton"' };
  if (reason.code === 'too_many_logins') return { 'retry-after': `${reason.retryAfterSeconds}` };
  return {};
}
