import type { Instant, PolicyId, RuleId, SiteId } from './ids.ts';
import { refuse } from './refusal.ts';
import { MAX_RPO_SECONDS, MIN_RPO_SECONDS } from './replication-session.ts';

/**
 * How a group is to be protected, under a name that several groups share. While a policy is assigned
 * to a group that has volumes, the group has a session as the policy's rule says.
 */
export interface ProtectionPolicy {
  readonly id: PolicyId;
  readonly name: string;
  readonly description: string;
  readonly ruleId: RuleId;
  /** The site whose policy this is a copy of: here for the day when this site has to go on alone. */
  readonly replicaOf: SiteId | undefined;
  readonly createdAt: Instant;
}

/** Where to replicate to, and how old the newest point there may become. */
export interface ReplicationRule {
  readonly id: RuleId;
  readonly name: string;
  readonly peerId: SiteId;
  readonly rpoSeconds: number;
  /** Somebody is told when the RPO has been missed for so long. */
  readonly alertThresholdMinutes: number;
  /** How many of the newest points both sites keep; absent: as many as usual. */
  readonly retainedPoints?: number | undefined;
  readonly replicaOf: SiteId | undefined;
  readonly createdAt: Instant;
}

export const MAX_DESCRIPTION_LENGTH = 256;
export const MAX_ALERT_THRESHOLD_MINUTES = 24 * 60;

/** @throws Refusal `invalid` */
export function checkRpo(rpoSeconds: number): number {
  return checkWhole('rpoSeconds', rpoSeconds, MIN_RPO_SECONDS, MAX_RPO_SECONDS);
}

/** @throws Refusal `invalid` */
export function checkAlertThreshold(minutes: number): number {
  return checkWhole('alertThresholdMinutes', minutes, 0, MAX_ALERT_THRESHOLD_MINUTES);
}

/** @throws Refusal `invalid` */
export function checkDescription(text: string): string {
  if (text.length <= MAX_DESCRIPTION_LENGTH) return text;
  const wanted = `at most ${MAX_DESCRIPTION_LENGTH} characters`;
  return refuse({
    code: 'invalid',
    field: 'description',
    wanted,
    seen: `${text.length} characters`,
  });
}

function checkWhole(field: string, value: number, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const wanted = `a whole number from ${least} to ${most}`;
  return refuse({ code: 'invalid', field, wanted, seen: String(value) });
}

/** A copy of another site's is changed there: what is changed here would be lost with the next word. */
export function requireOwn(
  what: 'protection_policy' | 'replication_rule',
  { name, replicaOf }: Pick<ProtectionPolicy, 'name' | 'replicaOf'>,
): void {
  if (replicaOf === undefined) return;
  refuse({
    code: 'unsupported',
    what: `changing ${what.replace('_', ' ')} ${name}`,
    why: `it is a copy of site ${replicaOf}'s; change it there, or assign one of this site's own`,
  });
}
