import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PASSWORD } from '../../../test/support/native-api.ts';
import { basic, powerstorePair } from '../../../test/support/powerstore-api.ts';
import type { PowerStoreApi } from '../../../test/support/powerstore-api.ts';
import { createUser } from '../../app/sign-in.ts';

const REQUESTS = Number(process.env['BATON_FUZZ_REQUESTS'] ?? 2000);
const MIB = 1024 * 1024;

/** What there is to ask for: method, type, action and the properties that make it complete. */
const routes: readonly (readonly [string, string, (string | undefined)?, ...string[]])[] = [
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
  ['POST', 'import_session', 'cutover'],
  ['POST', 'nothing', 'explode'],
  ...['volume', 'volume_group', 'replication_session', 'policy', 'replication_rule', 'job'].flatMap(
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
  remote_system_id: referenceTo('remote_system'),
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

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

test(`${REQUESTS} requests of any kind are answered in the vendor's shape, none with a 5xx`, async (t) => {
  const { here, there, paris, lyon } = await powerstorePair(t);
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
  await createUser(paris.ports, { name: 'fuzz', password: PASSWORD, role: 'administrator' });
  await createUser(lyon.ports, { name: 'fuzz', password: PASSWORD, role: 'administrator' });
  const credentials = basic('fuzz', PASSWORD);

  const seed = Number(process.env['BATON_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
  const random = fc.sample(fc.nat(), { numRuns: REQUESTS, seed });
  const statuses = new Map<number, number>();
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
  for (const status of [200, 201, 204, 400, 404, 405, 422]) {
    assert.ok(statuses.has(status), `no ${status}: ${JSON.stringify([...statuses])}`);
  }
});

type Known = Readonly<Record<string, readonly string[]>>;

async function idsAt({ site: { app } }: PowerStoreApi): Promise<Known> {
  const ids = (rows: readonly { readonly id: string }[]): readonly string[] =>
    rows.map(({ id }) => id);
  return {
    volume: ids(await app.listVolumes()),
    volume_group: ids((await app.listGroups()).filter((g) => !g.implicit)),
    replication_session: ids(await app.listSessions()),
    policy: ids(await app.listPolicies()),
    replication_rule: ids(await app.listRules()),
    host: ids(await app.listHosts()),
    remote_system: ids(await app.listPeers()),
    point: ids(await app.listAllPoints()),
    job: ids(await app.listJobs({})),
    cluster: ['0'],
    appliance: ['A1'],
  };
}
