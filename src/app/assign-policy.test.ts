import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { GroupId } from '../domain/ids.ts';
import { Refusal } from '../domain/refusal.ts';
import { memoryPair } from '../../test/support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../../test/support/memory-site.ts';
import { applyPolicies } from './apply-policies.ts';

const MIB = 1024 * 1024;

interface Ready extends MemoryPair {
  readonly groupId: GroupId;
  readonly policyId: Awaited<ReturnType<MemorySite['app']['createPolicy']>>['id'];
  readonly ruleId: Awaited<ReturnType<MemorySite['app']['createRule']>>['id'];
}

/** A group, and a policy that would protect it. */
async function ready(t: TestContext, { volumes = 1 } = {}): Promise<Ready> {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  for (let index = 0; index < volumes; index += 1) await addVolume(paris, groupId, `data-${index}`);
  const rule = { name: 'five-minutes', peerId: lyon.id, rpoSeconds: 300 };
  const { id: ruleId } = await paris.app.createRule(rule);
  const { id: policyId } = await paris.app.createPolicy({ name: 'gold', ruleId });
  return { ...pair, groupId, policyId, ruleId };
}

async function addVolume(site: MemorySite, groupId: GroupId, name: string): Promise<void> {
  const { jobId } = await site.app.createVolume({ name, sizeBytes: MIB, groupId });
  assert.equal((await site.ended(jobId)).state, 'done');
}

async function assigned({ paris, groupId, policyId }: Ready): Promise<void> {
  const job = await paris.app.assignPolicy({ groupId, policyId });
  assert.ok(job, 'a replication begins');
  assert.equal((await paris.ended(job.jobId)).state, 'done');
}

async function synced({ paris, groupId }: Ready): Promise<void> {
  assert.equal(
    (await paris.ended((await paris.app.synchronizeGroup({ groupId })).jobId)).state,
    'done',
  );
}

function refusal(code: string) {
  return (error: unknown): boolean => error instanceof Refusal && error.reason.code === code;
}

test('an assigned policy replicates the group as its rule says', async (t) => {
  const world = await ready(t);

  await assigned(world);

  const { session, policyId } = await world.paris.app.showGroup(world.groupId);
  assert.equal(policyId, world.policyId);
  assert.equal(session?.peerId, world.lyon.id);
  assert.equal(session?.rpoSeconds, 300);
});

test('the destination has the policy and its rule, as copies that only their site changes', async (t) => {
  const world = await ready(t);
  const { paris, lyon, groupId, policyId, ruleId } = world;
  await assigned(world);

  const [policy] = await lyon.app.listPolicies();
  const [rule] = await lyon.app.listRules();
  assert.equal(policy?.name, 'gold');
  assert.equal(policy?.replicaOf, paris.id);
  assert.equal(rule?.rpoSeconds, 300);
  assert.equal(rule?.peerId, paris.id);
  assert.equal((await lyon.app.showGroup(groupId)).policyId, policyId);
  await assert.rejects(lyon.app.changeRule({ ruleId, rpoSeconds: 60 }), refusal('unsupported'));
  await assert.rejects(lyon.app.deletePolicy({ policyId }), refusal('unsupported'));
});

test('after a failover with the other site gone the new holder still has the policy', async (t) => {
  const world = await ready(t);
  const { paris, lyon, groupId, policyId } = world;
  await assigned(world);
  await synced(world);
  lyon.trouble.down = true;
  paris.trouble.down = true;

  const { confirmation } = await lyon.app.preflightFailover({ groupId });
  await lyon.ended((await lyon.app.failOverGroup({ groupId, confirmation })).jobId);

  assert.equal((await lyon.app.showGroup(groupId)).policyId, policyId);
  assert.equal((await lyon.app.listPolicies())[0]?.id, policyId);
});

test('a policy that comes back with its group leaves the original as it is', async (t) => {
  const world = await ready(t);
  const { paris, lyon, groupId, policyId } = world;
  await assigned(world);
  await synced(world);
  const { jobId } = await paris.app.handOverGroup({ groupId, reverse: true });
  assert.equal((await paris.ended(jobId)).state, 'done');

  await lyon.ended((await lyon.app.synchronizeGroup({ groupId })).jobId);

  const [policy] = await paris.app.listPolicies();
  assert.equal(policy?.replicaOf, undefined);
  assert.equal((await paris.app.listRules())[0]?.peerId, lyon.id);
  assert.equal((await paris.app.showGroup(groupId)).policyId, policyId);
});

test('a group without volumes is protected as soon as it has one', async (t) => {
  const world = await ready(t, { volumes: 0 });
  const { paris, groupId, policyId } = world;
  assert.equal(await paris.app.assignPolicy({ groupId, policyId }), undefined);
  await applyPolicies(paris.ports);
  assert.equal((await paris.app.showGroup(groupId)).session, undefined);

  await addVolume(paris, groupId, 'data');
  await applyPolicies(paris.ports);

  assert.equal((await paris.app.showGroup(groupId)).session?.rpoSeconds, 300);
});

test('a policy whose replication cannot begin is not assigned', async (t) => {
  const world = await ready(t);
  const { paris, lyon, groupId, policyId } = world;
  await lyon.app.createGroup({ name: 'orders' });

  const job = await paris.app.assignPolicy({ groupId, policyId });
  assert.ok(job);
  assert.equal((await paris.ended(job.jobId)).state, 'undone');

  const after = await paris.app.showGroup(groupId);
  assert.equal(after.policyId, undefined);
  assert.equal(after.session, undefined);
  assert.deepEqual(await lyon.app.listPolicies(), []);
});

test('assigning again changes nothing', async (t) => {
  const world = await ready(t);
  await assigned(world);
  const before = await world.paris.app.showGroup(world.groupId);

  assert.equal(await world.paris.app.assignPolicy(world), undefined);

  assert.deepEqual(await world.paris.app.showGroup(world.groupId), before);
});

test('a session that is there already comes under the policy', async (t) => {
  const world = await ready(t);
  const { paris, lyon, groupId, policyId } = world;
  const begun = await paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 });
  await paris.ended(begun.jobId);

  assert.equal(await paris.app.assignPolicy({ groupId, policyId }), undefined);

  const { session } = await paris.app.showGroup(groupId);
  assert.equal(session?.id, begun.sessionId);
  assert.equal(session?.rpoSeconds, 300);
});

test('a changed RPO counts at once for every group under the rule', async (t) => {
  const world = await ready(t);
  const { paris, groupId, ruleId } = world;
  await assigned(world);

  await paris.app.changeRule({ ruleId, rpoSeconds: 900 });

  assert.equal((await paris.app.showGroup(groupId)).session?.rpoSeconds, 900);
});

test('an unassigned policy ends the session and leaves the copy', async (t) => {
  const world = await ready(t);
  const { paris, lyon, groupId } = world;
  await assigned(world);
  await synced(world);

  const job = await paris.app.unassignPolicy({ groupId });
  assert.ok(job);
  assert.equal((await paris.ended(job.jobId)).state, 'done');

  const here = await paris.app.showGroup(groupId);
  const there = await lyon.app.showGroup(groupId);
  assert.equal(here.session, undefined);
  assert.equal(here.policyId, undefined);
  assert.equal(there.session, undefined);
  assert.equal(there.policyId, undefined);
  assert.deepEqual(await lyon.app.listPolicies(), []);
  assert.deepEqual(await lyon.app.listRules(), []);
  assert.equal((await lyon.app.listPoints(groupId)).length, 1);
  assert.equal(await paris.app.unassignPolicy({ groupId }), undefined);
});

test('ending a session by another way does not leave a policy that would begin it again', async (t) => {
  const world = await ready(t);
  const { paris, groupId } = world;
  await assigned(world);
  await paris.ended((await paris.app.unprotectGroup({ groupId, discardCopy: false })).jobId);

  await applyPolicies(paris.ports);

  const after = await paris.app.showGroup(groupId);
  assert.equal(after.policyId, undefined);
  assert.equal(after.session, undefined);
});

test('what protects a group is not taken from under it', async (t) => {
  const world = await ready(t);
  const { paris, lyon, policyId, ruleId } = world;
  await assigned(world);

  await assert.rejects(paris.app.deletePolicy({ policyId }), refusal('in_use'));
  await assert.rejects(paris.app.deleteRule({ ruleId }), refusal('in_use'));
  await assert.rejects(paris.app.removePeer({ peerId: lyon.id }), refusal('peer_in_use'));
});

test('a peer that a rule names stays', async (t) => {
  const { paris, lyon } = await ready(t);

  await assert.rejects(paris.app.removePeer({ peerId: lyon.id }), refusal('in_use'));
});

test('names of rules and policies are given once', async (t) => {
  const { paris, lyon, ruleId } = await ready(t);

  const rule = { name: 'five-minutes', peerId: lyon.id, rpoSeconds: 60 };
  await assert.rejects(paris.app.createRule(rule), refusal('already_exists'));
  await assert.rejects(paris.app.createPolicy({ name: 'gold', ruleId }), refusal('already_exists'));
  assert.throws(
    () => paris.app.createRule({ ...rule, name: 'x', rpoSeconds: 4 }),
    refusal('invalid'),
  );
});
