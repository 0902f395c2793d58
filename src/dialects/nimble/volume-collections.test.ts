import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { memoryPair } from '../../../test/support/memory-site.ts';
import type { MemoryPair } from '../../../test/support/memory-site.ts';
import { nimbleApi } from '../../../test/support/nimble-api.ts';
import type { NimbleApi } from '../../../test/support/nimble-api.ts';

interface Pair extends MemoryPair {
  readonly here: NimbleApi;
  readonly there: NimbleApi;
}

/** Two paired sites with their APIs; `here` is Paris. */
async function nimblePair(t: TestContext): Promise<Pair> {
  const pair = await memoryPair(t);
  return { ...pair, here: await nimbleApi(t, pair.paris), there: await nimbleApi(t, pair.lyon) };
}

async function idOf(api: NimbleApi, set: string, name: string): Promise<string> {
  const { rows, text } = await api.call('GET', `${set}/detail?name=${name}`);
  assert.equal(rows.length, 1, text);
  return String(rows[0]?.['id']);
}

async function made(api: NimbleApi, set: string, data: object): Promise<string> {
  const { status, data: row, text } = await api.call('POST', set, data);
  assert.equal(status, 201, text);
  return String(row['id']);
}

/** A collection of two volumes with a schedule that replicates it to Lyon. */
async function protectedCollection({ here }: Pair): Promise<string> {
  const id = await made(here, 'volume_collections', { name: 'orders', description: 'a few' });
  for (const name of ['data', 'journal']) {
    const volume = await made(here, 'volumes', { name, size: 1 });
    const { data, text } = await here.call('PUT', `volumes/${volume}`, { volcoll_id: id });
    assert.equal(data['volcoll_name'], 'orders', text);
  }
  await made(here, 'protection_schedules', {
    name: 'often',
    volcoll_or_prottmpl_type: 'volume_collection',
    volcoll_or_prottmpl_id: id,
    period: 60,
    period_unit: 'minutes',
    num_retain: 3,
    num_retain_replica: 5,
    downstream_partner: 'lyon',
  });
  await made(here, 'snapshot_collections', { name: 'first', volcoll_id: id, replicate: true });
  return id;
}

test('a collection is made, filled, scheduled and looked at from both sides', async (t) => {
  const pair = await nimblePair(t);
  const { here, there } = pair;
  const id = await protectedCollection(pair);

  const { data: upstream } = await here.call('GET', `volume_collections/${id}`);
  assert.equal(upstream['pol_owner_name'], 'paris');
  assert.equal(upstream['protection_type'], 'remote');
  assert.equal(upstream['replication_partner'], 'lyon');
  assert.equal(upstream['description'], 'a few');
  assert.equal(upstream['volume_count'], 2);
  const { rows: schedules } = await here.call('GET', 'protection_schedules/detail?name=often');
  assert.equal(schedules[0]?.['downstream_partner_name'], 'lyon');
  assert.equal(schedules[0]?.['period'], 60);
  assert.equal(schedules[0]?.['period_unit'], 'minutes');
  assert.equal(schedules[0]?.['num_retain'], 3);

  const { rows } = await there.call('GET', 'volume_collections/detail?name=orders');
  assert.equal(rows[0]?.['pol_owner_name'], 'paris');
  assert.equal(rows[0]?.['replication_partner'], 'paris');
  const { rows: replicas } = await there.call('GET', 'volumes/detail');
  assert.deepEqual(
    replicas.map((v) => [v['name'], v['online'], v['offline_reason'], v['replication_role']]),
    ['data', 'journal'].map((name) => [name, false, 'replica', 'periodic_snapshot_downstream']),
  );
  const { rows: points } = await there.call('GET', 'snapshot_collections/detail');
  assert.ok(points.every((point) => point['is_replica'] === true && point['repl_status'] === null));
  const { rows: taken } = await here.call('GET', 'snapshots/detail?vol_name=data');
  assert.ok(
    taken.every((row) => row['replication_status'] === 'complete'),
    JSON.stringify(taken),
  );
});

test('a handover is accepted at once; then the partner owns the collection and replicates back', async (t) => {
  const pair = await nimblePair(t);
  const { here, there, paris } = pair;
  const id = await protectedCollection(pair);
  const partner = await idOf(here, 'replication_partners', 'lyon');

  const path = `volume_collections/${id}/actions/handover`;
  const { status, text } = await here.call('POST', path, { id, replication_partner_id: partner });

  assert.equal(status, 200, text);
  assert.equal(text, '{}');
  const [job] = await paris.app.listJobs({ kind: 'handover' });
  assert.equal((await paris.ended(job!.id)).state, 'done');
  const { rows } = await there.call('GET', 'volume_collections/detail?name=orders');
  assert.equal(rows[0]?.['pol_owner_name'], 'lyon');
  assert.equal(rows[0]?.['is_handing_over'], false);
  const { data: former } = await here.call('GET', `volume_collections/${id}`);
  assert.equal(former['pol_owner_name'], 'lyon');
  const { rows: volumes } = await there.call('GET', 'volumes/detail');
  assert.ok(volumes.every((v) => v['online'] === true && v['owned_by_group'] === 'lyon'));
  const { rows: schedules } = await there.call('GET', 'protection_schedules/detail');
  assert.equal(schedules[0]?.['name'], 'often');
  assert.equal(schedules[0]?.['downstream_partner_name'], 'paris');
});

test('each "no" of a handover has its code, and changes nothing', async (t) => {
  const pair = await nimblePair(t);
  const { here, there, paris, lyon } = pair;
  const id = await protectedCollection(pair);
  const empty = await made(here, 'volume_collections', { name: 'empty' });
  const partner = await idOf(here, 'replication_partners', 'lyon');
  const back = await idOf(there, 'replication_partners', 'paris');
  const own = await idOf(here, 'groups', 'paris');
  const nobody = `09${'a'.repeat(40)}`;
  const to = { replication_partner_id: partner };
  const cases: readonly [api: NimbleApi, id: string, data: object, status: number, code: string][] =
    [
      [here, 'xyz', to, 400, 'SM_invalid_path_variable'],
      [here, `07${'0'.repeat(40)}`, to, 404, 'SM_enoent'],
      [here, id, {}, 400, 'SM_missing_arg'],
      [here, id, { ...to, colour: 'red' }, 400, 'SM_unexpected_arg'],
      [here, id, { replication_partner_id: 'lyon' }, 400, 'SM_invalid_arg_value'],
      [here, id, { replication_partner_id: {} }, 400, 'SM_unexpected_child'],
      [here, id, { ...to, no_reverse: 'maybe' }, 400, 'SM_invalid_arg_value'],
      [here, id, { ...to, id: empty }, 400, 'SM_invalid_arg_value'],
      [here, id, { replication_partner_id: nobody }, 404, 'SM_no_such_partner'],
      [here, id, { replication_partner_id: own }, 400, 'SM_einval'],
      [here, id, { ...to, override_upstream_down: true }, 400, 'SM_einval'],
      [here, empty, to, 409, 'SM_no_assoc_vols'],
      [there, id, { replication_partner_id: back }, 404, 'SM_not_owner'],
    ];
  const standing = async () =>
    JSON.stringify(
      await Promise.all(
        [paris, lyon].map(async ({ app }) => {
          const groups = await app.listGroups();
          const jobs = await app.listJobs({ kind: 'handover' });
          return [
            groups.map(({ name, ownership, operation }) => [name, ownership, operation]),
            jobs,
          ];
        }),
      ),
    );
  const before = await standing();

  for (const [api, collection, data, status, code] of cases) {
    const path = `volume_collections/${collection}/actions/handover`;
    const answer = await api.call('POST', path, data);
    assert.equal(answer.codes[1], code, answer.text);
    assert.equal(answer.status, status, answer.text);
    assert.equal(await standing(), before);
  }
});

test('what is replicated or online is not deleted; what was taken apart is', async (t) => {
  const pair = await nimblePair(t);
  const { here } = pair;
  const id = await protectedCollection(pair);
  const code = async (method: string, path: string, data?: object) =>
    (await here.call(method, path, data)).codes[1];
  const volume = await idOf(here, 'volumes', 'data');

  assert.equal(await code('DELETE', `volumes/${volume}`), 'SM_vol_assoc_volcoll');
  assert.equal(await code('DELETE', `volume_collections/${id}`), 'SM_ebusy');
  const schedule = await idOf(here, 'protection_schedules', 'often');
  assert.equal(await code('DELETE', `protection_schedules/${schedule}`), undefined);
  for (const name of ['data', 'journal']) {
    const member = await idOf(here, 'volumes', name);
    assert.equal(await code('PUT', `volumes/${member}`, { volcoll_id: '' }), undefined);
    assert.equal(await code('DELETE', `volumes/${member}`), 'SM_vol_not_offline');
    const off = await here.call('PUT', `volumes/${member}`, { online: 'false', force: 'true' });
    assert.equal(off.data['online'], false, off.text);
    assert.equal(off.data['offline_reason'], 'user');
    assert.equal(await code('DELETE', `volumes/${member}`), undefined);
  }
  assert.equal(await code('DELETE', `volume_collections/${id}`), undefined);
  for (const set of ['volumes', 'volume_collections', 'protection_schedules']) {
    assert.deepEqual((await here.call('GET', set)).rows, []);
  }
  assert.deepEqual(await pair.paris.app.listPolicies(), []);
  assert.deepEqual(await pair.paris.app.listRules(), []);
});

test('a promoted collection is owned here, and replicates back once its schedule has a partner', async (t) => {
  const pair = await nimblePair(t);
  const { here, there, lyon } = pair;
  const id = await protectedCollection(pair);
  const code = async (api: NimbleApi, action: string, data: object = {}) => {
    const answer = await api.call('POST', `volume_collections/${id}/actions/${action}`, data);
    return answer.codes[1] ?? answer.text;
  };

  assert.equal(await code(here, 'promote'), 'SM_ealready');
  assert.equal(await code(there, 'promote'), '{}');
  assert.equal(await code(there, 'promote'), 'SM_ealready');

  const [group] = await lyon.app.listGroups();
  assert.equal(group?.heldHere, true);
  const { rows } = await there.call('GET', 'protection_schedules/detail');
  assert.equal(rows[0]?.['downstream_partner_id'], '');
});

test('an abort without a handover, and whatever has no counterpart here, are refused in words', async (t) => {
  const pair = await nimblePair(t);
  const { here, there } = pair;
  const id = await protectedCollection(pair);
  const partner = await idOf(here, 'replication_partners', 'lyon');
  const code = async (api: NimbleApi, path: string, data: object) =>
    (await api.call('POST', path, data)).codes[1];
  const actions = `volume_collections/${id}/actions`;
  const schedule = {
    volcoll_or_prottmpl_type: 'volume_collection',
    volcoll_or_prottmpl_id: id,
    num_retain: 1,
  };

  assert.equal(await code(here, `${actions}/abort_handover`, {}), 'SM_ealready');
  assert.equal(await code(there, `${actions}/abort_handover`, {}), 'SM_not_owner');
  const to = { replication_partner_id: partner };
  assert.equal(await code(here, `${actions}/demote`, to), 'SM_no_support');
  const synchronous = { name: 'sync', replication_type: 'synchronous' };
  assert.equal(await code(here, 'volume_collections', synchronous), 'SM_no_support');
  const clone = { name: 'c', size: 1, clone: 'true', base_snap_id: `04${'0'.repeat(40)}` };
  assert.equal(await code(here, 'volumes', clone), 'SM_no_support');
  const local = { ...schedule, name: 'local' };
  assert.equal(await code(here, 'protection_schedules', local), 'SM_no_support');
  const second = { ...local, downstream_partner_id: partner };
  assert.equal(
    await code(here, 'protection_schedules', second),
    'SM_err_vol_coll_multiple_schedules',
  );
  const greedy = { ...second, num_retain: 48 };
  const empty = await made(here, 'volume_collections', { name: 'empty' });
  assert.equal(
    await code(here, 'protection_schedules', { ...greedy, volcoll_or_prottmpl_id: empty }),
    'SM_limit_snap_retention_volcoll',
  );
});

test('the downstream array passes a handover on to the owner, who alone may do it', async (t) => {
  const pair = await nimblePair(t);
  const { here, there, paris, lyon } = pair;
  const id = await protectedCollection(pair);
  const owner = await idOf(there, 'replication_partners', 'paris');
  const path = `volume_collections/${id}/actions/handover`;
  const upstream = { invoke_on_upstream_partner: true, no_reverse: true };

  const partner = await idOf(here, 'replication_partners', 'lyon');
  const atOwner = await here.call('POST', path, { ...upstream, replication_partner_id: partner });
  assert.equal(atOwner.codes[1], 'SM_einval', atOwner.text);
  const { text } = await there.call('POST', path, { ...upstream, replication_partner_id: owner });
  assert.equal(text, '{}');

  const [job] = await paris.app.listJobs({ kind: 'handover' });
  assert.equal((await paris.ended(job!.id)).state, 'done');
  const [group] = await lyon.app.listGroups();
  assert.equal(group?.heldHere, true);
  assert.equal(group?.session?.state, 'failed_over');
  const schedule = await idOf(there, 'protection_schedules', 'often');
  const again = { downstream_partner_id: owner };
  const { data } = await there.call('PUT', `protection_schedules/${schedule}`, again);
  assert.equal(data['downstream_partner_name'], 'paris', JSON.stringify(data));
});

test('a partner that is silent is tested in vain, and takes no collection', async (t) => {
  const pair = await nimblePair(t);
  const { here, paris, lyon } = pair;
  const id = await protectedCollection(pair);
  const partner = await idOf(here, 'replication_partners', 'lyon');
  const test_ = `replication_partners/${partner}/actions/test`;
  assert.equal((await here.call('POST', test_)).text, '{}');

  paris.trouble.down = true;
  await paris.ports.store.transaction((tx) =>
    tx.links.insert({
      id: lyon.id,
      siteId: lyon.id,
      state: 'down',
      since: 0,
      lastHeardAt: undefined,
      detail: 'no answer',
    }),
  );

  const vain = await here.call('POST', test_);
  assert.deepEqual([vain.status, vain.codes[1]], [500, 'SM_repl_cant_connect']);
  const path = `volume_collections/${id}/actions/handover`;
  const { status, codes } = await here.call('POST', path, { replication_partner_id: partner });
  assert.deepEqual([status, codes[1]], [409, 'SM_partner_offline']);
  const { rows } = await here.call('GET', 'replication_partners/detail');
  assert.equal(rows[0]?.['is_alive'], false);
  assert.equal(rows[0]?.['last_keepalive_error'], 'no answer');
});

test('a paused partner is sent nothing until it is resumed', async (t) => {
  const pair = await nimblePair(t);
  const { here, paris } = pair;
  await protectedCollection(pair);
  const partner = await idOf(here, 'replication_partners', 'lyon');
  const act = async (action: string) => {
    const answer = await here.call('POST', `replication_partners/${partner}/actions/${action}`, {});
    return answer.codes[1] ?? answer.text;
  };
  const state = async () => (await paris.app.listSessions())[0]?.state;

  assert.equal(await act('resume'), 'SM_ealready');
  assert.equal(await act('pause'), '{}');
  assert.equal(await act('pause'), 'SM_ealready');
  assert.equal(await state(), 'paused');
  assert.equal((await here.call('GET', `replication_partners/${partner}`)).data['paused'], true);
  assert.equal(await act('resume'), '{}');
  assert.notEqual(await state(), 'paused');
});

test('while a collection is being handed over nothing else may change it, and it can be taken back', async (t) => {
  const pair = await nimblePair(t);
  const { here, paris } = pair;
  const id = await protectedCollection(pair);
  const partner = await idOf(here, 'replication_partners', 'lyon');
  const actions = `volume_collections/${id}/actions`;
  const to = { replication_partner_id: partner };
  const held = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  paris.trouble.hold = (message) => {
    if (message !== 'prepareHandover') return Promise.resolve();
    begun.resolve();
    return held.promise;
  };
  assert.equal((await here.call('POST', `${actions}/handover`, to)).text, '{}');
  await begun.promise;

  const { data } = await here.call('GET', `volume_collections/${id}`);
  assert.equal(data['is_handing_over'], true);
  assert.equal(data['handover_replication_partner'], 'lyon');
  const second = await here.call('POST', `${actions}/handover`, to);
  assert.deepEqual([second.status, second.codes[1]], [409, 'SM_ebusy']);
  const volume = await idOf(here, 'volumes', 'data');
  const leaving = await here.call('PUT', `volumes/${volume}`, { volcoll_id: '' });
  assert.deepEqual([leaving.status, leaving.codes[1]], [409, 'SM_repl_handover_busy']);

  const aborted = here.call('POST', `${actions}/abort_handover`, {});
  const asked = async () => (await paris.app.listJobs({ kind: 'handover' }))[0]?.abortAskedBy;
  for (let looks = 0; (await asked()) === undefined && looks < 10_000; looks += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  held.resolve();
  assert.equal((await aborted).text, '{}');
  const { data: after } = await here.call('GET', `volume_collections/${id}`);
  assert.deepEqual([after['pol_owner_name'], after['is_handing_over']], ['paris', false]);
  const [job] = await paris.app.listJobs({ kind: 'handover' });
  assert.equal(job?.state, 'undone');
  const { rows } = await here.call('GET', 'volumes/detail');
  assert.ok(rows.every((row) => row['online'] === true));
});
