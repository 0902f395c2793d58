import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lookAfter } from '../../../test/support/memory-watches.ts';
import { PASSWORD } from '../../../test/support/native-api.ts';
import { basic, powerstorePair } from '../../../test/support/powerstore-api.ts';
import type { PowerStoreApi } from '../../../test/support/powerstore-api.ts';
import { createUser } from '../../app/sign-in.ts';

const REQUESTS = Number(process.env['BATON_FUZZ_REQUESTS'] ?? 2000);
const MIB = 1024 * 1024;

/** Method, type, action and the properties that make a request complete. */
type Route = readonly [string, string, (string | undefined)?, ...string[]];

const importRoutes: readonly Route[] = [
  ['POST', 'remote_system', '', 'name', 'type', 'data_connection_type', 'management_address'],
  ['POST', 'remote_system', 'discover'],
  ['PATCH', 'import_universal_volume', undefined, 'name'],
  [
    'POST',
    'import_universal_consistency_group',
    '',
    'name',
    'remote_system_id',
    'import_universal_volume_ids',
  ],
  ['DELETE', 'import_universal_consistency_group'],
  ['POST', 'import_session', '', 'name', 'remote_system_id', 'source_resource_id'],
  ['POST', 'import_session', '', 'name', 'remote_system_id', 'source_resource_id', 'type'],
  ['PATCH', 'import_session', undefined, 'scheduled_timestamp'],
  ['DELETE', 'import_session'],
  ['POST', 'import_session', 'cancel', 'force'],
  ...['cutover', 'cleanup', 'pause', 'resume', 'enable_destination_volume', 'start_copy'].map(
    (action): Route => ['POST', 'import_session', action],
  ),
  ...['add_members', 'remove_members'].map((action): Route => [
    'POST',
    'import_universal_consistency_group',
    action,
    'import_universal_volume_ids',
  ]),
];

/** What there is to ask for. */
const routes: readonly Route[] = [
  ...importRoutes,
  ['POST', 'volume', '', 'name', 'size'],
  ['POST', 'volume', '', 'name', 'size', 'volume_group_id'],
  ['PATCH', 'volume', undefined, 'size'],
  ['PATCH', 'volume', undefined, 'protection_policy_id', 'description'],
  ['DELETE', 'volume'],
  ['POST', 'volume', 'attach', 'host_id'],
  ['POST', 'volume', 'detach', 'host_id'],
  ['POST', 'volume', 'snapshot', 'name'],
  ['POST', 'volume_group', '', 'name', 'volume_ids'],
  ['PATCH', 'volume_group', undefined, 'protection_policy_id', 'description'],
  ['DELETE', 'volume_group', undefined, 'delete_members'],
  ['POST', 'volume_group', 'add_members', 'volume_ids', 'force_internal'],
  ['POST', 'volume_group', 'remove_members', 'volume_ids', 'force_internal'],
  ['POST', 'replication_rule', '', 'name', 'rpo', 'remote_system_id'],
  ['PATCH', 'replication_rule', undefined, 'rpo'],
  ['DELETE', 'replication_rule'],
  ['POST', 'policy', '', 'name', 'replication_rule_ids'],
  ['PATCH', 'policy', undefined, 'add_replication_rule_ids', 'remove_replication_rule_ids'],
  ['POST', 'policy', 'clone', 'name'],
  ['DELETE', 'policy'],
  ['POST', 'host', '', 'name', 'os_type'],
  ['POST', 'host', 'attach', 'volume_id'],
  ['DELETE', 'host'],
  ['POST', 'replication_session', 'sync'],
  ['POST', 'replication_session', 'pause'],
  ['POST', 'replication_session', 'resume'],
  ['POST', 'replication_session', 'failover', 'is_planned', 'force'],
  ['POST', 'replication_session', 'failover', 'is_planned', 'reverse'],
  ['POST', 'replication_session', 'failover', 'is_planned', 'failover_snapshot_id'],
  ['POST', 'replication_session', 'reprotect'],
  ['POST', 'replication_session', 'start_failover_test'],
  ['POST', 'replication_session', 'stop_failover_test'],
  ['POST', 'remote_system', 'verify'],
  ['POST', 'metrics', '', 'entity', 'entity_id'],
  ['POST', 'metrics', 'generate', 'entity', 'entity_id'],
  ['POST', 'remote_system', '', 'name', 'type', 'data_connection_type', 'management_address'],
  ['POST', 'remote_system', 'discover'],
  ['DELETE', 'remote_system'],
  ['PATCH', 'import_universal_volume', undefined, 'name'],
  [
    ...['POST', 'import_universal_consistency_group', '', 'name'],
    ...['remote_system_id', 'import_universal_volume_ids'],
  ] as [string, string, string, ...string[]],
  ...['add_members', 'remove_members'].map(
    (action) =>
      [
        ...['POST', 'import_universal_consistency_group', action],
        'import_universal_volume_ids',
      ] as [string, string, string, string],
  ),
  ['DELETE', 'import_universal_consistency_group'],
  ['POST', 'import_session', '', 'name', 'remote_system_id', 'source_resource_id'],
  ['POST', 'import_session', '', 'name', 'remote_system_id', 'source_resource_id', 'type'],
  ['PATCH', 'import_session', undefined, 'scheduled_timestamp'],
  ['DELETE', 'import_session'],
  ['POST', 'import_session', 'cancel', 'force'],
  ...['cutover', 'cleanup', 'pause', 'resume', 'enable_destination_volume', 'start_copy'].map(
    (action) => ['POST', 'import_session', action] as [string, string, string],
  ),
  ['POST', 'nothing', 'explode'],
  ...['volume', 'volume_group', 'replication_session', 'policy', 'replication_rule', 'job'].flatMap(
    (type) => [['GET', type] as const, ['GET', type, ''] as const],
  ),
  ...['import_session', 'import_universal_volume', 'import_universal_consistency_group'].flatMap(
    (type) => [['GET', type] as const, ['GET', type, ''] as const],
  ),
  ...[
    'cluster',
    'appliance',
    'software_installed',
    'snapshot_rule',
    'login_session',
    'local_user',
  ].flatMap((type) => [['GET', type] as const, ['GET', type, ''] as const]),
];

const word = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('orders', 'data', 'alone', 'gold', 'five', 'app1', '') },
  { weight: 1, arbitrary: fc.uuid() },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 140 }) },
);

/** `@volume` stands for the id of one that is there when the request is made. */
const referenceTo = (type: string) =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant(`@${type}@`) },
    { weight: 2, arbitrary: word.map((name) => `name:${name}`) },
    { weight: 1, arbitrary: word },
  );

const json = fc.option(fc.jsonValue(), { nil: undefined });
const flag = fc.oneof(
  { weight: 5, arbitrary: fc.boolean() },
  { weight: 1, arbitrary: fc.jsonValue() },
);
const referencesTo = (type: string) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.array(referenceTo(type), { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array(referenceTo(type), { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.constant(null) },
  );

/** What a property of a body may be, by its name in the API. */
const properties: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  name: fc.oneof({ weight: 3, arbitrary: fc.stringMatching(/^[a-z]{1,3}$/) }, word),
  size: fc.oneof(fc.constantFrom(MIB, 2 * MIB, 0, -1, 0.5, 1e300), fc.integer()),
  description: fc.constantFrom('', null, 'text'),
  protection_policy_id: fc.oneof(referenceTo('policy'), fc.constantFrom('', null)),
  volume_group_id: referenceTo('volume_group'),
  host_id: referenceTo('host'),
  volume_id: referenceTo('volume'),
  volume_ids: referencesTo('volume'),
  force_internal: flag,
  delete_members: flag,
  force: flag,
  is_planned: flag,
  reverse: flag,
  use_test_copy: flag,
  failover_snapshot_id: referenceTo('point'),
  rpo: fc.constantFrom('Five_Minutes', 'One_Day', 'Zero', 'Never', 5),
  remote_system_id: fc.oneof(referenceTo('remote_system'), referenceTo('import_source')),
  type: fc.constantFrom('Universal', 'Agentless', 'Non_Disruptive', 'PowerStore', 'Unity', 5),
  data_connection_type: fc.constantFrom('TCP', 'iSCSI', 'FC', ''),
  management_address: fc.constantFrom('old-array', 'nowhere', '', ' '),
  source_resource_id: fc.oneof(
    referenceTo('import_universal_volume'),
    referenceTo('import_universal_consistency_group'),
  ),
  import_universal_volume_ids: referencesTo('import_universal_volume'),
  scheduled_timestamp: fc.constantFrom('2030-01-01T00:00:00Z', '2030-99-01T00:00:00Z', '', null),
  alert_threshold: fc.integer({ min: -2, max: 1500 }),
  replication_rule_ids: referencesTo('replication_rule'),
  add_replication_rule_ids: referencesTo('replication_rule'),
  remove_replication_rule_ids: referencesTo('replication_rule'),
  snapshot_rule_ids: referencesTo('snapshot_rule'),
  os_type: fc.constantFrom('Linux', 'AIX', 'BeOS'),
  entity: fc.constantFrom(
    'space_metrics_by_cluster',
    'copy_metrics_by_replication_session',
    'copy_metrics_by_vg',
    '__proto__',
  ),
  entity_id: fc.oneof(referenceTo('replication_session'), fc.constant('0')),
};

function bodyOf(names: readonly string[]): fc.Arbitrary<unknown> {
  const own = Object.fromEntries(names.map((name) => [name, properties[name] ?? json]));
  return fc.oneof(
    { weight: 9, arbitrary: names.length === 0 ? fc.constant(undefined) : fc.record(own) },
    { weight: 3, arbitrary: fc.record(properties, { requiredKeys: [] }) },
    { weight: 1, arbitrary: json },
  );
}

const attribute = fc.constantFrom(
  'id',
  'name',
  'state',
  'size',
  'volumes(*)',
  'policies(',
  '*',
  '(',
  '',
);
const query = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  {
    weight: 3,
    arbitrary: fc
      .array(attribute, { maxLength: 4 })
      .map((all) => `?select=${encoded(all.join(','))}`),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom('name', 'id', 'size', 'protection_data->>source_id', 'or', 'and', 'order'),
        fc.constantFrom(
          'eq.data',
          'not.in.(a,b)',
          'in.(',
          '(name.eq.a,or(id.is.null))',
          'gt.x',
          'a',
        ),
      )
      .map(([k, v]) => `?${encoded(k)}=${encoded(v)}`),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('?is_async=true', '?limit=2&offset=1', '?limit=-1', '?is_async=x'),
  },
  { weight: 1, arbitrary: fc.tuple(word, word).map(([k, v]) => `?${encoded(k)}=${encoded(v)}`) },
);

const requests = fc.constantFrom(...routes).chain(([method, type, action, ...names]) =>
  fc.record({
    method: fc.oneof(
      { weight: 14, arbitrary: fc.constant(method) },
      { weight: 1, arbitrary: fc.constantFrom('GET', 'POST', 'PATCH', 'DELETE', 'PUT') },
    ),
    parts: pathOf(type, action),
    query: fc.oneof({ weight: method === 'GET' ? 1 : 9, arbitrary: fc.constant('') }, query),
    body: bodyOf(method === 'GET' ? [] : names),
  }),
);

/** Without an action the path ends with an id; an empty one is the collection's. */
function pathOf(type: string, action: string | undefined): fc.Arbitrary<readonly string[]> {
  if (action === '') return fc.constant([type]);
  return referenceTo(type).map((id) => [type, id, ...(action === undefined ? [] : [action])]);
}

/** What chance seldom asks for: the request, and the status that it always has. */
const certain: readonly (readonly [string, string, object | undefined, number])[] = [
  ['POST', 'volume?is_async=true', { name: 'soon', size: MIB }, 202],
  ['POST', 'import_session', { ...importOf('disk1'), name: 'first' }, 201],
  ['POST', 'import_session?is_async=true', { ...importOf('disk2'), name: 'second' }, 202],
  ['POST', 'import_session/name:nobody/cutover', undefined, 404],
  ['POST', 'x509_certificate/exchange', { service: 'Replication_HTTP' }, 400],
  ['GET', 'volume?offset=1000', undefined, 416],
  ['GET', 'volume?limit=-1', undefined, 416],
];

function importOf(volume: string): object {
  return { remote_system_id: 'name:old', source_resource_id: `name:${volume}` };
}

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

test(`${REQUESTS} requests of any kind are answered in the vendor's shape, none with a 5xx`, async (t) => {
  const { here, there, paris, lyon } = await powerstorePair(t);
  // Requests that wait for the other site to hear of something wait for no more than that.
  for (const site of [paris, lyon]) lookAfter(t, site);
  await here.made('replication_rule', {
    name: 'five',
    rpo: 'Five_Minutes',
    remote_system_id: lyon.id,
  });
  await here.made('policy', { name: 'gold', replication_rule_ids: ['name:five'] });
  await here.made('volume_group', { name: 'orders' });
  await here.made('volume', { name: 'data', size: MIB, volume_group_id: 'name:orders' });
  await here.made('volume', { name: 'alone', size: MIB });
  await here.made('host', { name: 'app1', os_type: 'Linux' });
  await here.call('PATCH', 'volume_group/name:orders', { protection_policy_id: 'name:gold' });
  for (const disk of ['disk1', 'disk2', 'disk3']) paris.source.addVolume(disk, MIB, [[1, 1]]);
  const old = { type: 'Universal', data_connection_type: 'TCP', management_address: 'old-array' };
  await here.made('remote_system', { ...old, name: 'old' });
  await here.call('POST', 'remote_system/name:old/discover');
  await createUser(paris.ports, { name: 'fuzz', password: PASSWORD, role: 'administrator' });
  await createUser(lyon.ports, { name: 'fuzz', password: PASSWORD, role: 'administrator' });
  const credentials = basic('fuzz', PASSWORD);

  const statuses = new Map<number, number>();
  for (const [method, path, body, status] of certain) {
    const answer = await here.call(method, path, body);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.sentence ?? ''}`);
  }

  const seed = Number(process.env['BATON_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
  const random = fc.sample(fc.nat(), { numRuns: REQUESTS, seed });
  let known: Known = {};
  for (const [index, one] of fc.sample(requests, { numRuns: REQUESTS, seed }).entries()) {
    const draw = random[index] ?? 0;
    const api = draw % 4 === 0 ? there : here;
    if (index % 20 === 0) known = await idsAt(here);
    const fill = (text: string): string =>
      text.replaceAll(/@(\w+)@/g, (_, type: string) => {
        const ids = known[type] ?? [];
        return ids[draw % Math.max(1, ids.length)] ?? 'none';
      });
    const path = `/api/rest/${one.parts.map(fill).map(encoded).join('/')}${one.query}`;
    const payload = one.body === undefined ? undefined : fill(JSON.stringify(one.body));
    const answer = await api.http.inject({
      method: one.method as 'GET',
      url: path,
      headers: { ...credentials, 'content-type': 'application/json' },
      ...(payload !== undefined && { payload }),
    });
    const { statusCode } = answer;
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
    const what = `BATON_FUZZ_SEED=${seed}: ${one.method} ${path} ${payload ?? ''}`;
    assert.ok(statusCode < 500, `${what}: ${statusCode} ${answer.body}`);
    if (statusCode < 400) continue;
    const { messages } = answer.json<{ messages: readonly { code: string; severity: string }[] }>();
    assert.match(messages[0]?.code ?? '', /^0x[0-9A-F]{12}$/, what);
    assert.equal(messages[0]?.severity, 'Error', what);
  }

  for (const { logged } of [paris, lyon]) {
    assert.deepEqual(
      logged.filter(({ event }) => event === 'request_failed'),
      [],
    );
  }
  for (const status of [200, 201, 204, 400, 404, 405, 416, 422]) {
    assert.ok(statuses.has(status), `no ${status}: ${JSON.stringify([...statuses])}`);
  }
});

type Known = Readonly<Record<string, readonly string[]>>;

async function idsAt({ site: { app }, call }: PowerStoreApi): Promise<Known> {
  const ids = (rows: readonly { readonly id: string }[]): readonly string[] =>
    rows.map(({ id }) => id);
  return {
    volume: ids(await app.listVolumes()),
    volume_group: ids((await app.listGroups()).filter((g) => !g.implicit)),
    replication_session: ids(await app.listSessions()),
    policy: ids(await app.listPolicies()),
    replication_rule: ids(await app.listRules()),
    ...Object.fromEntries(
      await Promise.all(
        ['import_universal_volume', 'import_universal_consistency_group'].map(async (type) => {
          const { rows } = await call('GET', type);
          return [type, rows.map(({ id }) => String(id))] as const;
        }),
      ),
    ),
    host: ids(await app.listHosts()),
    remote_system: ids([...(await app.listPeers()), ...(await app.listSources())]),
    import_source: ids(await app.listSources()),
    import_session: ids(await app.listImports()),
    point: ids(await app.listAllPoints()),
    job: ids(await app.listJobs({})),
    cluster: ['0'],
    appliance: ['A1'],
  };
}
