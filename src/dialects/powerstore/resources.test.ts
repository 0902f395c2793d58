import assert from 'node:assert/strict';
import { test } from 'node:test';
import { powerstorePair } from '../../../test/support/powerstore-api.ts';
import type { PowerStorePair } from '../../../test/support/powerstore-api.ts';

const MIB = 1024 * 1024;

async function nothingIn({ paris, lyon }: PowerStorePair): Promise<boolean> {
  const [volumes, groups] = [await paris.app.listVolumes(), await paris.app.listGroups()];
  return [...volumes, ...groups, ...(await lyon.app.listGroups())].length === 0;
}

test('a volume is made, grown, mapped, unmapped and deleted', async (t) => {
  const { here, paris } = await powerstorePair(t);
  const hostId = await here.made('host', { name: 'app1', os_type: 'Linux' });
  const id = await here.made('volume', { name: 'data', size: MIB, host_id: 'name:app1' });

  const shown = await here.call('GET', `volume/${id}?select=*,mapped_volumes(host(name))`);
  assert.equal(shown.body['state'], 'Ready');
  assert.equal(shown.body['type'], 'Primary');
  assert.deepEqual(shown.body['mapped_volumes'], [{ host: { name: 'app1' } }]);
  const grown = await here.call('PATCH', `volume/${id}`, {
    size: 2 * MIB,
    protection_policy_id: '',
    description: '',
  });
  assert.equal(grown.status, 204);
  assert.equal((await paris.app.listVolumes())[0]?.sizeBytes, 2 * MIB);

  const mapped = await here.call('DELETE', `volume/${id}`);
  assert.equal(mapped.status, 422);
  assert.equal((await here.call('DELETE', `host/${hostId}`)).status, 422);
  const { rows } = await here.call(
    'GET',
    `host_volume_mapping?volume_id=eq.${id}&select=id, host_id, host_group_id,logical_unit_number`,
  );
  assert.equal(rows[0]?.['host_id'], hostId);
  const body = { host_id: hostId };
  assert.equal((await here.call('POST', `volume/${id}/detach`, body)).status, 204);
  const again = await here.call('POST', `volume/${id}/detach`, body);
  assert.equal(again.status, 422);
  assert.equal(again.code, '0xE0A08001000F');
  const other = await here.call('POST', `host/${hostId}/detach`, { volume_id: id });
  assert.equal(other.status, 400);
  assert.equal((await here.call('DELETE', `volume/${id}`)).status, 204);
  assert.equal((await here.call('GET', `volume/${id}`)).status, 404);
});

test('volumes join and leave groups, and a group can be deleted with them', async (t) => {
  const { here } = await powerstorePair(t);
  const [a, b] = [
    await here.made('volume', { name: 'a', size: MIB }),
    await here.made('volume', { name: 'b', size: MIB }),
  ];
  const groupId = await here.made('volume_group', { name: 'orders', volume_ids: [a] });
  const add = { volume_ids: ['name:b'], force_internal: false };
  assert.equal((await here.call('POST', `volume_group/${groupId}/add_members`, add)).status, 204);

  const shown = await here.call('GET', `volume_group/name:orders?select=volumes(name),volume(id)`);
  assert.deepEqual(shown.body['volumes'], [{ name: 'a' }, { name: 'b' }]);
  assert.equal((await here.call('DELETE', `volume/${a}`)).status, 422);

  const removed = { volume_ids: [a] };
  const leave = `volume_group/${groupId}/remove_members`;
  assert.equal((await here.call('POST', leave, removed)).status, 204);
  const jobs = `job?select=resource_action&resource_type=eq.volume_group&resource_id=eq.${groupId}`;
  assert.deepEqual(
    (await here.call('GET', jobs)).rows.map((row) => row['resource_action']),
    ['remove_members', 'add_members', 'add_members'],
  );
  const again = await here.call('POST', leave, removed);
  assert.equal(again.status, 422);
  assert.match(String(again.sentence), /not part/);

  assert.equal(
    (await here.call('DELETE', `volume_group/${groupId}`, { delete_members: true })).status,
    204,
  );
  const left = await here.call('GET', 'volume?select=id');
  assert.deepEqual(left.rows, [{ id: a }]);
  assert.equal((await here.call('GET', `volume/${b}`)).status, 404);
});

test('a create that is refused leaves nothing', async (t) => {
  const pair = await powerstorePair(t);
  const { here, lyon } = pair;
  await here.made('replication_rule', { name: 'r', rpo: 'One_Day', remote_system_id: lyon.id });
  await here.made('policy', { name: 'p', replication_rule_ids: ['name:r'] });
  lyon.trouble.down = true;
  pair.paris.trouble.lostBefore.add('offerGroup');
  const volume = { name: 'data', size: MIB };

  for (const [body, status] of [
    [{ ...volume, protection_policy_id: 'name:p' }, 422],
    [{ ...volume, protection_policy_id: 'name:q' }, 404],
    [{ ...volume, volume_group_id: crypto.randomUUID() }, 404],
    [{ ...volume, host_id: crypto.randomUUID() }, 404],
    [{ ...volume, size: MIB + 1 }, 400],
    [{ ...volume, size: '1048576' }, 400],
    [{ ...volume, name: 'a b' }, 400],
    [{ ...volume, description: 'kept nowhere' }, 422],
    [{ ...volume, performance_policy_id: 'default_high' }, 422],
    [{ ...volume, colour: 'red' }, 400],
    [{ name: 'data' }, 400],
  ] as const) {
    const answer = await here.call('POST', 'volume', body);
    assert.equal(answer.status, status, `${JSON.stringify(body)}: ${answer.sentence ?? ''}`);
    assert.ok(await nothingIn(pair), JSON.stringify(body));
  }
});

test('a name that is taken is 422 for a volume and 400 for everything else', async (t) => {
  const { here, lyon } = await powerstorePair(t);
  const rule = { name: 'r', rpo: 'One_Day', remote_system_id: lyon.id };
  for (const [path, body, status] of [
    ['volume', { name: 'data', size: MIB }, 422],
    ['volume_group', { name: 'orders' }, 400],
    ['replication_rule', rule, 400],
    ['policy', { name: 'p', replication_rule_ids: ['name:r'] }, 400],
    ['host', { name: 'app1', os_type: 'Linux' }, 400],
  ] as const) {
    await here.made(path, body);
    assert.equal((await here.call('POST', path, body)).status, status, path);
  }
});

test('policies and rules are refused what they cannot be', async (t) => {
  const { here, lyon } = await powerstorePair(t);
  const rule = { name: 'r', rpo: 'One_Hour', remote_system_id: lyon.id };
  const id = await here.made('replication_rule', rule);
  const other = await here.made('replication_rule', { ...rule, name: 's' });
  const policyId = await here.made('policy', { name: 'p', replication_rule_ids: [id] });

  for (const [method, path, body, status, code] of [
    ['POST', 'replication_rule', { ...rule, name: 'z', rpo: 'Zero' }, 422, undefined],
    ['POST', 'replication_rule', { ...rule, name: 'z', rpo: 'Often' }, 400, '0xE04040010005'],
    ['POST', 'replication_rule', { ...rule, name: 'z', remote_system_id: 'x' }, 404, undefined],
    ['POST', 'replication_rule', { ...rule, name: 'z', alert_threshold: 1441 }, 400, undefined],
    ['POST', 'policy', { name: 'z' }, 400, undefined],
    ['POST', 'policy', { name: 'z', replication_rule_ids: [id, other] }, 400, undefined],
    [
      'POST',
      'policy',
      { name: 'z', replication_rule_ids: [], snapshot_rule_ids: ['x'] },
      404,
      '0xE0203001000B',
    ],
    [
      'PATCH',
      `policy/${policyId}`,
      { remove_replication_rule_ids: [other] },
      404,
      '0xE02020010007',
    ],
    ['PATCH', `policy/${policyId}`, { remove_replication_rule_ids: [id] }, 400, undefined],
    ['DELETE', `replication_rule/${id}`, undefined, 422, undefined],
    ['DELETE', 'policy/x', undefined, 404, '0xE0A090010001'],
    ['DELETE', `remote_system/${lyon.id}`, undefined, 422, undefined],
  ] as const) {
    const answer = await here.call(method, path, body);
    assert.equal(
      answer.status,
      status,
      `${path} ${JSON.stringify(body)}: ${answer.sentence ?? ''}`,
    );
    if (code !== undefined) assert.equal(answer.code, code);
  }
  assert.equal((await here.call('GET', 'policy')).rows.length, 1);
  assert.equal((await here.call('GET', 'replication_rule')).rows.length, 2);

  const change = { add_replication_rule_ids: ['name:s'], remove_replication_rule_ids: [id] };
  assert.equal((await here.call('PATCH', `policy/${policyId}`, change)).status, 204);
  const shown = await here.call('GET', `policy/${policyId}?select=replication_rules(name)`);
  assert.deepEqual(shown.body, { replication_rules: [{ name: 's' }] });
});

test('a group is made with its policy, and its session begins with its first volume', async (t) => {
  const { here, lyon } = await powerstorePair(t);
  await here.made('replication_rule', { name: 'r', rpo: 'One_Hour', remote_system_id: lyon.id });
  const policyId = await here.made('policy', { name: 'p', replication_rule_ids: ['name:r'] });

  const id = await here.made('volume_group', { name: 'orders', protection_policy_id: policyId });

  const { body } = await here.call('GET', `volume_group/${id}?select=protection_policy(name)`);
  assert.deepEqual(body, { protection_policy: { name: 'p' } });
  const [a] = [await here.made('volume', { name: 'a', size: MIB })];
  const other = { name: 'more', volume_ids: [a], protection_policy_id: policyId };
  const more = await here.made('volume_group', other);
  const sessions = await here.call('GET', `replication_session?local_resource_id=eq.${more}`);
  assert.equal(sessions.rows.length, 1);
});

test('clients find what they look for before they do anything', async (t) => {
  const { here, lyon } = await powerstorePair(t);

  const software = await here.call('GET', 'software_installed?select=release_version');
  assert.deepEqual(software.rows[0], { release_version: '4.1.0.0' });
  const cluster = await here.call('GET', 'cluster?select=id,name,state,state_l10n');
  assert.deepEqual(cluster.rows, [
    { id: '0', name: 'paris', state: 'Configured', state_l10n: 'Configured' },
  ]);
  const appliance = await here.call('GET', 'appliance/A1?select=id,nodes,volumes(id,name)');
  assert.deepEqual(appliance.body, { id: 'A1', nodes: [], volumes: [] });
  const remote = await here.call(
    'GET',
    'remote_system?select=id,name,type,capabilities,import_sessions&name=eq.LYON',
  );
  assert.deepEqual(remote.rows, [
    {
      id: lyon.id,
      name: 'lyon',
      type: 'PowerStore',
      capabilities: ['Asynchronous_Block_Replication'],
      import_sessions: [],
    },
  ]);
  const there = await here.call('GET', `remote_system/${lyon.id}?select=serial_number`);
  const space = await here.call('POST', 'metrics/generate', {
    entity: 'space_metrics_by_cluster',
    entity_id: '0',
  });
  assert.ok(Number(space.rows[0]?.['physical_total']) > 0);
  assert.match(String(there.body['serial_number']), /^PS[0-9a-f]{12}$/);
  assert.equal((await here.call('GET', 'role?name=eq.X')).status, 200);
  assert.equal((await here.call('GET', 'nas_server?select=id,name')).status, 200);
});

test('a change that was not waited for leaves a job, however short it was', async (t) => {
  const { here, lyon } = await powerstorePair(t);

  const { status, body } = await here.call('DELETE', `remote_system/${lyon.id}?is_async=true`);

  assert.equal(status, 202);
  const job = await here.call('GET', `job/${String(body['id'])}?select=state,resource_type`);
  assert.deepEqual(job.body, { state: 'COMPLETED', resource_type: 'remote_system' });
  assert.deepEqual(await here.site.app.listPeers(), []);
});

test('paths, methods and bodies that the API does not have are told apart', async (t) => {
  const { here } = await powerstorePair(t);
  const headers = await here.userOf('administrator');

  const path = await here.call('GET', 'limit?select=id%2Climit');
  assert.equal(path.status, 404);
  assert.match(
    String(path.sentence),
    /The REST endpoint \[GET \/api\/rest\/limit\?select=id%2Climit\] cannot be found\./,
  );
  assert.equal((await here.send({ path: '/', headers })).status, 404);
  const method = await here.call('PUT', 'volume');
  assert.equal(method.status, 405);
  assert.equal(method.headers['allow'], 'GET, HEAD, POST');
  assert.equal((await here.call('DELETE', 'replication_session/x')).status, 405);
  assert.equal((await here.call('POST', 'volume/x/explode')).status, 404);

  const text = await here.http.inject({
    method: 'POST',
    url: '/api/rest/volume',
    headers: { ...headers, 'content-type': 'text/xml' },
    payload: '<volume/>',
  });
  assert.equal(text.statusCode, 415);
  const untyped = await here.http.inject({
    method: 'POST',
    url: '/api/rest/volume_group',
    headers,
    payload: '{"name":"orders"}',
  });
  assert.equal(untyped.statusCode, 201);
  const broken = await here.http.inject({
    method: 'POST',
    url: '/api/rest/volume',
    headers,
    payload: '{"name":',
  });
  assert.equal(broken.statusCode, 400);
  const large = await here.http.inject({
    method: 'POST',
    url: '/api/rest/volume',
    headers: { ...headers, 'content-type': 'application/json' },
    payload: JSON.stringify({ name: 'x'.repeat(10 * MIB) }),
  });
  assert.equal(large.statusCode, 400);
});

test('every change is in the audit log, with what it was refused for', async (t) => {
  const { here, paris } = await powerstorePair(t);
  await here.made('volume_group', { name: 'orders' });
  await here.call('POST', 'volume_group', { name: 'orders' });

  const lines = await paris.app.listAudit();

  assert.deepEqual(
    lines.map(({ user, what, target, result }) => [user, what, target, result]),
    [
      ['administrator', 'POST /api/rest/volume_group', 'orders', '201'],
      ['administrator', 'POST /api/rest/volume_group', 'orders', '400 0xE0A060010002'],
    ],
  );
});
