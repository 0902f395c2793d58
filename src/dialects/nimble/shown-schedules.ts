/** Protection schedules as they are shown, and the policies that stand behind them. */
import type { App } from '../../app/app.ts';
import type { GroupView } from '../../app/views.ts';
import type { ProtectionPolicy, ReplicationRule } from '../../domain/protection-policy.ts';
import { DEFAULT_RETAINED_POINTS } from '../../domain/replication-session.ts';
import { toWire } from './ids.ts';
import type { Json, Row } from './lists.ts';
import { pointName } from './point-name.ts';
import { DIALECT, seconds } from './schemas.ts';

export const DAY_SECONDS = 86_400;
export const unitSeconds = {
  minutes: 60,
  hours: 3600,
  days: DAY_SECONDS,
  weeks: 7 * DAY_SECONDS,
} as const;
type Unit = keyof typeof unitSeconds;

/** What can only have this value here, and is shown. */
export const constants = {
  at_time: 0,
  until_time: DAY_SECONDS - 1,
  days: 'all',
  replicate_every: 1,
  snap_verify: false,
  skip_db_consistency_check: false,
  disable_appsync: false,
  schedule_type: 'regular',
} as const satisfies Row;

export const facts = [
  'id',
  'name',
  'description',
  'volcoll_or_prottmpl_type',
  'volcoll_or_prottmpl_id',
  'period',
  'period_unit',
  'num_retain',
  'num_retain_replica',
  'downstream_partner',
  'downstream_partner_name',
  'downstream_partner_id',
  'upstream_partner_name',
  'upstream_partner_id',
  'repl_alert_thres',
  'active',
  'creation_time',
  'last_modified',
  'last_mod_sched_time',
  'last_replicated_snapcoll_name',
  'last_replicated_snapcoll_id',
  'last_replicated_at_time',
  'last_snap_time',
  'next_snap_time',
  'next_repl_snap_time',
  'sched_owner_id',
  'sched_owner_name',
  'last_config_change_time',
  'vol_status_list',
] as const;

type ScheduleRow = Readonly<Record<(typeof facts)[number], Json>> & Row;

export interface Behind {
  readonly policy: ProtectionPolicy;
  readonly rule: ReplicationRule;
}

/** Finds the policy that stands behind a group's schedule. */
export async function policiesBehind(app: App): Promise<(group: GroupView) => Behind | undefined> {
  const rules = new Map((await app.listRules()).map((r) => [r.id, r]));
  const policies = new Map((await app.listPolicies()).map((p) => [p.id, p]));
  return ({ policyId }) => {
    const policy = policyId && policies.get(policyId);
    const rule = policy && rules.get(policy.ruleId);
    return policy && rule && { policy, rule };
  };
}

/** @returns undefined when the collection has no schedule */
export function saySchedule(group: GroupView, behind: Behind | undefined): ScheduleRow | undefined {
  const { session } = group;
  const rpoSeconds = session?.rpoSeconds ?? behind?.rule.rpoSeconds;
  const peerId = session?.peerId ?? behind?.rule.peerId;
  if (rpoSeconds === undefined || peerId === undefined) return undefined;
  const isStopped = session?.state === 'failed_over';
  const isSource = session === undefined || session.role === 'source';
  const partner = { name: session?.peerName ?? '', id: toWire('replication_partner', peerId) };
  const none = { name: '', id: '' };
  const downstream = isSource && !isStopped ? partner : none;
  const upstream = isSource || isStopped ? none : partner;
  const last = session?.newestPoint;
  const told = toldOf(group);
  const kept = session?.retainedPoints ?? behind?.rule.retainedPoints ?? DEFAULT_RETAINED_POINTS;
  const made = seconds(session?.createdAt ?? behind?.policy.createdAt);
  return {
    ...constants,
    id: toWire('protection_schedule', group.id),
    name: scheduleName(group, behind, rpoSeconds),
    description: behind?.policy.description ?? '',
    volcoll_or_prottmpl_type: 'volume_collection',
    volcoll_or_prottmpl_id: toWire('volume_collection', group.id),
    ...periodOf(rpoSeconds, told),
    num_retain: told.num_retain ?? kept,
    num_retain_replica: told.num_retain_replica ?? kept,
    downstream_partner: downstream.name,
    downstream_partner_name: downstream.name,
    downstream_partner_id: downstream.id,
    upstream_partner_name: upstream.name,
    upstream_partner_id: upstream.id,
    repl_alert_thres: (behind?.rule.alertThresholdMinutes ?? 0) * 60,
    active: true,
    creation_time: made,
    last_modified: made,
    last_mod_sched_time: made,
    last_replicated_snapcoll_name: last === undefined ? '' : pointName(group, last),
    last_replicated_snapcoll_id: last === undefined ? '' : toWire('snapshot_collection', last.id),
    last_replicated_at_time: seconds(last?.commonAt),
    last_snap_time: seconds(last?.sealedAt),
    next_snap_time: seconds(session?.nextCycleAt),
    next_repl_snap_time: seconds(session?.nextCycleAt),
    sched_owner_id: toWire('group', group.ownership.holder),
    sched_owner_name: group.holderName,
    last_config_change_time: made,
    vol_status_list: null,
  };
}

/** The name that a schedule has in its collection, from the policy's, which is the site's. */
export function scheduleName(
  { name }: GroupView,
  behind: Behind | undefined,
  rpoSeconds: number,
): string {
  if (behind === undefined) return `every-${rpoSeconds}-seconds`;
  const own = policyName(name, '');
  return behind.policy.name.startsWith(own)
    ? behind.policy.name.slice(own.length)
    : behind.policy.name;
}

export function policyName(collection: string, schedule: string): string {
  return `${collection}.${schedule}`;
}

/** The client's own way of telling the same period, where it is still the same. */
function periodOf(rpoSeconds: number, told: Told): { period: number; period_unit: Unit } {
  const { period, period_unit } = told;
  if (period !== undefined && period_unit !== undefined) {
    if (period * unitSeconds[period_unit] === rpoSeconds) return { period, period_unit };
  }
  const unit = (['days', 'hours'] as const).find((u) => rpoSeconds % unitSeconds[u] === 0);
  const period_unit_ = unit ?? 'minutes';
  return { period: Math.ceil(rpoSeconds / unitSeconds[period_unit_]), period_unit: period_unit_ };
}

/** What the client told, in its own words. */
export interface Told {
  readonly period?: number;
  readonly period_unit?: Unit;
  readonly num_retain?: number;
  readonly num_retain_replica?: number;
}

export function toldOf({ remarks }: GroupView): Told {
  return (remarks?.[DIALECT]?.['schedule'] ?? {}) as Told;
}
