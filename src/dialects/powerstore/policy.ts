/** Protection policies: what is assigned to a volume or a volume group makes its session. */
import { Type } from 'typebox';
import type { GroupId, PolicyId, RuleId, SagaId } from '../../domain/ids.ts';
import type { ProtectionPolicy } from '../../domain/protection-policy.ts';
import { PowerStoreError } from './errors.ts';
import { asToken, managedBy } from './l10n.ts';
import { needId } from './references.ts';
import { resourceType } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Resource } from './routes.ts';
import { Clearable, Flag, Name, Reference, References, body } from './schemas.ts';
import type { World } from './world.ts';

const policyType = resourceType({
  name: 'policy',
  attributes: [
    'id',
    'name',
    'description',
    'type',
    'managed_by',
    'managed_by_id',
    'is_read_only',
    'is_replica',
    'file_io_limit_rule_id',
  ],
  texts: { type: asToken, managed_by: managedBy },
  links: {
    volumes: 'volume',
    volume_groups: 'volume_group',
    replication_rules: 'replication_rule',
  },
  none: [
    'virtual_volumes',
    'virtual_machines',
    'qos_volumes',
    'qos_volume_groups',
    'nas_servers',
    'nas_servers_with_qos',
    'file_systems',
    'file_systems_with_qos',
    'performance_rules',
    'snapshot_rules',
    'replication_groups',
  ],
  nothing: ['io_limit_rule', 'file_io_limit_rule'],
  unknown: 'policy_not_found',
  rows: async ({ policies, groups }) => {
    const all = await groups();
    return (await policies()).map((policy) => sayPolicy(policy, all));
  },
});

function sayPolicy(policy: ProtectionPolicy, groups: Awaited<ReturnType<World['groups']>>) {
  const { id, name, description, ruleId, replicaOf } = policy;
  const under = groups.filter((g) => g.policyId === id);
  return {
    attributes: {
      id,
      name,
      description,
      type: 'Protection',
      managed_by: replicaOf === undefined ? 'User' : 'Replication',
      managed_by_id: replicaOf ?? null,
      is_read_only: replicaOf !== undefined,
      is_replica: replicaOf !== undefined,
      file_io_limit_rule_id: null,
    },
    links: {
      volumes: under.filter((g) => g.implicit).flatMap((g) => g.volumeIds),
      volume_groups: under.filter((g) => !g.implicit).map((g) => g.id),
      replication_rules: [ruleId],
    },
  };
}

/**
 * Gives a group the policy that is named, or with an empty text takes its policy away.
 *
 * @returns the job that begins or ends the session, if one does
 */
export async function assignTo(
  { app, world }: Asked,
  groupId: GroupId,
  reference: string,
  force?: boolean,
): Promise<SagaId | undefined> {
  if (reference === '') {
    const job = await app.unassignPolicy({ groupId, ...(force !== undefined && { force }) });
    return job?.jobId;
  }
  const policyId = await needId<PolicyId>(world, 'policy', reference);
  return (await app.assignPolicy({ groupId, policyId }))?.jobId;
}

/** The same for something that was made just now; returns when the session has begun. */
export async function protectBy(asked: Asked, groupId: GroupId, reference: string): Promise<void> {
  const jobId = await assignTo(asked, groupId, reference);
  if (jobId !== undefined) await asked.done(jobId);
}

const RuleIds = Type.Optional(References);

const create = operation({
  needs: 'storage',
  schema: body({
    name: Name,
    description: Type.Optional(Clearable),
    snapshot_rule_ids: RuleIds,
    replication_rule_ids: RuleIds,
    io_limit_rule_id: Type.Optional(Reference),
    file_io_limit_rule_id: Type.Optional(Reference),
  }),
  run: async ({ app, world }, wanted) => {
    refuseSnapshotRules(wanted.snapshot_rule_ids);
    refuseLimitRules(wanted.io_limit_rule_id ?? wanted.file_io_limit_rule_id);
    const ruleId = await oneRule(world, wanted.replication_rule_ids ?? []);
    const description = wanted.description ?? '';
    const { id } = await app.createPolicy({ name: wanted.name, description, ruleId });
    return { answer: { id } };
  },
});

const modify = operation({
  needs: 'storage',
  schema: body({
    name: Type.Optional(Name),
    description: Type.Optional(Clearable),
    snapshot_rule_ids: RuleIds,
    add_snapshot_rule_ids: RuleIds,
    remove_snapshot_rule_ids: RuleIds,
    replication_rule_ids: RuleIds,
    add_replication_rule_ids: RuleIds,
    remove_replication_rule_ids: RuleIds,
    io_limit_rule_id: Type.Optional(Reference),
    file_io_limit_rule_id: Type.Optional(Reference),
  }),
  run: async ({ app, world, reference }, wanted) => {
    const policyId = await needId<PolicyId>(world, 'policy', reference);
    refuseSnapshotRules(wanted.snapshot_rule_ids);
    refuseSnapshotRules(wanted.add_snapshot_rule_ids);
    refuseLimitRules(wanted.io_limit_rule_id ?? wanted.file_io_limit_rule_id);
    const [snapshotRule] = wanted.remove_snapshot_rule_ids ?? [];
    if (snapshotRule !== undefined) refuseAbsent(snapshotRule);
    const before = (await world.policies()).find(({ id }) => id === policyId);
    const rules = await rulesAfter(world, before?.ruleId, wanted);
    const ruleId = rules && (await oneRule(world, rules));
    const description = Object.hasOwn(wanted, 'description')
      ? (wanted.description ?? '')
      : undefined;
    await app.changePolicy({ policyId, name: wanted.name, description, ruleId });
    return {};
  },
});

interface RuleChange {
  readonly replication_rule_ids?: readonly string[];
  readonly add_replication_rule_ids?: readonly string[];
  readonly remove_replication_rule_ids?: readonly string[];
}

async function rulesAfter(
  world: World,
  before: RuleId | undefined,
  wanted: RuleChange,
): Promise<readonly string[] | undefined> {
  const { replication_rule_ids: whole, add_replication_rule_ids: added = [] } = wanted;
  const { remove_replication_rule_ids: removed = [] } = wanted;
  if (whole !== undefined) return whole;
  if (added.length === 0 && removed.length === 0) return undefined;
  const rules = new Set<string>(before === undefined ? [] : [before]);
  for (const reference of removed) {
    const id = await needId<RuleId>(world, 'replication_rule', reference);
    if (!rules.delete(id)) refuseAbsent(reference);
  }
  for (const reference of added) rules.add(await needId(world, 'replication_rule', reference));
  return [...rules];
}

/** @throws PowerStoreError `policy_invalid` unless there is one rule: no less, and no more */
async function oneRule(world: World, references: readonly string[]): Promise<RuleId> {
  const [reference, ...others] = references;
  if (reference === undefined) {
    const sentence = 'A protection policy needs a replication rule.';
    throw new PowerStoreError('policy_invalid', sentence);
  }
  if (others.length > 0) {
    const sentence = 'A protection policy has at most one replication rule.';
    throw new PowerStoreError('policy_invalid', sentence);
  }
  return needId<RuleId>(world, 'replication_rule', reference);
}

/** There are none here, so none can be named. */
function refuseSnapshotRules(references: readonly string[] | undefined): void {
  const [reference] = references ?? [];
  if (reference === undefined) return;
  const named = reference.slice(0, 100);
  throw new PowerStoreError(
    'snapshot_rule_not_found',
    `Unable to find snapshot rule ${named}.`,
    named,
  );
}

function refuseLimitRules(reference: string | undefined): void {
  if (reference === undefined) return;
  const sentence = 'Policies protect here; limits of I/O are not offered.';
  throw new PowerStoreError('not_offered', sentence);
}

function refuseAbsent(reference: string): never {
  const named = reference.slice(0, 100);
  throw new PowerStoreError('rule_not_in_policy', `Rule ${named} is not in the policy.`, named);
}

const remove = operation({
  needs: 'storage',
  schema: body({}),
  run: async ({ app, world, reference }) => {
    await app.deletePolicy({ policyId: await needId<PolicyId>(world, 'policy', reference) });
    return {};
  },
});

const clone = operation({
  needs: 'storage',
  schema: body({ name: Name, force: Flag }),
  run: async ({ app, world, reference }, { name }) => {
    const policyId = await needId<PolicyId>(world, 'policy', reference);
    const original = (await world.policies()).find(({ id }) => id === policyId);
    if (original === undefined) throw new Error(`policy ${policyId} was there a moment ago`);
    const { description, ruleId } = original;
    const { id } = await app.createPolicy({ name, description, ruleId });
    return { answer: { id } };
  },
});

export const policy: Resource = { type: policyType, create, modify, remove, actions: { clone } };
