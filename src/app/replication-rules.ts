/** Rules say where groups are replicated to and how often; policies give them to groups. */
import type { RuleId, SiteId } from '../domain/ids.ts';
import { newId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { checkAlertThreshold, checkRpo, requireOwn } from '../domain/protection-policy.ts';
import type { ReplicationRule } from '../domain/protection-policy.ts';
import { refuse } from '../domain/refusal.ts';
import type { Transaction } from '../ports/store.ts';
import { sessionOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';
import { checkSettings } from './protect-group.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

export interface CreateRule {
  readonly name: string;
  readonly peerId: SiteId;
  readonly rpoSeconds: number;
  /** Absent: the RPO, in whole minutes. */
  readonly alertThresholdMinutes?: number | undefined;
  readonly retainedPoints?: number | undefined;
}

/** @throws Refusal `invalid`, `not_found` (the peer), `already_exists` */
export function createRule(
  { store, clock }: Pick<Deps, 'store' | 'clock'>,
  {
    name,
    peerId,
    rpoSeconds,
    alertThresholdMinutes = minutesOf(rpoSeconds),
    retainedPoints,
  }: CreateRule,
): Promise<ReplicationRule> {
  checkName(name);
  checkRpo(rpoSeconds);
  checkAlertThreshold(alertThresholdMinutes);
  checkSettings({ retainedPoints });
  return store.transaction(async (tx) => {
    await tx.peers.need(peerId);
    await refuseTakenName(tx, name);
    return tx.rules.insert({
      id: newId<RuleId>(),
      name,
      peerId,
      rpoSeconds,
      alertThresholdMinutes,
      retainedPoints,
      replicaOf: undefined,
      createdAt: clock.now(),
    });
  });
}

export interface ChangeRule {
  readonly ruleId: RuleId;
  readonly name?: string | undefined;
  readonly peerId?: SiteId | undefined;
  readonly rpoSeconds?: number | undefined;
  readonly alertThresholdMinutes?: number | undefined;
  readonly retainedPoints?: number | undefined;
}

/**
 * Changes a rule, and at once the sessions of all groups that this site holds under it.
 *
 * @throws Refusal `invalid`, `not_found`, `already_exists`, `unsupported` (another site's rule),
 *   `in_use` when the peer would change while a group is protected by it
 */
export function changeRule(
  { store, here }: Pick<Deps, 'store' | 'here'>,
  { ruleId, name, peerId, rpoSeconds, alertThresholdMinutes, retainedPoints }: ChangeRule,
): Promise<ReplicationRule> {
  if (name !== undefined) checkName(name);
  if (rpoSeconds !== undefined) checkRpo(rpoSeconds);
  if (alertThresholdMinutes !== undefined) checkAlertThreshold(alertThresholdMinutes);
  checkSettings({ retainedPoints });
  return store.transaction(async (tx) => {
    const before = await tx.rules.need(ruleId);
    requireOwn('replication_rule', before);
    if (name !== undefined && name !== before.name) await refuseTakenName(tx, name);
    const protectedGroups = await groupsUnder(tx, ruleId);
    if (peerId !== undefined && peerId !== before.peerId) {
      await tx.peers.need(peerId);
      const [group] = protectedGroups;
      if (group !== undefined) {
        refuse({
          code: 'in_use',
          what: 'replication_rule',
          id: before.name,
          by: `group ${group.name}`,
        });
      }
    }
    for (const { id, ownership } of protectedGroups) {
      const session = ownership.holder === here ? await sessionOf(tx, id) : undefined;
      if (session === undefined) continue;
      await tx.sessions.change(session.id, (s) => ({
        ...s,
        rpoSeconds: rpoSeconds ?? s.rpoSeconds,
        retainedPoints: retainedPoints ?? s.retainedPoints,
      }));
    }
    return tx.rules.change(ruleId, (r) => ({
      ...r,
      name: name ?? r.name,
      peerId: peerId ?? r.peerId,
      rpoSeconds: rpoSeconds ?? r.rpoSeconds,
      alertThresholdMinutes: alertThresholdMinutes ?? r.alertThresholdMinutes,
      retainedPoints: retainedPoints ?? r.retainedPoints,
    }));
  });
}

/** @throws Refusal `not_found`, `in_use` while a policy has it, `unsupported` (another site's) */
export function deleteRule(
  { store }: Pick<Deps, 'store'>,
  { ruleId }: { readonly ruleId: RuleId },
): Promise<void> {
  return store.transaction(async (tx) => {
    const rule = await tx.rules.need(ruleId);
    requireOwn('replication_rule', rule);
    const [policy] = await tx.policies.where({ ruleId });
    if (policy !== undefined) {
      const by = `protection policy ${policy.name}`;
      refuse({ code: 'in_use', what: 'replication_rule', id: rule.name, by });
    }
    await tx.rules.remove(ruleId);
  });
}

async function groupsUnder(tx: Transaction, ruleId: RuleId) {
  const policies = await tx.policies.where({ ruleId });
  const groups = await Promise.all(policies.map((p) => tx.groups.where({ policyId: p.id })));
  return groups.flat();
}

async function refuseTakenName(tx: Transaction, name: string): Promise<void> {
  const namesakes = await tx.rules.where({ name });
  if (namesakes.some((r) => r.replicaOf === undefined)) {
    refuse({ code: 'already_exists', what: 'replication_rule', name });
  }
}

function minutesOf(seconds: number): number {
  return Math.ceil(seconds / 60);
}
