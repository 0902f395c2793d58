import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { memoryPair } from '../../../test/support/memory-site.ts';
import { lookAfter } from '../../../test/support/memory-watches.ts';
import { nimbleApi } from '../../../test/support/nimble-api.ts';
import type { NimbleApi } from '../../../test/support/nimble-api.ts';

const REQUESTS = Number(process.env['BATON_FUZZ_REQUESTS'] ?? 2000);

const sets = [
  'tokens',
  'users',
  'groups',
  'arrays',
  'pools',
  'performance_policies',
  'volumes',
  'volume_collections',
  'protection_schedules',
  'snapshot_collections',
  'snapshots',
  'replication_partners',
  'folders',
  'spoons',
];

const actions = [
  ...['handover', 'abort_handover', 'promote', 'demote', 'validate'],
  ...['test', 'pause', 'resume', 'bend'],
];

/** The arguments that mostly fit, by the last word of the path. */
const fitting: Readonly<Record<string, readonly string[]>> = {
  tokens: ['username', 'password'],
  volumes: ['name', 'size', 'description', 'metadata', 'online', 'volcoll_id'],
  volume_collections: ['name', 'description', 'metadata', 'replication_type'],
  protection_schedules: [
    ...['name', 'volcoll_or_prottmpl_type', 'volcoll_or_prottmpl_id', 'period', 'period_unit'],
    ...['num_retain', 'downstream_partner', 'downstream_partner_id'],
  ],
  snapshot_collections: ['name', 'volcoll_id', 'replicate', 'description'],
  replication_partners: ['name', 'hostname', 'secret', 'subnet_label'],
  handover: ['id', 'replication_partner_id', 'no_reverse', 'invoke_on_upstream_partner'],
  demote: ['id', 'replication_partner_id'],
};

const anything = fc.jsonValue();

/** What an argument may be, by its name in the API; ids are taken from what is there. */
function argumentsWith(id: fc.Arbitrary<string>): Readonly<Record<string, fc.Arbitrary<unknown>>> {
  const flag = fc.constantFrom(true, false, 'true', 'false', 'maybe', 1, null);
  return {
    id,
    name: fc.oneof(fc.stringMatching(/^[ab]{1,2}$/), fc.string({ unit: 'binary', maxLength: 70 })),
    size: fc.constantFrom(1, 1, 1, 2, '2', 0, -1, 0.5, 1e300),
    description: fc.string(),
    metadata: fc.oneof(fc.constant([{ key: 'a', value: 'b' }]), anything),
    online: flag,
    volcoll_id: fc.oneof(id, fc.constant('')),
    replication_partner_id: id,
    no_reverse: flag,
    invoke_on_upstream_partner: flag,
    override_upstream_down: flag,
    volcoll_or_prottmpl_type: fc.constantFrom('volume_collection', 'protection_template', 'x'),
    volcoll_or_prottmpl_id: id,
    period: fc.constantFrom(1, 5, 0, -1, '10'),
    period_unit: fc.constantFrom('minutes', 'hours', 'days', 'weeks', 'years'),
    num_retain: fc.constantFrom(1, 4, 48, 0),
    downstream_partner: fc.constantFrom('lyon', 'paris', ''),
    downstream_partner_id: id,
    replicate: flag,
    username: fc.constantFrom('administrator', 'nobody'),
    password: fc.string({ maxLength: 9 }),
    hostname: fc.constantFrom('127.0.0.2', 'nowhere', ''),
    secret: fc.constantFrom('baton1.nonsense', 'baton1.e30', 'a word for both', ''),
    subnet_label: fc.constantFrom('mgmt-data', 'data'),
    replication_type: fc.constantFrom('periodic_snapshot', 'synchronous'),
  };
}

/** What chance seldom asks for: the request, and the status that it always has. */
const certain: readonly (readonly [string, string, object | undefined, number])[] = [
  ['POST', 'volumes', { name: 'alone', size: 1 }, 409],
  ['POST', 'volume_collections', { name: 'orders' }, 409],
  ['GET', `volumes/${'0'.repeat(42)}`, undefined, 404],
];

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

test(`${REQUESTS} requests of any kind are answered in the vendor's shape, none with a 5xx`, async (t) => {
  const { paris, lyon } = await memoryPair(t);
  for (const site of [paris, lyon]) lookAfter(t, site);
  const here = await nimbleApi(t, paris);
  await furnish(here);
  const ids = await idsIn(here);
  const id = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...ids) },
    { weight: 1, arbitrary: fc.stringMatching(/^[0-9a-f]{42}$/) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 50 }) },
  );
  const known = argumentsWith(id);
  const bodyFor = (names: readonly string[]) => {
    const own = Object.fromEntries(Object.entries(known).filter(([name]) => names.includes(name)));
    return fc.record(own, { requiredKeys: names.slice(0, 2).filter((name) => name in own) });
  };
  const body = (word: string) =>
    fc.oneof(
      { weight: 16, arbitrary: bodyFor(fitting[word] ?? ['id']).map((data) => ({ data })) },
      { weight: 1, arbitrary: fc.record(known, { requiredKeys: [] }).map((data) => ({ data })) },
      { weight: 1, arbitrary: fc.record({ data: anything, more: anything }, { requiredKeys: [] }) },
      { weight: 1, arbitrary: fc.option(anything, { nil: undefined }) },
    );
  const set = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...sets) },
    // What can be made, so that some requests meet what others made before.
    { weight: 2, arbitrary: fc.constantFrom('volumes', 'volume_collections') },
  );
  const segment = fc.oneof({ weight: 9, arbitrary: id.map(encoded) }, fc.constantFrom('..', '%00'));
  const place = fc.oneof(
    set.map((name) => ({ path: name, word: name })),
    set.map((name) => ({ path: `${name}/detail`, word: name })),
    fc.tuple(set, segment).map(([name, one]) => ({ path: `${name}/${one}`, word: name })),
    fc
      .tuple(set, segment, fc.constantFrom(...actions))
      .map(([name, one, word]) => ({ path: `${name}/${one}/actions/${word}`, word })),
  );
  const query = fc.oneof(
    { weight: 9, arbitrary: fc.constant('') },
    fc.constantFrom('?startRow=0&endRow=1', '?sortBy=-name', '?fields=id,name', '?id%3E06'),
    fc.tuple(fc.string(), fc.string()).map(([k, v]) => `?${encoded(k)}=${encoded(v)}`),
  );
  const request = place.chain(({ path, word }) =>
    fc.record({
      method: fc.constantFrom('GET', 'POST', 'POST', 'POST', 'PUT', 'DELETE', 'PATCH'),
      path: query.map((asked) => `/v1/${path}${asked}`),
      body: body(word),
    }),
  );

  const seed = Number(process.env['BATON_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
  const statuses = new Set<number>();
  for (const [method, path, sent, status] of certain) {
    const answer = await here.call(method, path, sent);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  }
  let token = here.token;
  for (const { method, path: url, body: sent } of fc.sample(request, { numRuns: REQUESTS, seed })) {
    const hasBody = method !== 'GET' && sent !== undefined;
    const answer = await here.send(method, url, hasBody ? JSON.stringify(sent) : undefined, token);
    statuses.add(answer.status);
    const what = `BATON_FUZZ_SEED=${seed}: ${method} ${url} ${JSON.stringify(sent)}`;
    assert.ok(answer.status < 500, `${what}: ${answer.status} ${answer.text}`);
    if (answer.status >= 400) assert.equal(answer.codes.length, 2, `${what}: ${answer.text}`);
    // It signed itself out.
    if (answer.status === 401) token = await here.tokenOf('administrator');
  }

  for (const site of [paris, lyon]) {
    const failed = site.logged.filter(({ event }) => event === 'request_failed');
    assert.deepEqual(failed, []);
  }
  for (const status of [200, 201, 400, 404, 409]) {
    assert.ok(statuses.has(status), `no ${status}: ${[...statuses].join(' ')}`);
  }
});

async function furnish({ call }: NimbleApi): Promise<void> {
  const { data: collection } = await call('POST', 'volume_collections', { name: 'orders' });
  for (const name of ['data', 'alone']) await call('POST', 'volumes', { name, size: 1 });
  const { rows } = await call('GET', 'volumes?name=data');
  await call('PUT', `volumes/${String(rows[0]?.['id'])}`, { volcoll_id: collection['id'] });
}

async function idsIn({ call }: NimbleApi): Promise<readonly string[]> {
  const lists = await Promise.all(sets.map((name) => call('GET', name)));
  return lists.flatMap(({ rows }) => rows.map((row) => String(row['id'])));
}
