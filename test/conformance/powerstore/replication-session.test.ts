/**
 * The vendor's pause and resume, its failover and its failover test, walked by the vendor's own Python
 * client on two real sites while a host writes numbered blocks.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { waitUntil } from '../../../src/main/wait-until.ts';
import { assertNothingLost, moreWrites, twoSites } from '../../support/two-sites.ts';
import type { TwoSites } from '../../support/two-sites.ts';
import { ClientRefused, powerstoreClients } from './powerstore-client.ts';
import type { Attributes, PowerStoreClient } from './powerstore-client.ts';

const GROUP = 'orders';
const VOLUMES = ['orders-1', 'orders-2'];
const SIZE = 64 * 1024 * 1024;
const LIMIT_MS = 60_000;

interface World {
  readonly sites: TwoSites;
  readonly paris: PowerStoreClient;
  readonly lyon: PowerStoreClient;
  readonly id: string;
}

async function first(answer: Promise<unknown>): Promise<Attributes> {
  const [row] = (await answer) as readonly Attributes[];
  assert.ok(row, 'there is one');
  return row;
}

/** A group of two volumes, protected by a policy, all made by the client. */
async function protect(t: TestContext): Promise<World> {
  const sites = await twoSites(t);
  const { paris, lyon } = await powerstoreClients(t, sites);
  const remote = await first(paris.call('protection.get_remote_system_by_name', ['lyon']));
  assert.equal(remote['state'], 'OK');
  const rule = { name: 'five', rpo: 'Five_Minutes', remote_system_id: remote['id'] };
  const { id: ruleId } = (await paris.call(
    'protection.create_replication_rule',
    [],
    rule,
  )) as Attributes;
  const policy = { name: 'gold', replication_rule_ids: [ruleId] };
  const { id: policyId } = (await paris.call(
    'protection.create_protection_policy',
    [],
    policy,
  )) as Attributes;
  await paris.call('provisioning.create_volume_group', [GROUP]);
  const group = await first(paris.call('provisioning.get_volume_group_by_name', [GROUP]));
  for (const name of VOLUMES) {
    await paris.call('provisioning.create_volume', [name, SIZE], { volume_group_id: group['id'] });
  }
  // Hosts are Baton's own matter: they attach over NBD with a certificate.
  await sites.paris.map(GROUP, 'app1');
  await paris.call('provisioning.modify_volume_group', [group['id']], {
    protection_policy_id: policyId,
  });
  const filter = { local_resource_id: `eq.${String(group['id'])}` };
  const session = await first(paris.call('protection.get_replication_sessions', [filter]));
  const world = { sites, paris, lyon, id: String(session['id']) };
  await stateIs(world, paris, { state: 'OK', role: 'Source' });
  return world;
}

async function seen({ id }: World, at: PowerStoreClient): Promise<Attributes> {
  return (await at.call('protection.get_replication_session_details', [id])) as Attributes;
}

async function stateIs(world: World, at: PowerStoreClient, wanted: Attributes): Promise<void> {
  const sentence = `the session is ${JSON.stringify(wanted)}`;
  await waitUntil(sentence, LIMIT_MS, async () => {
    const session = await seen(world, at);
    const isSo = Object.entries(wanted).every(([name, value]) => session[name] === value);
    return isSo ? true : undefined;
  });
}

/** What a refusal must not have changed, as both systems tell it. */
async function standing(world: World): Promise<unknown> {
  const told = await Promise.all([seen(world, world.paris), seen(world, world.lyon)]);
  return told.map(({ state, role, type, failover_test_in_progress: isTested }) => ({
    state,
    role,
    type,
    isTested,
  }));
}

async function refused(
  world: World,
  status: number,
  asking: () => Promise<unknown>,
): Promise<void> {
  const before = await standing(world);
  await assert.rejects(
    asking(),
    (error) => error instanceof ClientRefused && error.status === status,
  );
  assert.deepEqual(await standing(world), before);
}

test('a session is paused and resumed at either system while a host writes, and loses nothing', async (t) => {
  const world = await protect(t);
  const { sites, paris, lyon, id } = world;
  const writer = await sites.startWriter({ volumes: VOLUMES });
  await moreWrites(writer, 100);
  await refused(world, 422, () => paris.call('protection.resume_replication_session', [id]));
  await refused(world, 404, () =>
    paris.call('protection.pause_replication_session', [crypto.randomUUID()]),
  );
  await refused(world, 400, () => paris.post(`replication_session/${id}/pause`, { now: true }));

  await paris.call('protection.pause_replication_session', [id]);
  await stateIs(world, paris, { state: 'Paused' });
  await stateIs(world, lyon, { state: 'Paused' });
  await refused(world, 422, () => paris.call('protection.sync_replication_session', [id]));
  await moreWrites(writer, 100);
  const figures = await first(
    paris.post('metrics/generate', {
      entity: 'copy_metrics_by_replication_session',
      entity_id: id,
    }),
  );
  assert.ok(Number(figures['data_remaining']) > 0, 'what adds up is told');

  await lyon.call('protection.resume_replication_session', [id]);
  await stateIs(world, paris, { state: 'OK' });
  await paris.call('protection.sync_replication_session', [id]);
  await stateIs(world, paris, { state: 'OK' });
  await moreWrites(writer, 100);

  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('a planned failover with reverse moves the group under writes, and the way back, too', async (t) => {
  const world = await protect(t);
  const { sites, paris, lyon, id } = world;
  const writer = await sites.startWriter({ volumes: VOLUMES });
  await moreWrites(writer, 100);
  await refused(world, 400, () =>
    lyon.call('protection.failover_replication_session', [id], { is_planned: true }),
  );

  for (const [from, to] of [
    [paris, lyon],
    [lyon, paris],
  ] as const) {
    await from.call('protection.failover_replication_session', [id], {
      is_planned: true,
      reverse: true,
    });
    await stateIs(world, to, { state: 'OK', role: 'Source' });
    await stateIs(world, from, { role: 'Destination' });
    await moreWrites(writer, 100);
  }

  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('a failover test at the destination is started and stopped beside the replication', async (t) => {
  const world = await protect(t);
  const { sites, paris, lyon, id } = world;
  const writer = await sites.startWriter({ volumes: VOLUMES });
  await moreWrites(writer, 100);
  const start = `replication_session/${id}/start_failover_test`;
  const stop = `replication_session/${id}/stop_failover_test`;
  await refused(world, 422, () => paris.post(start));
  await refused(world, 422, () => lyon.post(stop));

  await lyon.post(start);
  await stateIs(world, lyon, { failover_test_in_progress: true });
  await refused(world, 422, () => lyon.post(start));
  await refused(world, 422, () =>
    lyon.call('protection.failover_replication_session', [id], { is_planned: false }),
  );
  await paris.call('protection.sync_replication_session', [id]);
  await moreWrites(writer, 100);

  const kept = (await lyon.post(stop, { create_end_of_test_snapshot: true })) as Attributes;
  await stateIs(world, lyon, { failover_test_in_progress: false });
  const snapshot = await lyon.call('protection.get_volume_group_snapshot_details', [
    kept['snapshot_id'],
  ]);
  assert.equal((snapshot as Attributes)['type'], 'Snapshot');
  await moreWrites(writer, 100);

  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});
