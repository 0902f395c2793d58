import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  evsPair,
  GROUPS,
  makeDisk,
  makeGroup,
  makePair,
  PAIRS,
} from '../../../test/support/evs-api.ts';
import { PROJECT_ID } from './ids.ts';

const REQUESTS = Number(process.env['BATON_FUZZ_REQUESTS'] ?? 2000);

const json = fc.option(fc.jsonValue(), { nil: undefined });
const method = fc.constantFrom('GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS');

/** Ids of what is there, and what looks like them. */
function wordsOf(ids: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...ids) },
    { weight: 1, arbitrary: fc.uuid() },
    {
      weight: 1,
      arbitrary: fc.constantFrom('paris', 'lyon', 'orders', '', '%00', 'a'.repeat(300)),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 70 }) },
  );
}

interface Route {
  readonly method: string;
  readonly path: string;
  readonly body: fc.Arbitrary<unknown>;
}

/** Bodies that mostly fit, and often almost do. */
function routesOf(word: fc.Arbitrary<string>): readonly Route[] {
  const none = fc.constant(undefined);
  const name = fc.oneof(fc.stringMatching(/^[a-z]{1,3}$/), fc.string({ maxLength: 300 }));
  const zone = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('paris', 'lyon') }, word);
  const ids = fc.array(word, { maxLength: 3 });
  const model = fc.oneof({ weight: 6, arbitrary: fc.constant('hypermetro') }, word);
  const wrapped = (member: string, members: Record<string, fc.Arbitrary<unknown>>) =>
    fc.oneof(
      {
        weight: 9,
        arbitrary: fc.record(members, { requiredKeys: [] }).map((value) => ({ [member]: value })),
      },
      { weight: 1, arbitrary: json },
    );
  const verb = fc.constantFrom('sync', 'stop', 'reverse', 'failover', 'reprotect', 'extend');
  const action = fc.oneof(
    {
      weight: 9,
      arbitrary: verb.map((v) => ({ [`os-${v}-replication-consistency-group`]: null })),
    },
    { weight: 1, arbitrary: json },
  );
  const [extra, size] = [fc.jsonValue(), fc.oneof(fc.constantFrom(1, '1', 0, 1e9), fc.integer())];
  return [
    ...['/os-availability-zone', '/limits', '/extensions', '/types', '/types/{id}'].map((path) => ({
      method: 'GET',
      path,
      body: none,
    })),
    { method: 'GET', path: '/volumes', body: none },
    { method: 'GET', path: '/volumes/detail', body: none },
    { method: 'GET', path: '/volumes/{id}', body: none },
    { method: 'DELETE', path: '/volumes/{id}', body: none },
    { method: 'POST', path: '/volumes/{id}/action', body: json },
    {
      method: 'POST',
      path: '/volumes',
      body: wrapped('volume', { size, name, availability_zone: zone, volume_type: word, extra }),
    },
    { method: 'GET', path: PAIRS, body: none },
    { method: 'GET', path: `${PAIRS}/{id}`, body: none },
    { method: 'DELETE', path: `${PAIRS}/{id}`, body: none },
    {
      method: 'POST',
      path: PAIRS,
      body: wrapped('replication', {
        name,
        volume_ids: fc.tuple(word, word),
        priority_station: zone,
        replication_model: model,
      }),
    },
    { method: 'GET', path: GROUPS, body: none },
    { method: 'GET', path: `${GROUPS}/{id}`, body: none },
    { method: 'DELETE', path: `${GROUPS}/{id}`, body: none },
    ...Array.from({ length: 4 }, () => ({
      method: 'POST',
      path: `${GROUPS}/{id}/action`,
      body: action,
    })),
    {
      method: 'POST',
      path: GROUPS,
      body: wrapped('replication_consistency_group', {
        name,
        replication_ids: ids,
        priority_station: zone,
        replication_model: model,
      }),
    },
    {
      method: 'PUT',
      path: `${GROUPS}/{id}`,
      body: wrapped('replication_consistency_group', {
        name,
        description: name,
        add_replication_ids: ids,
        remove_replication_ids: ids,
      }),
    },
  ];
}

const query = fc.oneof(
  { weight: 10, arbitrary: fc.constant('') },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '?limit=1',
      '?limit=0',
      '?sort=name:asc',
      '?sort_key=size&sort_dir=up',
      '?marker=none',
      '?offset=-1',
      '?volume_id=none',
      '?status=available',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.string({ unit: 'binary', maxLength: 20 }).map((s) => `?limit=${encoded(s)}`),
  },
);

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

test(`${REQUESTS} requests of any kind over all routes are answered, none with a 5xx`, async (t) => {
  const { here, paris, lyon } = await evsPair(t);
  const group = await makeGroup(here);
  const ids = [
    group,
    await makePair(here),
    await makeDisk(here, 'alone', 'paris'),
    await makeDisk(here, 'away', 'lyon'),
  ];
  const { body } = await here.call('GET', '/volumes');
  for (const { id } of body['volumes'] as { id: string }[]) ids.push(id);
  const word = wordsOf(ids);
  const request = fc.constantFrom(...routesOf(word)).chain((route) =>
    fc.record({
      path: fc.constant(route.path),
      method: fc.oneof({ weight: 14, arbitrary: fc.constant(route.method) }, method),
      version: fc.oneof({ weight: 6, arbitrary: fc.constant('v2') }, fc.constantFrom('v3', 'v1')),
      project: fc.oneof({ weight: 20, arbitrary: fc.constant(PROJECT_ID) }, word.map(encoded)),
      segment: word.map(encoded),
      query,
      body: route.body,
    }),
  );

  const seed = Number(process.env['BATON_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
  const statuses = new Map<number, number>();
  const requests = fc.sample(request, { numRuns: REQUESTS, seed });
  for (const { path, method: asked, version, project, segment, query: q, body: sent } of requests) {
    const url = `/${version}/${project}${path.replace('{id}', segment)}${q}`;
    const answer = await here.ask({
      method: asked,
      path: url,
      ...(sent !== undefined && {
        body: JSON.stringify(sent),
        headers: { 'content-type': 'application/json' },
      }),
    });
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    const what = `${asked} ${url} ${JSON.stringify(sent)}`;
    assert.ok(
      answer.status < 500,
      `BATON_FUZZ_SEED=${seed}: ${what}: ${answer.status} ${answer.text}`,
    );
  }

  const failed = [...paris.logged, ...lyon.logged].filter((l) => l.event === 'request_failed');
  assert.deepEqual(failed, []);
  for (const status of [200, 202, 400, 404, 405, 409]) {
    assert.ok(statuses.has(status), `no ${status}: ${JSON.stringify([...statuses])}`);
  }
});
