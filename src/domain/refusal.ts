import type { GroupId, PointId, SagaId, SiteId } from './ids.ts';

/** The nouns that a refusal may be about, as a user of any dialect would name them. */
export type Subject =
  | 'volume'
  | 'group'
  | 'recovery_point'
  | 'replication_session'
  | 'peer'
  | 'host'
  | 'job'
  | 'fork'
  | 'copy'
  | 'drill'
  | 'import_session'
  | 'import_source'
  | 'user'
  | 'protection_policy'
  | 'replication_rule'
  | 'pairing_token';

/**
 * Why a request is refused, with the facts of each case. A refusal is an answer for the caller:
 * nothing was changed. A new reason does not compile until every dialect has words for it.
 */
export type Reason =
  | {
      readonly code: 'invalid';
      readonly field: string;
      readonly wanted: string;
      readonly seen: string;
    }
  | { readonly code: 'not_found'; readonly what: Subject; readonly id: string }
  | { readonly code: 'already_exists'; readonly what: Subject; readonly name: string }
  | { readonly code: 'limit_reached'; readonly what: string; readonly limit: number }
  | { readonly code: 'unauthenticated'; readonly why: string }
  | { readonly code: 'forbidden'; readonly needed: string; readonly role: string }
  | { readonly code: 'too_many_logins'; readonly retryAfterSeconds: number }
  | {
      readonly code: 'wrong_state';
      readonly what: Subject;
      readonly id: string;
      readonly state: string;
      readonly event: string;
      readonly allowedIn: readonly string[];
    }
  | {
      readonly code: 'operation_running';
      readonly groupId: GroupId;
      readonly sagaId: SagaId;
      readonly kind: string;
    }
  | {
      readonly code: 'not_holder';
      readonly groupId: GroupId;
      readonly holder: SiteId;
      readonly epoch: number;
    }
  | {
      readonly code: 'stale_epoch';
      readonly groupId: GroupId;
      readonly seenEpoch: number;
      readonly ownEpoch: number;
    }
  | { readonly code: 'not_protected'; readonly groupId: GroupId }
  | { readonly code: 'already_protected'; readonly groupId: GroupId; readonly sessionId: string }
  | { readonly code: 'peer_unreachable'; readonly siteId: SiteId; readonly detail: string }
  | { readonly code: 'source_unreachable'; readonly source: string; readonly detail: string }
  | { readonly code: 'peer_untrusted'; readonly detail: string }
  | { readonly code: 'peer_in_use'; readonly siteId: SiteId; readonly groups: number }
  | {
      readonly code: 'no_space';
      readonly siteId: SiteId;
      readonly neededBytes: number;
      readonly freeBytes: number;
    }
  | { readonly code: 'point_missing'; readonly groupId: GroupId; readonly pointId: PointId }
  | { readonly code: 'no_common_point'; readonly groupId: GroupId; readonly siteId: SiteId }
  | { readonly code: 'confirmation_needed'; readonly token: string; readonly consequence: string }
  | { readonly code: 'in_use'; readonly what: Subject; readonly id: string; readonly by: string }
  | { readonly code: 'past_point_of_no_return'; readonly sagaId: SagaId; readonly kind: string }
  | { readonly code: 'aborted'; readonly sagaId: SagaId; readonly by: string }
  | {
      readonly code: 'freeze_too_long';
      readonly groupId: GroupId;
      readonly pauseMs: number;
      readonly limitMs: number;
    }
  | { readonly code: 'busy'; readonly groupId: GroupId; readonly doing: string }
  | { readonly code: 'unsupported'; readonly what: string; readonly why: string };

export type ReasonCode = Reason['code'];

/** A "no" for the caller. Nothing was changed, or what was changed has been undone. */
export class Refusal extends Error {
  readonly reason: Reason;

  constructor(reason: Reason, options?: ErrorOptions) {
    super(sentence(reason), options);
    this.name = 'Refusal';
    this.reason = reason;
  }
}

/** The world did not work as it should: retried, or undone. Never the caller's fault. */
export class Failure extends Error {
  override readonly name = 'Failure';
}

export function refuse(reason: Reason): never {
  throw new Refusal(reason);
}

/** The operator's sentence: what was wanted, what was seen, and the ids. */
export function sentence(reason: Reason): string {
  switch (reason.code) {
    case 'invalid':
      return `${reason.field}: wanted ${reason.wanted}, got ${reason.seen}`;
    case 'not_found':
      return `there is no ${spoken(reason.what)} "${reason.id}" here`;
    case 'already_exists':
      return `a ${spoken(reason.what)} named "${reason.name}" exists already`;
    case 'limit_reached':
      return `${reason.what}: the limit is ${reason.limit}`;
    case 'unauthenticated':
      return `not signed in: ${reason.why}`;
    case 'forbidden':
      return `this needs the role ${reason.needed}; yours is ${reason.role}`;
    case 'too_many_logins':
      return `too many failed sign-ins; try again in ${reason.retryAfterSeconds} s`;
    case 'wrong_state':
      return (
        `${spoken(reason.what)} ${reason.id} is ${reason.state}: ${spoken(reason.event)} is possible ` +
        (reason.allowedIn.length > 0 ? `only when ${reason.allowedIn.join(', ')}` : 'in no state')
      );
    case 'operation_running':
      return `group ${reason.groupId}: ${spoken(reason.kind)} ${reason.sagaId} is running; wait for it or abort it`;
    case 'not_holder':
      return `group ${reason.groupId} is held by site ${reason.holder} (epoch ${reason.epoch}), not here`;
    case 'stale_epoch':
      return `group ${reason.groupId}: the request speaks of epoch ${reason.seenEpoch}, this site knows ${reason.ownEpoch}`;
    case 'not_protected':
      return `group ${reason.groupId} has no replication session`;
    case 'already_protected':
      return `group ${reason.groupId} has replication session ${reason.sessionId} already`;
    case 'peer_unreachable':
      return `site ${reason.siteId} does not answer: ${reason.detail}`;
    case 'source_unreachable':
      return `source ${reason.source} cannot be used: ${reason.detail}`;
    case 'peer_untrusted':
      return `the other side could not be trusted: ${reason.detail}`;
    case 'peer_in_use':
      return `site ${reason.siteId} still has replication sessions of ${reason.groups} group(s) with this one`;
    case 'no_space':
      return `site ${reason.siteId}: ${reason.neededBytes} bytes are needed, ${reason.freeBytes} are free`;
    case 'point_missing':
      return `group ${reason.groupId}: recovery point ${reason.pointId} is not here`;
    case 'no_common_point':
      return `group ${reason.groupId}: this site and site ${reason.siteId} have no recovery point in common`;
    case 'confirmation_needed':
      return `${reason.consequence}; to go ahead, repeat the request with confirmation ${reason.token}`;
    case 'in_use':
      return `${spoken(reason.what)} ${reason.id} is in use by ${reason.by}`;
    case 'past_point_of_no_return':
      return `${spoken(reason.kind)} ${reason.sagaId} is past its point of no return and only goes forward`;
    case 'aborted':
      return `aborted by ${reason.by}; everything was put back`;
    case 'freeze_too_long':
      return `group ${reason.groupId}: hosts were held ${reason.pauseMs} ms, the limit is ${reason.limitMs} ms; the point was abandoned`;
    case 'busy':
      return `group ${reason.groupId} is busy: ${reason.doing}`;
    case 'unsupported':
      return `${reason.what} is not possible here: ${reason.why}`;
  }
}

function spoken(token: string): string {
  return token.replaceAll('_', ' ');
}
