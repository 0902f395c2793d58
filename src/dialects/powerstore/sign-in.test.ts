import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { memoryWorld } from '../../../test/support/memory-site.ts';
import { PASSWORD } from '../../../test/support/native-api.ts';
import { basic, powerstoreApi } from '../../../test/support/powerstore-api.ts';
import type { PowerStoreApi } from '../../../test/support/powerstore-api.ts';
import { TOKEN_TERM_MS } from '../../app/sign-in.ts';

const LOGIN = 'login_session?select=id,user,role_ids,idle_timeout';

interface Session {
  readonly cookie: string;
  readonly token: string;
}

async function signIn({ send, userOf }: PowerStoreApi): Promise<Session> {
  const { status, headers } = await send({ path: LOGIN, headers: await userOf('administrator') });
  assert.equal(status, 200);
  const [cookie = ''] = String(headers['set-cookie']).split(';');
  return { cookie, token: String(headers['dell-emc-token']) };
}

async function paris(t: TestContext): Promise<PowerStoreApi> {
  return powerstoreApi(t, await memoryWorld(t).addSite('paris'));
}

test('credentials open a session that cookie and token go on with until it is logged out', async (t) => {
  const api = await paris(t);
  const { send } = api;

  const { cookie, token } = await signIn(api);
  assert.match(cookie, /^auth_cookie=[0-9a-f]{32}$/);

  const looked = await send({ path: LOGIN, headers: { cookie } });
  assert.equal(looked.rows[0]?.['user'], 'administrator');
  assert.deepEqual(looked.rows[0]?.['role_ids'], ['1']);
  assert.equal(looked.rows[0]?.['idle_timeout'], TOKEN_TERM_MS / 1000);
  assert.equal(looked.headers['set-cookie'], undefined);

  const headers = { cookie, 'dell-emc-token': token };
  const made = await send({
    method: 'POST',
    path: 'volume_group',
    body: { name: 'orders' },
    headers,
  });
  assert.equal(made.status, 201);

  assert.equal((await send({ method: 'POST', path: 'logout', headers })).status, 204);
  assert.equal((await send({ path: LOGIN, headers: { cookie } })).status, 403);
});

test('a cookie alone changes nothing: it may come from a page of another site', async (t) => {
  const api = await paris(t);
  const { cookie } = await signIn(api);

  for (const token of [undefined, 'guessed']) {
    const headers = { cookie, ...(token && { 'dell-emc-token': token }) };
    const answer = await api.send({
      method: 'POST',
      path: 'volume_group',
      body: { name: 'a' },
      headers,
    });
    assert.equal(answer.status, 403);
  }
  assert.deepEqual(await api.site.app.listGroups(), []);
});

test('credentials with each request need neither cookie nor token, and sign in once', async (t) => {
  const api = await paris(t);
  const headers = await api.userOf('administrator');

  const first = await api.send({
    method: 'POST',
    path: 'volume_group',
    body: { name: 'a' },
    headers,
  });
  const second = await api.send({
    method: 'POST',
    path: 'volume_group',
    body: { name: 'b' },
    headers,
  });

  assert.equal(first.status, 201);
  assert.equal(second.status, 201);
  assert.equal(first.headers['set-cookie'], second.headers['set-cookie']);
  assert.equal((await api.site.ports.store.read((tx) => tx.tokens.all())).length, 1);
});

test('wrong credentials and none are 401, a session that has ended is 403', async (t) => {
  const world = memoryWorld(t);
  const api = await powerstoreApi(t, await world.addSite('paris'));
  const { cookie } = await signIn(api);

  assert.equal((await api.send({ path: 'volume' })).status, 401);
  const wrong = basic('administrator', 'wrong password');
  assert.equal((await api.send({ path: 'volume', headers: wrong })).status, 401);
  assert.equal((await api.send({ path: 'volume', headers: basic('x', PASSWORD) })).status, 401);
  assert.equal(
    (await api.send({ path: 'volume', headers: { authorization: 'Basic ?' } })).status,
    401,
  );

  world.clock.pass(TOKEN_TERM_MS);
  assert.equal((await api.send({ path: 'volume', headers: { cookie } })).status, 403);
});

test('after the password has changed the old one opens nothing, though it did before', async (t) => {
  const api = await paris(t);
  const headers = await api.userOf('administrator');
  assert.equal((await api.send({ path: 'volume', headers })).status, 200);
  const [user] = await api.site.app.listUsers();
  assert.ok(user);

  await api.site.app.changePassword({ userId: user.id, password: 'another horse' });

  assert.equal((await api.send({ path: 'volume', headers })).status, 401);
});

test('what a role may not do is 403 and changes nothing', async (t) => {
  const { call, site } = await paris(t);

  assert.equal((await call('POST', 'volume_group', { name: 'a' }, 'viewer')).status, 403);
  assert.equal((await call('POST', 'volume_group', { name: 'a' }, 'dr_operator')).status, 403);
  assert.equal(
    (await call('POST', 'host', { name: 'a', os_type: 'Linux' }, 'storage_operator')).status,
    403,
  );

  assert.deepEqual(await site.app.listGroups(), []);
  assert.deepEqual(await site.app.listHosts(), []);
});
