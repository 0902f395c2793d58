import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { memoryWorld } from '../../../test/support/memory-site.ts';
import { powerstoreApi } from '../../../test/support/powerstore-api.ts';
import type { PowerStoreApi } from '../../../test/support/powerstore-api.ts';

const MIB = 1024 * 1024;

/** Volumes `a`, `B` and `c` of 1, 2 and 3 MiB. */
async function three(t: TestContext): Promise<PowerStoreApi> {
  const api = await powerstoreApi(t, await memoryWorld(t).addSite('paris'));
  for (const [index, name] of ['a', 'B', 'c'].entries()) {
    await api.made('volume', { name, size: (index + 1) * MIB });
  }
  return api;
}

async function names({ call }: PowerStoreApi, query: string): Promise<readonly unknown[]> {
  const { status, rows, sentence } = await call('GET', `volume?select=name&${query}`);
  assert.ok(status < 300, `${query}: ${status} ${sentence ?? ''}`);
  return rows.map((row) => row['name']);
}

test('without a select there are ids only; with one exactly what was asked', async (t) => {
  const api = await three(t);

  const bare = await api.call('GET', 'volume');
  assert.deepEqual(Object.keys(bare.rows[0] ?? {}), ['id']);
  const some = await api.call(
    'GET',
    'volume?select=id, name,name,volume_groups(name,id), policies',
  );
  assert.equal(some.code, '0xE0404003000A');
  const linked = await api.call(
    'GET',
    'volume?select=name, volume_groups(name,id), protection_policy(name,id),appliance(name)',
  );
  assert.deepEqual(linked.rows[0], {
    name: 'a',
    volume_groups: [],
    protection_policy: null,
    appliance: { name: 'paris' },
  });
  const all = await api.call('GET', 'volume?select=*');
  assert.equal(all.rows[0]?.['type_l10n'], 'Primary');
  assert.ok(!('volume_groups' in (all.rows[0] ?? {})), 'links are asked for by name');
});

test('filters choose rows as clients write them', async (t) => {
  const api = await three(t);
  const [a] = await api.site.app.listVolumes();
  assert.ok(a);

  assert.deepEqual(await names(api, 'name=eq.b'), ['B']);
  assert.deepEqual(await names(api, 'name=eq.a&type=in.(Primary,Clone)'), ['a']);
  assert.deepEqual(await names(api, 'type=not.eq.Primary'), []);
  assert.deepEqual(await names(api, `size=gt.${MIB}&size=lte.${2 * MIB}`), ['B']);
  assert.deepEqual(await names(api, 'name=ilike.*B*'), ['B']);
  assert.deepEqual(await names(api, 'protection_policy_id=is.null'), ['a', 'B', 'c']);
  assert.deepEqual(await names(api, 'is_replication_destination=eq.True'), []);
  assert.deepEqual(await names(api, `protection_data-%3E%3Efamily_id=eq.${a.id}`), ['a']);
  assert.deepEqual(await names(api, `or=(name.eq.a,and(size.gt.1,name.eq.c))`), ['a', 'c']);
  assert.deepEqual(await names(api, 'creation_timestamp=gt.2001-01-01T00:00:00Z'), ['a', 'B', 'c']);
});

test('a list is ordered by name without regard to case, and the other way round', async (t) => {
  const api = await three(t);

  assert.deepEqual(await names(api, 'order=name.desc'), ['c', 'B', 'a']);
  assert.deepEqual(await names(api, 'order=type,size.desc'), ['c', 'B', 'a']);
});

test('a part of a list is 206 and tells which; the whole is 200', async (t) => {
  const api = await three(t);

  const part = await api.call('GET', 'volume?select=name&limit=2&order=name');
  assert.equal(part.status, 206);
  assert.equal(part.headers['content-range'], '0-1/3');
  const rest = await api.call('GET', 'volume?select=name&limit=2&offset=2');
  assert.equal(rest.status, 206);
  assert.equal(rest.headers['content-range'], '2-2/3');
  const headers = { ...(await api.userOf('administrator')), range: '1-2' };
  const range = await api.send({ path: 'volume?select=name&order=name', headers });
  assert.deepEqual(
    range.rows.map((row) => row['name']),
    ['B', 'c'],
  );
  assert.equal((await api.call('GET', 'volume')).status, 200);
  assert.equal((await api.call('GET', 'volume?offset=3')).status, 416);
  assert.equal((await api.call('GET', 'volume?limit=0')).status, 416);
  assert.equal((await api.call('GET', 'volume?limit=-1')).status, 416);
  assert.equal((await api.call('GET', 'policy?offset=0')).status, 200);
});

test('a query that is not understood is 400 with the code that clients know', async (t) => {
  const { call } = await three(t);
  const code = async (query: string): Promise<unknown> => {
    const { status, code: said } = await call('GET', `volume?${query}`);
    assert.equal(status, 400, query);
    return said;
  };

  assert.equal(await code('all_pages=True'), '0xE04040020008');
  assert.equal(await code('select=colour'), '0xE0404003000A');
  assert.equal(await code('select=volume_groups(colour)'), '0xE0404003000A');
  assert.equal(await code('colour=eq.red'), '0xE0404003000A');
  assert.equal(await code('order=colour'), '0xE0404003000A');
  for (const query of [
    'select=id,(',
    'select=',
    'select=volumes(id',
    'name=inv.1.2.3',
    'name=plain',
    'order=name.up',
    'limit=two',
    'or=name.eq.a',
    'type=in.Primary',
    `or=${'(and'.repeat(20)}`,
  ]) {
    assert.match(String(await code(query)), /^0xE0404/, query);
  }
});

test('one instance is found by its id or its name', async (t) => {
  const api = await three(t);
  const [a] = await api.site.app.listVolumes();
  assert.ok(a);

  const byId = await api.call('GET', `volume/${a.id.toUpperCase()}?select=name&type=eq.Snapshot`);
  assert.deepEqual(byId.body, { name: 'a' });
  assert.deepEqual((await api.call('GET', 'volume/name:a?select=id')).body, { id: a.id });
  const unknown = await api.call('GET', 'volume/name:z');
  assert.equal(unknown.status, 404);
  assert.equal(unknown.code, '0xE0A07001000C');
});
