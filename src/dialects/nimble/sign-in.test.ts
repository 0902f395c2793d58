import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { memoryWorld } from '../../../test/support/memory-site.ts';
import { PASSWORD } from '../../../test/support/native-api.ts';
import { nimbleApi } from '../../../test/support/nimble-api.ts';
import type { NimbleApi } from '../../../test/support/nimble-api.ts';
import { TOKEN_TERM_MS } from '../../app/sign-in.ts';

const UNAUTHORIZED = ['SM_http_unauthorized', 'SM_unauthorized'];
const CREDENTIALS = { username: 'administrator', password: PASSWORD };

async function paris(t: TestContext): Promise<NimbleApi> {
  return nimbleApi(t, await memoryWorld(t).addSite('paris'));
}

test('a name and password become a token that opens the API until it ends or is deleted', async (t) => {
  const world = memoryWorld(t);
  const { call } = await nimbleApi(t, await world.addSite('paris'));

  const { status, data } = await call('POST', 'tokens', { ...CREDENTIALS, app_name: 60 }, '');
  assert.equal(status, 201);
  assert.match(String(data['session_token']), /^[0-9A-Za-z]{31,32}$/);
  assert.match(String(data['id']), /^[0-9a-f]{42}$/);
  assert.equal(data['app_name'], '60');
  const token = String(data['session_token']);

  const own = await call('GET', `tokens/detail?session_token=${token}`, undefined, token);
  assert.deepEqual(
    own.rows.map((row) => row['id']),
    [data['id']],
  );
  assert.equal((await call('DELETE', `tokens/${String(data['id'])}`, undefined, token)).text, '{}');
  assert.deepEqual((await call('GET', 'tokens', undefined, token)).codes, UNAUTHORIZED);

  const other = String((await call('POST', 'tokens', CREDENTIALS, '')).data['session_token']);
  world.clock.pass(TOKEN_TERM_MS);
  assert.deepEqual((await call('GET', 'tokens', undefined, other)).codes, UNAUTHORIZED);
});

test('a wrong password, a wrong token and none are refused alike', async (t) => {
  const { call } = await paris(t);

  const wrong = await call('POST', 'tokens', { ...CREDENTIALS, password: 'wrong horse' }, '');
  const foreign = await call('GET', 'tokens', undefined, 'f'.repeat(32));
  const none = await call('GET', 'tokens', undefined, '');

  for (const { status, codes } of [wrong, foreign, none]) {
    assert.equal(status, 401);
    assert.deepEqual(codes, UNAUTHORIZED);
  }
});

test("nobody but an administrator sees or ends another's token, and nobody is shown it", async (t) => {
  const { call, token, tokenOf } = await paris(t);
  const viewer = await tokenOf('viewer');
  const [own] = (await call('GET', 'tokens/detail?username=administrator')).rows;

  const seen = (await call('GET', 'tokens/detail', undefined, viewer)).rows;
  assert.deepEqual(
    seen.map((row) => row['username']),
    ['viewer'],
  );
  const { codes } = await call('DELETE', `tokens/${String(own?.['id'])}`, undefined, viewer);
  assert.deepEqual(codes, ['SM_http_not_found', 'SM_enoent']);
  const all = await call('GET', 'tokens/detail');
  assert.equal(all.rows.length, 2);
  assert.ok(all.text.includes(token) && !all.text.includes(viewer));
});
