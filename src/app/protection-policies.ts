/** Policies are made once and given to many groups; what they do is in `assign-policy.ts`. */
import { newId } from '../domain/ids.ts';
import type { PolicyId, RuleId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { checkDescription, requireOwn } from '../domain/protection-policy.ts';
import type { ProtectionPolicy } from '../domain/protection-policy.ts';
import { refuse } from '../domain/refusal.ts';
import type { Transaction } from '../ports/store.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock'>;

export interface CreatePolicy {
  readonly name: string;
  readonly description?: string | undefined;
  readonly ruleId: RuleId;
}

/** @throws Refusal `invalid`, `not_found` (the rule), `already_exists`, `unsupported` (another site's rule) */
export function createPolicy(
  { store, clock }: Deps,
  { name, description = '', ruleId }: CreatePolicy,
): Promise<ProtectionPolicy> {
  checkName(name);
  checkDescription(description);
  return store.transaction(async (tx) => {
    requireOwn('replication_rule', await tx.rules.need(ruleId));
    await refuseTakenName(tx, name);
    return tx.policies.insert({
      id: newId<PolicyId>(),
      name,
      description,
      ruleId,
      replicaOf: undefined,
      createdAt: clock.now(),
    });
  });
}

export interface ChangePolicy {
  readonly policyId: PolicyId;
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly ruleId?: RuleId | undefined;
}

/**
 * @throws Refusal `invalid`, `not_found`, `already_exists`, `unsupported` (another site's policy),
 *   `in_use` when the rule would change while the policy protects a group
 */
export function changePolicy(
  { store }: Pick<Deps, 'store'>,
  { policyId, name, description, ruleId }: ChangePolicy,
): Promise<ProtectionPolicy> {
  if (name !== undefined) checkName(name);
  if (description !== undefined) checkDescription(description);
  return store.transaction(async (tx) => {
    const before = await tx.policies.need(policyId);
    requireOwn('protection_policy', before);
    if (name !== undefined && name !== before.name) await refuseTakenName(tx, name);
    if (ruleId !== undefined && ruleId !== before.ruleId) {
      requireOwn('replication_rule', await tx.rules.need(ruleId));
      await refuseAssigned(tx, before);
    }
    return tx.policies.change(policyId, (p) => ({
      ...p,
      name: name ?? p.name,
      description: description ?? p.description,
      ruleId: ruleId ?? p.ruleId,
    }));
  });
}

/** @throws Refusal `not_found`, `in_use` while it protects a group, `unsupported` (another site's) */
export function deletePolicy(
  { store }: Pick<Deps, 'store'>,
  { policyId }: { readonly policyId: PolicyId },
): Promise<void> {
  return store.transaction(async (tx) => {
    const policy = await tx.policies.need(policyId);
    requireOwn('protection_policy', policy);
    await refuseAssigned(tx, policy);
    await tx.policies.remove(policyId);
  });
}

async function refuseAssigned(tx: Transaction, { id, name }: ProtectionPolicy): Promise<void> {
  const [group] = await tx.groups.where({ policyId: id });
  if (group === undefined) return;
  const by = `group ${group.name}, which it protects`;
  refuse({ code: 'in_use', what: 'protection_policy', id: name, by });
}

async function refuseTakenName(tx: Transaction, name: string): Promise<void> {
  const namesakes = await tx.policies.where({ name });
  if (namesakes.some((p) => p.replicaOf === undefined)) {
    refuse({ code: 'already_exists', what: 'protection_policy', name });
  }
}
