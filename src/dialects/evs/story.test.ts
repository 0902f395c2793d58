import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  act,
  evsPair,
  groupIs,
  GROUPS,
  makeGroup,
  makePair,
  member,
  PAIRS,
  until,
} from '../../../test/support/evs-api.ts';
import type { EvsApi, EvsPair } from '../../../test/support/evs-api.ts';
import type { GroupId } from '../../domain/ids.ts';
import type { MemorySite } from '../../../test/support/memory-site.ts';
import { lookAfter } from '../../../test/support/memory-watches.ts';

async function stationOf(api: EvsApi, id: string): Promise<unknown> {
  return member(await api.call('GET', `${GROUPS}/${id}`), 200)['priority_station'];
}

/** A pair of sites that look after themselves. */
async function livingPair(t: TestContext): Promise<EvsPair> {
  const pair = await evsPair(t);
  for (const site of [pair.paris, pair.lyon]) lookAfter(t, site);
  return pair;
}

/** In sync, so that it can be reversed. */
async function synchronized(api: EvsApi): Promise<string> {
  const id = await makeGroup(api);
  assert.equal((await act(api, id, 'sync')).status, 200);
  await groupIs(api, id, { replication_status: 'active' });
  return id;
}

/** Of the one volume that is in a group. */
async function writeAt({ app, engine }: MemorySite, block: number, fill: number): Promise<void> {
  const group = (await app.listGroups()).find(({ implicit }) => !implicit);
  const [volumeId] = group?.volumeIds ?? [];
  assert.ok(group && volumeId);
  engine.write(group.id, volumeId, block, fill);
}

async function readAt({ app, engine }: MemorySite, block: number): Promise<number | undefined> {
  const group = (await app.listGroups()).find(({ implicit }) => !implicit);
  const [volumeId] = group?.volumeIds ?? [];
  assert.ok(group && volumeId);
  return engine.read(group.id, volumeId, block)[0];
}

test('a group is in sync in real time, reversed there and back at one endpoint, and in sync again', async (t) => {
  const { here, paris, lyon } = await livingPair(t);
  const id = await synchronized(here);

  let block = 0;
  for (const [zone, from, to] of [
    ['lyon', paris, lyon],
    ['paris', lyon, paris],
    ['lyon', paris, lyon],
  ] as const) {
    block += 1;
    await writeAt(from, block, block);
    const answer = await act(here, id, 'reverse');
    assert.deepEqual([answer.status, answer.text], [200, '']);
    await groupIs(here, id, {
      status: 'available',
      replication_status: 'active',
      priority_station: zone,
    });
    assert.equal(await readAt(to, block), block);
  }
});

test('a group stopped in sync is active-stopped, before that inactive, and synchronized active again', async (t) => {
  const { here, there, paris } = await livingPair(t);
  const id = await makeGroup(here);
  await groupIs(here, id, { replication_status: 'inactive' });
  assert.equal((await act(here, id, 'stop')).status, 200);
  await groupIs(here, id, { replication_status: 'inactive' });
  assert.equal((await act(here, id, 'sync')).status, 200);
  await groupIs(there, id, { replication_status: 'active' });

  for (const api of [here, there]) {
    assert.equal((await act(api, id, 'stop')).status, 200);
    assert.equal(await paris.engine.inspectMirror(id as GroupId), undefined);
    for (const endpoint of [here, there]) {
      await groupIs(endpoint, id, { status: 'available', replication_status: 'active-stopped' });
    }
    assert.equal((await act(api, id, 'sync')).status, 200);
    await groupIs(api, id, { replication_status: 'active' });
  }
});

test('a pair that joins a group stopped in sync makes it inactive, until it is synchronized', async (t) => {
  const { here } = await livingPair(t);
  const id = await synchronized(here);
  const joining = await makePair(here, 'late');
  assert.equal((await act(here, id, 'stop')).status, 200);
  await groupIs(here, id, { replication_status: 'active-stopped' });

  const add = { replication_consistency_group: { add_replication_ids: [joining] } };
  member(await here.call('PUT', `${GROUPS}/${id}`, add), 202);

  await groupIs(here, id, { status: 'available', replication_status: 'inactive' });
  assert.equal((await act(here, id, 'sync')).status, 200);
  await groupIs(here, id, { status: 'available', replication_status: 'active' });
});

test('where nothing bounds how long hosts wait for a silent zone, a group is not synchronized', async (t) => {
  const { here, paris } = await livingPair(t);
  const id = await makeGroup(here);
  Object.assign(paris.ports, { stallBound: { possible: false, why: 'no socket can be closed' } });

  const answer = await act(here, id, 'sync');

  assert.equal(answer.status, 409, answer.text);
  assert.match(answer.text, /conflictingRequest.*cannot close a connection that has gone silent/);
  await groupIs(here, id, { status: 'available', replication_status: 'inactive' });
  assert.deepEqual(await paris.app.listSessions(), []);
});

test('both endpoints show the same pairs, groups and disks', async (t) => {
  const { here, there } = await livingPair(t);
  const id = await synchronized(here);
  await act(there, id, 'reverse');
  await groupIs(here, id, { status: 'available', priority_station: 'lyon' });

  await groupIs(here, id, { replication_status: 'active' });

  for (const path of [GROUPS, PAIRS, `${GROUPS}/${id}`]) {
    // Between two looks a cycle may begin or end.
    await until(async () => {
      const [one, other] = [await here.call('GET', path), await there.call('GET', path)];
      return isDeepStrictEqual(one.body, other.body);
    });
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
  const { here, there, paris, lyon } = await livingPair(t);
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
  // In a test's time reprotecting does not wait until the returned zone is ready to receive.
  await until(async () => !(await paris.app.inspectGroup(id as GroupId)).hasPresent);
  assert.equal((await act(there, id, 'reprotect')).status, 200);
  await groupIs(there, id, { status: 'available', replication_status: 'active' });
});

test('stop takes effect before its answer, so that an update may follow at once', async (t) => {
  const { here } = await livingPair(t);
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
  const { here, there, paris, lyon } = await livingPair(t);
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
