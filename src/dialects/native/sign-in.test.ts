import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { memoryWorld } from '../../../test/support/memory-site.ts';
import type { MemoryWorld } from '../../../test/support/memory-site.ts';
import { PASSWORD, nativeApi } from '../../../test/support/native-api.ts';
import type { NativeApi } from '../../../test/support/native-api.ts';
import { TOKEN_TERM_MS } from '../../app/sign-in.ts';
import type { Role } from '../../domain/user.ts';

async function paris(t: TestContext): Promise<NativeApi & Pick<MemoryWorld, 'clock'>> {
  const world = memoryWorld(t);
  const api = await nativeApi(t, await world.addSite('paris'));
  return { ...api, clock: world.clock };
}

test('a name and password become a token that opens the API until it ends', async (t) => {
  const { call, clock } = await paris(t);
  const name = 'administrator';

  const { status, body } = await call('POST', '/sign-in', { name, password: PASSWORD }, '');
  const token = String(body['token']);

  assert.equal(status, 200);
  assert.equal(body['role'], 'administrator');
  assert.equal(body['expiresAt'], new Date(clock.now() + TOKEN_TERM_MS).toISOString());
  assert.equal((await call('GET', '/site', undefined, token)).status, 200);

  clock.pass(TOKEN_TERM_MS);
  assert.equal((await call('GET', '/site', undefined, token)).status, 401);
});

test('signing out ends a token', async (t) => {
  const { call, tokenOf } = await paris(t);
  const token = await tokenOf('viewer');

  assert.equal((await call('POST', '/sign-out', undefined, token)).status, 204);

  assert.equal((await call('GET', '/site', undefined, token)).status, 401);
});

test('without a token, or with a wrong one, nothing is answered but where to knock', async (t) => {
  const { http } = await paris(t);

  for (const authorization of [undefined, '', 'Bearer', 'Bearer nonsense', 'Basic YTpi']) {
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await http.inject({ url: '/api/v1/volumes', headers });
    assert.equal(answer.statusCode, 401);
    assert.equal(answer.headers['www-authenticate'], 'Bearer realm="baton"');
  }
});

test('a wrong password and an unknown name are refused alike, and too many for a while', async (t) => {
  const { call, clock } = await paris(t);
  const attempt = (name: string): ReturnType<typeof call> =>
    call('POST', '/sign-in', { name, password: 'wrong password' }, '');

  const wrong = await attempt('administrator');
  const unknown = await attempt('nobody-here');
  assert.equal(wrong.status, 401);
  assert.deepEqual(unknown.body['detail'], wrong.body['detail']);

  for (let n = 1; n < 10; n += 1) await attempt('administrator');
  const refused = await attempt('administrator');
  assert.equal(refused.status, 429);
  assert.equal(refused.headers['retry-after'], '60');

  clock.pass(60_000);
  assert.equal((await attempt('administrator')).status, 401);
});

test('a role may do what is its own, and is told what it lacks', async (t) => {
  const { call, tokenOf } = await paris(t);
  const may: readonly [Role, string, string, unknown, number][] = [
    ['viewer', 'GET', '/volumes', undefined, 200],
    ['viewer', 'POST', '/groups', { name: 'g1' }, 403],
    ['viewer', 'GET', '/users', undefined, 403],
    ['dr_operator', 'POST', '/groups', { name: 'g1' }, 403],
    ['dr_operator', 'POST', '/groups/none/session/sync', undefined, 404],
    ['storage_operator', 'POST', '/groups', { name: 'g1' }, 201],
    ['storage_operator', 'POST', '/hosts', { name: 'app1' }, 403],
    ['administrator', 'POST', '/hosts', { name: 'app1' }, 201],
  ];

  for (const [role, method, path, body, status] of may) {
    const answer = await call(method, path, body, await tokenOf(role));
    assert.equal(answer.status, status, `${role} ${method} ${path}`);
  }
});

test('users come, change their password and go; the last administrator stays', async (t) => {
  const { call } = await paris(t);
  const credentials = { name: 'ada', password: 'first password' };
  await call('POST', '/users', { ...credentials, role: 'viewer' });
  const signedIn = await call('POST', '/sign-in', credentials, '');

  const changed = await call('PATCH', '/users/ada', { password: 'second password' });
  assert.equal(changed.status, 204);
  assert.equal((await call('POST', '/sign-in', credentials, '')).status, 401);
  const old = String(signedIn.body['token']);
  assert.equal((await call('GET', '/site', undefined, old)).status, 401);

  const list = await call('GET', '/users');
  assert.equal(/password|hash/i.test(list.text), false);
  assert.equal((await call('DELETE', '/users/ada')).status, 204);
  const last = await call('DELETE', '/users/administrator');
  assert.equal(last.status, 409);
});

test('the audit log has each change once, with who, from where and what came of it', async (t) => {
  const { call, tokenOf } = await paris(t);
  await call('POST', '/groups', { name: 'orders' });
  await call('POST', '/groups', { name: 'orders' });
  await call('DELETE', '/groups/none', undefined, await tokenOf('viewer'));
  await call('POST', '/sign-in', { name: 'mallory', password: 'a long secret' }, '');
  await call('POST', '/groups', { name: 'x' }, '');
  await call('GET', '/groups');

  const { body, text } = await call('GET', '/audit');

  const entries = (body['items'] as Record<string, string>[]).toReversed();
  assert.deepEqual(
    entries.map(({ user, from, what, target, result }) => [
      user,
      from,
      what,
      target,
      result?.replace(/[0-9a-f-]{36}/, 'ID'),
    ]),
    [
      ['administrator', '127.0.0.1', 'POST /api/v1/groups', 'orders', '201 /api/v1/groups/ID'],
      ['administrator', '127.0.0.1', 'POST /api/v1/groups', 'orders', '409 already-exists'],
      ['viewer', '127.0.0.1', 'DELETE /api/v1/groups/:group', 'none', '403 forbidden'],
      ['mallory', '127.0.0.1', 'POST /api/v1/sign-in', 'mallory', '401 unauthenticated'],
    ],
  );
  assert.equal(text.includes('secret'), false);
});
