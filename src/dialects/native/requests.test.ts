import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { nativeApi } from '../../../test/support/native-api.ts';
import type { NativeApi } from '../../../test/support/native-api.ts';
import { memoryWorld } from '../../../test/support/memory-site.ts';

async function paris(t: TestContext): Promise<NativeApi> {
  return nativeApi(t, await memoryWorld(t).addSite('paris'));
}

const SIZE = 1024 * 1024;

test('a body that does not fit is refused by its field, what was wanted, and what was seen', async (t) => {
  const { call } = await paris(t);
  const cases: readonly [body: unknown, detail: string][] = [
    [{ name: 'v1', sizeBytes: '10' }, 'sizeBytes: wanted an integer, got "10"'],
    [{ name: 'v1', sizeBytes: 1.5 }, 'sizeBytes: wanted an integer, got 1.5'],
    [{ name: 'v1', sizeBytes: null }, 'sizeBytes: wanted an integer, got null'],
    [{ sizeBytes: SIZE }, 'name: wanted a value, got nothing'],
    [{ name: '', sizeBytes: SIZE }, 'name: wanted at least 1 characters, got ""'],
    [
      { name: 'v1', sizeBytes: SIZE, colour: 'red' },
      'colour: wanted one of the members name, sizeBytes, group, got an unknown one',
    ],
    [[], 'body: wanted an object, got []'],
    [undefined, 'body: wanted an object, got null'],
  ];

  for (const [body, detail] of cases) {
    const { status, body: problem } = await call('POST', '/volumes', body);
    assert.equal(problem['detail'], detail);
    assert.equal(status, 400);
  }
  assert.equal((await call('GET', '/volumes')).body['total'], 0);
});

test('a secret is never repeated in a refusal', async (t) => {
  const { call } = await paris(t);

  const long = 'hunter2'.repeat(100);
  const signIn = await call('POST', '/sign-in', { name: 'a', password: long }, '');
  const user = await call('POST', '/users', { name: 'a', password: 'hunt', role: 'viewer' });
  const join = await call('POST', '/peers', { token: [long] });

  for (const { status, text } of [signIn, user, join]) {
    assert.equal(status, 400);
    assert.equal(text.includes('hunt'), false);
  }
});

test('numbers in a query are read from text, and nonsense there is refused', async (t) => {
  const { call } = await paris(t);

  assert.equal((await call('GET', '/volumes?limit=1&offset=0')).status, 200);
  for (const query of ['limit=abc', 'limit=0', 'limit=1001', 'limit=1&limit=2', 'lmit=1']) {
    assert.equal((await call('GET', `/volumes?${query}`)).status, 400, query);
  }
});

test('a path that there is not, and a method that a path has not, are told apart', async (t) => {
  const { call } = await paris(t);

  const nowhere = await call('GET', '/nowhere');
  assert.equal(nowhere.status, 404);
  assert.equal(nowhere.body['type'], 'urn:baton:problem:no-such-path');

  const wrong = await call('PUT', '/volumes');
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers['allow'], 'GET, HEAD, POST');
});

test('a body of another type, too large, or broken is refused as such', async (t) => {
  const { http, token } = await paris(t);
  const send = async (payload: string, type: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': type };
    const answer = await http.inject({ method: 'POST', url: '/api/v1/volumes', headers, payload });
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
    return answer.statusCode;
  };

  assert.equal(await send('name=v1', 'application/x-www-form-urlencoded'), 415);
  assert.equal(await send('v1', 'text/plain'), 415);
  assert.equal(await send('{"name":', 'application/json'), 400);
  assert.equal(await send('{"__proto__":{"a":1}}', 'application/json'), 400);
  assert.equal(await send(`"${'x'.repeat(10 * 1024 * 1024)}"`, 'application/json'), 413);
});

test('a route that takes no body refuses one, and does not mind an empty one', async (t) => {
  const { call, http, token } = await paris(t);
  await call('POST', '/groups', { name: 'orders' });

  assert.equal((await call('POST', '/peers/invitations', { soon: true })).status, 400);

  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const url = '/api/v1/peers/invitations';
  assert.equal((await http.inject({ method: 'POST', url, headers, payload: '' })).statusCode, 201);
  assert.equal(
    (await http.inject({ method: 'POST', url, headers, payload: '{}' })).statusCode,
    201,
  );
});

test('every answer carries its request id, and a problem repeats it', async (t) => {
  const { call } = await paris(t);

  const { headers, body } = await call('GET', '/volumes/none');

  assert.equal(body['instance'], headers['x-request-id']);
  assert.match(String(body['instance']), /^[0-9a-f-]{36}$/);
});

test('a list comes in pages', async (t) => {
  const { call } = await paris(t);
  for (const name of ['a', 'b', 'c']) await call('POST', '/groups', { name });

  const first = await call('GET', '/groups?limit=2');
  const second = await call('GET', `/groups?limit=2&offset=${String(first.body['nextOffset'])}`);

  const names = (answer: typeof first): unknown[] =>
    (answer.body['items'] as { name: string }[]).map(({ name }) => name);
  assert.deepEqual([names(first), first.body['total']], [['a', 'b'], 3]);
  assert.deepEqual([names(second), second.body['nextOffset']], [['c'], undefined]);
});

test('the description of the API names every route and what it takes', async (t) => {
  const { call } = await paris(t);

  const { body } = await call('GET', '/openapi.json', undefined, '');

  assert.equal(body['openapi'], '3.1.0');
  const paths = body['paths'] as Record<string, Record<string, { summary?: string }>>;
  const handover = paths['/api/v1/groups/{owner}/handover']?.['post'];
  assert.equal(handover?.summary, 'Hand a group over to its peer with no write lost');
  const routes = Object.values(paths).flatMap((path) => Object.values(path));
  assert.ok(routes.length > 45, `${routes.length}`);
  assert.deepEqual(
    routes.filter(({ summary }) => summary === undefined),
    [],
  );
});

test('a path that is no URL is a problem, too', async (t) => {
  const { call } = await paris(t);

  const { status, body } = await call('GET', '/volumes/%zz');

  assert.equal(status, 400);
  assert.equal(body['type'], 'urn:baton:problem:malformed');
});
