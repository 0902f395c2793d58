import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evsPair, GROUPS, PASSWORD } from '../../../test/support/evs-api.ts';
import { PROJECT_ID } from './ids.ts';

const PATH = '/v3/auth/tokens';

interface Token {
  readonly user: { readonly name: string };
  readonly project?: { readonly id: string };
  readonly roles: readonly { readonly name: string }[];
  readonly catalog: readonly {
    readonly type: string;
    readonly endpoints: readonly { readonly url: string; readonly interface: string }[];
  }[];
}

function password(name: string, secret: string, scope?: unknown) {
  const user = { name, password: secret, domain: { name: 'Default' } };
  return { auth: { identity: { methods: ['password'], password: { user } }, scope } };
}

test('a name and password become a token with a catalog, and the token opens the service', async (t) => {
  const { here } = await evsPair(t);
  const project = { project: { name: 'baton', domain: { id: 'default' } } };
  const body = password('administrator', PASSWORD, project);

  const answer = await here.identity({ method: 'POST', path: PATH, body });

  assert.equal(answer.status, 201, answer.text);
  const token = answer.body['token'] as Token;
  assert.equal(token.user.name, 'administrator');
  assert.ok(token.roles.some(({ name }) => name === 'admin'));
  const volumes = token.catalog.find(({ type }) => type === 'volumev2');
  assert.deepEqual(
    volumes?.endpoints.map((e) => [e.interface, e.url]),
    ['public', 'internal', 'admin'].map((i) => [i, `https://127.0.0.1:8776/v2/${PROJECT_ID}`]),
  );
  const subject = String(answer.headers['x-subject-token']);
  const path = `/v2/${PROJECT_ID}/volumes`;
  assert.equal((await here.ask({ method: 'GET', path, token: subject })).status, 200);

  const own = { token: subject, headers: { 'x-subject-token': subject } };
  const shown = await here.identity({ method: 'GET', path: PATH, ...own });
  assert.equal((shown.body['token'] as Token).project?.id, PROJECT_ID);
  assert.equal((await here.identity({ method: 'HEAD', path: PATH, ...own })).status, 200);
  assert.equal((await here.identity({ method: 'DELETE', path: PATH, ...own })).status, 204);
  assert.equal((await here.ask({ method: 'GET', path, token: subject })).status, 401);
});

test('whatever of user, password, project or scope is wrong, the answer is the same', async (t) => {
  const { here } = await evsPair(t);
  await here.tokenOf('viewer');
  const wrong = [
    password('viewer', 'wrong'),
    password('nobody', PASSWORD),
    password('viewer', PASSWORD, { project: { name: 'other' } }),
    password('viewer', PASSWORD, { project: { name: 'baton', domain: { id: 'other' } } }),
    password('viewer', PASSWORD, { domain: { id: 'default' } }),
  ];

  const answers = [];
  for (const body of wrong) answers.push(await here.identity({ method: 'POST', path: PATH, body }));

  for (const { status, text } of answers) assert.deepEqual([status, text], [401, answers[0]?.text]);
});

test('a body that is no sign-in is a 400 in the identity service’s words', async (t) => {
  const { here } = await evsPair(t);
  for (const body of [{}, { auth: {} }, { auth: { identity: { methods: ['magic'] } } }]) {
    const answer = await here.identity({ method: 'POST', path: PATH, body });
    const error = answer.body['error'] as { code: number; title: string };
    assert.deepEqual([answer.status, error.code, error.title], [400, 400, 'Bad Request']);
  }
});

test('a request without a token, with a foreign or an ended one, is told where to get one', async (t) => {
  const { here, there, clock } = await evsPair(t);
  const foreign = await there.tokenOf('administrator');
  const ended = await here.tokenOf('administrator');
  const path = `/v2/${PROJECT_ID}${GROUPS}`;
  const refused = async (token: string | undefined) => {
    const answer = await here.ask({ method: 'GET', path, token });
    assert.equal(answer.status, 401);
    assert.equal(answer.headers['www-authenticate'], 'Keystone uri="https://127.0.0.1:5000/v3"');
  };

  await refused(undefined);
  await refused('');
  await refused(foreign);
  clock.pass(13 * 60 * 60 * 1000);
  await refused(ended);
});

test('each role may do what it may do anywhere else, and is told 403 for the rest', async (t) => {
  const { here } = await evsPair(t);
  const volumes = `/v2/${PROJECT_ID}/volumes`;
  const action = `/v2/${PROJECT_ID}${GROUPS}/none/action`;
  const asked = async (role: 'viewer' | 'dr_operator' | 'storage_operator') => {
    const token = await here.tokenOf(role);
    const requests = [
      { method: 'GET', path: volumes },
      { method: 'POST', path: action, body: {} },
      { method: 'POST', path: volumes, body: {} },
    ];
    const answers = [];
    for (const request of requests) answers.push((await here.ask({ ...request, token })).status);
    return answers;
  };

  assert.deepEqual(await asked('viewer'), [200, 403, 403]);
  assert.deepEqual(await asked('dr_operator'), [200, 404, 403]);
  assert.deepEqual(await asked('storage_operator'), [200, 404, 400]);
});

test('another project’s path is malformed, whoever asks', async (t) => {
  const { here } = await evsPair(t);

  const answer = await here.ask({ method: 'GET', path: `/v2/${'0'.repeat(32)}/volumes` });

  assert.deepEqual([answer.status, Object.keys(answer.body)], [400, ['badRequest']]);
});

test('clients find the versions at the roots, with a token or without', async (t) => {
  const { here } = await evsPair(t);
  const versions = async (path: string, token?: string) => {
    const answer = await here.ask({ method: 'GET', path, token });
    const list = answer.body['versions'] as { id: string }[];
    return [answer.status, ...list.map(({ id }) => id)];
  };

  assert.deepEqual(await versions('/'), [300, 'v2.0', 'v3.0']);
  assert.deepEqual(await versions('/', 'any'), [300, 'v2.0', 'v3.0']);
  assert.deepEqual(await versions('/v3/'), [200, 'v3.0']);
  assert.deepEqual(await versions('/v2'), [200, 'v2.0']);
  assert.equal((await here.identity({ method: 'GET', path: '/' })).status, 300);
  assert.equal((await here.identity({ method: 'GET', path: '/v3' })).status, 200);
});

test('a microversion that is not offered is a 406 that says which are', async (t) => {
  const { here } = await evsPair(t);
  const ask = async (version: string) => {
    const headers = { 'openstack-api-version': version };
    const path = `/v3/${PROJECT_ID}/volumes`;
    const answer = await here.ask({ method: 'GET', path, headers });
    return [answer.status, answer.headers['openstack-api-version']];
  };

  assert.deepEqual(await ask('volume 3.0'), [200, 'volume 3.0']);
  assert.deepEqual(await ask('volume latest'), [200, 'volume 3.0']);
  assert.deepEqual(await ask('volume 3.38'), [406, 'volume 3.0']);
  assert.deepEqual(await ask('volume new'), [400, 'volume 3.0']);
});
