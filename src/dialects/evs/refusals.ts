import type { ReasonCode } from '../../domain/refusal.ts';

/**
 * How this dialect says each refusal: the status in the replication extension, then in the calls
 * that it extends, where Cinder says 400 to whatever a thing's state does not allow.
 */
export const said: { readonly [C in ReasonCode]: readonly [extension: number, base: number] } = {
  invalid: [400, 400],
  unauthenticated: [401, 401],
  forbidden: [403, 403],
  not_found: [404, 404],
  point_missing: [404, 404],
  already_exists: [409, 409],
  limit_reached: [413, 413],
  wrong_state: [409, 400],
  operation_running: [409, 400],
  not_holder: [409, 400],
  stale_epoch: [409, 400],
  not_protected: [409, 400],
  already_protected: [409, 400],
  peer_untrusted: [409, 400],
  peer_in_use: [409, 400],
  no_common_point: [409, 400],
  confirmation_needed: [409, 400],
  in_use: [409, 400],
  past_point_of_no_return: [409, 400],
  aborted: [409, 400],
  busy: [409, 400],
  unsupported: [409, 400],
  too_many_logins: [429, 429],
  peer_unreachable: [503, 503],
  source_unreachable: [503, 503],
  freeze_too_long: [503, 503],
  no_space: [413, 413],
};
