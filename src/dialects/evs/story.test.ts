import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  act,
  evsPair,
  groupIs,
  GROUPS,
  makeGroup,
  member,
  PAIRS,
} from '../../../test/support/evs-api.ts';
import type { EvsAnswer, EvsApi } from '../../../test/support/evs-api.ts';

async function stationOf(api: EvsApi, id: string): Promise<unknown> {
  return member(await api.call('GET', `${GROUPS}/${id}`), 200)['priority_station'];
}

/** Synchronized once, so that it can be reversed. */
async function synchronized(api: EvsApi): Promise<string> {
  const id = await makeGroup(api);
  assert.equal((await act(api, id, 'sync')).status, 200);
  await groupIs(api, id, { replication_status: 'copying' });
  // No clock runs here that would begin the first cycle.
  await pairIs(api, '100', () => act(api, id, 'sync'));
  return id;
}

async function pairIs(
  api: EvsApi,
  progress: string,
  meanwhile: () => Promise<EvsAnswer>,
): Promise<void> {
  const end = performance.now() + 20_000;
  for (;;) {
    const { body } = await api.call('GET', PAIRS);
    const [pair] = body['replications'] as { progress: string | null }[];
    if (pair?.progress === progress) return;
    assert.ok(performance.now() < end, JSON.stringify(pair));
    assert.equal((await meanwhile()).status, 200);
    await new Promise((next) => setImmediate(next));
  }
}

test('a group is synchronized and reversed there and back at one endpoint', async (t) => {
  const { here } = await evsPair(t);
  const id = await synchronized(here);

  for (const zone of ['lyon', 'paris', 'lyon']) {
    const answer = await act(here, id, 'reverse');
    assert.deepEqual([answer.status, answer.text], [200, '']);
    await groupIs(here, id, { status: 'available', priority_station: zone });
  }
});

test('both endpoints show the same pairs, groups and disks', async (t) => {
  const { here, there } = await evsPair(t);
  const id = await synchronized(here);
  await act(there, id, 'reverse');
  await groupIs(here, id, { status: 'available', priority_station: 'lyon' });

  for (const path of [GROUPS, PAIRS, `${GROUPS}/${id}`]) {
    const [one, other] = [await here.call('GET', path), await there.call('GET', path)];
    assert.deepEqual(one.body, other.body);
  }
  const zones = async (api: EvsApi) => {
    const disks = (await api.call('GET', '/volumes/detail?sort=name:asc')).body['volumes'];
    return (disks as Record<string, unknown>[]).map((d) => [d['name'], d['availability_zone']]);
  };
  const wanted = [
    ['orders-data', 'paris'],
    ['orders-data-dr', 'lyon'],
  ];
  assert.deepEqual(await zones(here), wanted);
  assert.deepEqual(await zones(there), wanted);
});

test('the other zone fails over when the production zone is silent, and is reprotected', async (t) => {
  const { here, there, paris, lyon } = await evsPair(t);
  const id = await synchronized(here);
  assert.equal((await act(there, id, 'failover')).status, 409);
  assert.equal(await stationOf(there, id), 'paris');

  lyon.trouble.down = true;
  paris.trouble.down = true;
  await groupIs(there, id, { fault_level: '2', replication_status: 'inactive' });
  assert.equal((await act(there, id, 'failover')).status, 200);
  await groupIs(there, id, {
    status: 'failovered',
    replication_status: 'active-stopped',
    priority_station: 'lyon',
  });
  assert.equal((await act(there, id, 'reprotect')).status, 409);

  lyon.trouble.down = false;
  paris.trouble.down = false;
  await groupIs(there, id, { fault_level: '0' });
  assert.equal((await act(there, id, 'reprotect')).status, 200);
});

test('stop takes effect before its answer, so that an update may follow at once', async (t) => {
  const { here } = await evsPair(t);
  const id = await synchronized(here);
  const update = { replication_consistency_group: { description: 'other words' } };
  assert.equal((await here.call('PUT', `${GROUPS}/${id}`, update)).status, 409);

  assert.equal((await act(here, id, 'stop')).status, 200);
  const group = member(await here.call('PUT', `${GROUPS}/${id}`, update), 202);

  assert.equal(group['description'], 'other words');
  assert.equal((await act(here, id, 'stop')).status, 200);
  assert.equal((await act(here, id, 'reverse')).status, 409);
});

test('a group is taken apart in the order of the known client', async (t) => {
  const { here, there, paris, lyon } = await evsPair(t);
  const id = await synchronized(here);
  const { replication_ids: pairs } = member(await here.call('GET', `${GROUPS}/${id}`), 200);
  const [pair] = pairs as string[];
  const { volume_ids: disks } = member(await here.call('GET', `${PAIRS}/${pair}`), 200);
  assert.equal((await here.call('DELETE', `${GROUPS}/${id}`)).status, 409);
  assert.equal((await here.call('DELETE', `${PAIRS}/${pair}`)).status, 409);

  await act(here, id, 'stop');
  const remove = { replication_consistency_group: { remove_replication_ids: pairs } };
  member(await here.call('PUT', `${GROUPS}/${id}`, remove), 202);
  await groupIs(here, id, { status: 'available' });
  assert.equal((await here.call('DELETE', `${GROUPS}/${id}`)).status, 202);
  assert.equal((await here.call('DELETE', `${PAIRS}/${pair}`)).status, 202);
  for (const disk of String(disks).split(',')) {
    assert.equal((await there.call('DELETE', `/volumes/${disk}`)).status, 202);
  }

  assert.equal((await here.call('GET', `${PAIRS}/${pair}`)).status, 404);
  assert.equal((await here.call('GET', `${GROUPS}/${id}`)).status, 404);
  for (const site of [paris, lyon]) {
    const running = await site.app.listJobs({ kind: 'delete-volume' });
    for (const job of running) await site.ended(job.id);
    assert.deepEqual(await site.app.listVolumes(), []);
  }
});

test('what was protected by another way is a group with pairs and disks of its own', async (t) => {
  const { here, there, paris, lyon } = await evsPair(t);
  const { id: groupId } = await paris.app.createGroup({ name: 'native' });
  const { jobId } = await paris.app.createVolume({ name: 'raw', sizeBytes: 1024 ** 3, groupId });
  await paris.ended(jobId);
  await paris.ended(
    (await paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 })).jobId,
  );
  await paris.ended((await paris.app.synchronizeGroup({ groupId })).jobId);

  const group = member(await there.call('GET', `${GROUPS}/${groupId}`), 200);
  const [pairId] = group['replication_ids'] as string[];
  const pair = member(await there.call('GET', `${PAIRS}/${pairId}`), 200);
  const [own, copy] = String(pair['volume_ids']).split(',');
  const zoneOf = async (disk = '') =>
    member(await there.call('GET', `/volumes/${disk}`), 200)['availability_zone'];
  assert.deepEqual([await zoneOf(own), await zoneOf(copy)], ['paris', 'lyon']);

  assert.equal((await act(here, groupId, 'reverse')).status, 200);
  await groupIs(here, groupId, { status: 'available', priority_station: 'lyon' });
  assert.deepEqual([await zoneOf(own), await zoneOf(copy)], ['paris', 'lyon']);
});
