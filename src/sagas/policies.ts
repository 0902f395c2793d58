/** Policies go with their groups: a site that may have to go on alone has what protects them. */
import type { Group } from '../domain/group.ts';
import type { GroupId, Instant, SiteId } from '../domain/ids.ts';
import type { OfferedPolicy } from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';

/** What the destination needs to know of the policy that protects a group. */
export async function offeredPolicy(
  tx: Transaction,
  { policyId }: Pick<Group, 'policyId'>,
): Promise<OfferedPolicy | undefined> {
  if (policyId === undefined) return undefined;
  const { id, name, description, ruleId } = await tx.policies.need(policyId);
  const rule = await tx.rules.need(ruleId);
  const { rpoSeconds, alertThresholdMinutes } = rule;
  return {
    id,
    name,
    description,
    rule: { id: rule.id, name: rule.name, rpoSeconds, alertThresholdMinutes },
  };
}

/**
 * The group is protected here as its source says. A policy of this site's own, which came back
 * with the group, stays as it is.
 */
export async function keepPolicy(
  tx: Transaction,
  from: SiteId,
  groupId: GroupId,
  offered: OfferedPolicy | undefined,
  now: Instant,
): Promise<void> {
  if (offered !== undefined) await keepReplica(tx, from, offered, now);
  await assign(tx, groupId, offered?.id);
}

async function keepReplica(
  tx: Transaction,
  from: SiteId,
  { rule, ...policy }: OfferedPolicy,
  now: Instant,
): Promise<void> {
  const knownRule = await tx.rules.get(rule.id);
  if (knownRule === undefined) {
    await tx.rules.insert({ ...rule, peerId: from, replicaOf: from, createdAt: now });
  } else if (knownRule.replicaOf !== undefined) {
    await tx.rules.change(rule.id, (r) => ({ ...r, ...rule, peerId: from, replicaOf: from }));
  }
  const known = await tx.policies.get(policy.id);
  if (known === undefined) {
    await tx.policies.insert({ ...policy, ruleId: rule.id, replicaOf: from, createdAt: now });
  } else if (known.replicaOf !== undefined) {
    await tx.policies.change(policy.id, (p) => ({
      ...p,
      ...policy,
      ruleId: rule.id,
      replicaOf: from,
    }));
  }
}

/** Gives the group this policy, or none. A copy of another site's that nothing uses any more goes. */
export async function assign(
  tx: Transaction,
  groupId: GroupId,
  policyId: Group['policyId'],
): Promise<void> {
  const before = (await tx.groups.need(groupId)).policyId;
  await tx.groups.change(groupId, (g) => ({ ...g, policyId }));
  if (before !== undefined && before !== policyId) await dropUnusedReplica(tx, before);
}

async function dropUnusedReplica(
  tx: Transaction,
  policyId: NonNullable<Group['policyId']>,
): Promise<void> {
  const policy = await tx.policies.get(policyId);
  if (policy?.replicaOf === undefined) return;
  if ((await tx.groups.where({ policyId })).length > 0) return;
  await tx.policies.remove(policyId);
  const { ruleId } = policy;
  const rule = await tx.rules.get(ruleId);
  const isUsed = (await tx.policies.where({ ruleId })).length > 0;
  if (rule?.replicaOf !== undefined && !isUsed) await tx.rules.remove(ruleId);
}
