import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nativePair } from '../../../test/support/native-api.ts';
import type { NativeApi } from '../../../test/support/native-api.ts';

const SIZE = 1024 * 1024;

/** A group of two volumes with data, replicated from Paris to Lyon. */
async function protectedOrders(t: Parameters<typeof nativePair>[0]) {
  const pair = await nativePair(t);
  const { here, paris } = pair;
  await here.call('POST', '/groups', { name: 'orders' });
  for (const name of ['data', 'log']) {
    const body = { name, sizeBytes: SIZE, group: 'orders' };
    await done(here, 'POST', '/volumes?wait=5', body);
  }
  const { body: group } = await here.call('GET', '/groups/orders');
  const groupId = group['id'] as never;
  const [data] = group['volumes'] as { id: never }[];
  paris.engine.write(groupId, data!.id, 3, 7);
  await done(here, 'PUT', '/groups/orders/session?wait=5', { peer: 'lyon', rpoSeconds: 30 });
  await done(here, 'POST', '/groups/orders/session/sync?wait=5');
  return pair;
}

async function done(api: NativeApi, method: string, path: string, body?: unknown) {
  const answer = await api.call(method, path, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

test('a volume is made, found by id and by name, grown and deleted', async (t) => {
  const { here } = await nativePair(t);

  const made = await here.call('POST', '/volumes', { name: 'v1', sizeBytes: SIZE });
  assert.equal(made.status, 202);
  const job = made.body['job'] as { id: string };
  assert.equal(made.headers['location'], `/api/v1/jobs/${job.id}`);
  await done(here, 'GET', `/jobs/${job.id}?wait=5`);

  const { id } = await done(here, 'GET', '/volumes/v1');
  assert.equal((await done(here, 'GET', `/volumes/${String(id).toUpperCase()}`))['name'], 'v1');

  await done(here, 'PATCH', '/volumes/v1?wait=5', { sizeBytes: 2 * SIZE });
  assert.equal((await done(here, 'GET', '/volumes/v1'))['sizeBytes'], 2 * SIZE);
  const smaller = await here.call('PATCH', '/volumes/v1', { sizeBytes: SIZE });
  assert.match(String(smaller.body['detail']), /wanted at least the present size of 2097152 bytes/);

  await done(here, 'DELETE', '/volumes/v1?wait=5');
  assert.equal((await here.call('GET', '/volumes/v1')).status, 404);
  assert.equal((await here.call('GET', `/volumes/${String(id)}`)).status, 404);
});

test('a lone volume is in no group that is shown', async (t) => {
  const { here } = await nativePair(t);
  await done(here, 'POST', '/volumes?wait=5', { name: 'v1', sizeBytes: SIZE });

  assert.equal((await done(here, 'GET', '/groups'))['total'], 0);
  assert.equal((await here.call('GET', '/groups/v1')).status, 404);
  assert.equal((await done(here, 'GET', '/volumes/v1'))['group'], undefined);
});

test('a volume moves into a group and out again', async (t) => {
  const { here } = await nativePair(t);
  await done(here, 'POST', '/volumes?wait=5', { name: 'v1', sizeBytes: SIZE });
  await here.call('POST', '/groups', { name: 'orders' });

  await done(here, 'POST', '/groups/orders/volumes/v1?wait=5');
  const grouped = (await done(here, 'GET', '/volumes/v1'))['group'] as { name: string };
  assert.equal(grouped.name, 'orders');
  assert.equal((await here.call('DELETE', '/groups/orders')).status, 409);

  await done(here, 'DELETE', '/groups/orders/volumes/v1?wait=5');
  assert.equal((await done(here, 'GET', '/volumes/v1'))['group'], undefined);
  await done(here, 'DELETE', '/groups/orders?wait=5');
});

test('a group is replicated: its session tells the RPO, its points are the same at both sites', async (t) => {
  const { here, there } = await protectedOrders(t);

  const session = await done(here, 'GET', '/groups/orders/session');
  assert.deepEqual(
    [session['role'], session['state'], session['rpoMet'], session['rpoNowSeconds']],
    ['source', 'ok', true, 0],
  );
  const cycle = session['lastCycle'] as { kind: string; why: string; sentBytes: number };
  assert.deepEqual([cycle.kind, cycle.why, cycle.sentBytes], ['full', 'first copy', 4096]);

  const points = await done(here, 'GET', '/groups/orders/points');
  assert.deepEqual(await done(there, 'GET', '/groups/orders/points'), points);
  const [point] = points['items'] as { id: string }[];
  const path = `/groups/orders/points/${point!.id}/hash`;
  assert.deepEqual(await done(there, 'POST', path), await done(here, 'POST', path));

  const changed = await here.call('PATCH', '/groups/orders/session', { rpoSeconds: 60 });
  assert.equal(changed.body['rpoSeconds'], 60);
  assert.equal((await done(here, 'GET', '/sessions'))['total'], 1);
});

test('a session is paused and resumed, and ends with or without its copy', async (t) => {
  const { here, there } = await protectedOrders(t);

  assert.equal((await done(here, 'POST', '/groups/orders/session/pause'))['state'], 'paused');
  const again = await here.call('POST', '/groups/orders/session/pause');
  assert.equal(again.status, 409);
  assert.equal((again.body['reason'] as { code: string }).code, 'wrong_state');
  assert.equal((await done(here, 'POST', '/groups/orders/session/resume'))['state'], 'ok');

  const unseen = await here.call('DELETE', '/groups/orders/session?discardCopy=true');
  assert.equal((unseen.body['reason'] as { code: string }).code, 'confirmation_needed');
  const path = '/groups/orders/session/preflight';
  const seen = await done(here, 'POST', path, { discardCopy: true });
  assert.match(seen['consequence'] as string, /copy is deleted with its 1 point/);
  const plain = await done(here, 'POST', path, {});
  assert.equal(plain['confirmation'], undefined);
  const token = seen['confirmation'] as string;
  await done(
    here,
    'DELETE',
    `/groups/orders/session?discardCopy=true&confirmation=${token}&wait=5`,
  );
  assert.equal((await here.call('GET', '/groups/orders/session')).status, 409);
  assert.equal((await there.call('GET', '/groups/orders')).status, 404);
});

test('a handover is looked at first, then done, then the other site is the source', async (t) => {
  const { here, there } = await protectedOrders(t);

  const { preflight } = await done(here, 'POST', '/groups/orders/handover?dryRun=true', {});
  assert.deepEqual((preflight as { blockedBy: string[] }).blockedBy, []);
  assert.equal((await done(here, 'GET', '/groups/orders'))['heldHere'], true);

  await done(here, 'POST', '/groups/orders/handover?wait=10', { to: 'lyon' });

  const group = await done(there, 'GET', '/groups/orders');
  assert.deepEqual([group['heldHere'], group['epoch']], [true, 2]);
  assert.equal((await done(there, 'GET', '/groups/orders/session'))['role'], 'source');
  const back = await here.call('POST', '/groups/orders/handover', {});
  assert.equal((back.body['reason'] as { code: string }).code, 'not_holder');
});

test('a job that was waited for and did not succeed is a problem that carries the job', async (t) => {
  const { here, paris } = await protectedOrders(t);
  paris.trouble.down = true;

  const answer = await here.call('POST', '/groups/orders/handover?wait=10', {});

  assert.equal(answer.status, 503);
  assert.equal((answer.body['reason'] as { code: string }).code, 'peer_unreachable');
  assert.equal((answer.body['job'] as { state: string }).state, 'undone');
  assert.equal((await done(here, 'GET', '/groups/orders'))['heldHere'], true);
});

test('a running job is aborted, and puts everything back', async (t) => {
  const { here, paris } = await protectedOrders(t);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  paris.trouble.hold = (message) => (message === 'receivePoint' ? held : Promise.resolve());
  const started = await here.call('POST', '/groups/orders/handover', {});
  assert.equal(started.status, 202);
  const { id } = started.body['job'] as { id: string };

  const asked = await here.call('POST', `/jobs/${id}/abort`);
  assert.equal(asked.status, 202);
  release();

  const job = await done(here, 'GET', `/jobs/${id}?wait=5`);
  assert.equal(job['state'], 'undone');
  assert.match((job['outcome'] as { message: string }).message, /aborted by administrator/);
  const done1 = await done(here, 'GET', '/jobs?kind=protect');
  const [protect] = done1['items'] as { id: string }[];
  assert.equal((await here.call('POST', `/jobs/${protect!.id}/abort`)).status, 409);
});

test('jobs are listed newest first, by group, kind and state', async (t) => {
  const { here } = await protectedOrders(t);
  await done(here, 'POST', '/volumes?wait=5', { name: 'alone', sizeBytes: SIZE });

  const all = (await done(here, 'GET', '/jobs'))['items'] as { kind: string }[];
  assert.equal(all[0]?.kind, 'create-volume');
  const orders = await done(here, 'GET', '/jobs?group=orders&state=done');
  assert.deepEqual(
    (orders['items'] as { kind: string }[]).map(({ kind }) => kind),
    ['replicate', 'protect', 'create-volume', 'create-volume'],
  );
  assert.equal((await done(here, 'GET', '/jobs?state=running'))['total'], 0);
  assert.equal((await here.call('GET', '/jobs/none')).status, 404);
});

test('a host gets files, groups, and the way to attach', async (t) => {
  const { here, there } = await protectedOrders(t);

  const made = await here.call('POST', '/hosts', { name: 'app1' });
  assert.equal(made.status, 201);
  const files = made.body['files'] as Record<string, string>;
  assert.deepEqual(Object.keys(files), ['ca-cert.pem', 'client-cert.pem', 'client-key.pem']);
  assert.match(files['client-key.pem'] ?? '', /^-----BEGIN PRIVATE KEY-----/);

  assert.equal((await here.call('PUT', '/groups/orders/hosts/app1')).status, 204);
  const attachment = await done(here, 'GET', '/volumes/data/attachment?host=app1');
  assert.deepEqual([attachment['serving'], attachment['admitted']], [true, true]);
  assert.match(
    String(attachment['uri']),
    /^nbds:\/\/127\.0\.0\.1:\d+\/data\?tls-certificates=DIRECTORY$/,
  );
  const elsewhere = await there.call('GET', '/volumes/data/attachment');
  assert.equal((elsewhere.body['reason'] as { code: string }).code, 'not_holder');

  assert.equal((await here.call('DELETE', '/hosts/app1')).status, 409);
  assert.equal((await here.call('DELETE', '/groups/orders/hosts/app1')).status, 204);
  assert.equal((await here.call('POST', '/hosts/app1/certificate')).status, 201);
  assert.equal((await here.call('DELETE', '/hosts/app1')).status, 204);
  assert.equal((await here.call('GET', '/hosts/app1')).status, 404);
});

test('a lone volume is mapped, replicated and handed over by itself; one of a group is not', async (t) => {
  const { here, there } = await protectedOrders(t);
  await done(here, 'POST', '/volumes?wait=5', { name: 'alone', sizeBytes: SIZE });
  await here.call('POST', '/hosts', { name: 'app1' });

  assert.equal((await here.call('PUT', '/volumes/alone/hosts/app1')).status, 204);
  assert.deepEqual((await done(here, 'GET', '/volumes/alone'))['hosts'], ['app1']);
  await done(here, 'PUT', '/volumes/alone/session?wait=5', { peer: 'lyon', rpoSeconds: 30 });
  await done(here, 'POST', '/volumes/alone/session/sync?wait=5');
  assert.equal((await done(there, 'GET', '/volumes/alone/points'))['total'], 1);
  await done(here, 'POST', '/volumes/alone/handover?wait=10', {});
  assert.equal((await done(there, 'GET', '/volumes/alone'))['heldHere'], true);

  for (const [method, path, body] of [
    ['PUT', '/volumes/data/hosts/app1', undefined],
    ['PUT', '/volumes/data/session', { peer: 'lyon', rpoSeconds: 30 }],
    ['POST', '/volumes/data/handover', {}],
  ] as const) {
    const { status, body: problem } = await here.call(method, path, body);
    assert.equal(status, 422, path);
    assert.match(String(problem['detail']), /it is in group orders/);
  }
});

test('a copy that was kept of a lone volume is deleted as a volume, once nothing feeds it', async (t) => {
  const { here, there } = await nativePair(t);
  await done(here, 'POST', '/volumes?wait=5', { name: 'alone', sizeBytes: SIZE });
  await done(here, 'PUT', '/volumes/alone/session?wait=5', { peer: 'lyon', rpoSeconds: 30 });
  await done(here, 'POST', '/volumes/alone/session/sync?wait=5');

  const fed = await there.call('DELETE', '/volumes/alone');
  assert.equal((fed.body['reason'] as { code: string }).code, 'not_holder');
  await done(here, 'DELETE', '/volumes/alone/session?wait=5');
  await done(there, 'DELETE', '/volumes/alone?wait=5');

  assert.equal((await there.call('GET', '/volumes/alone')).status, 404);
  assert.equal((await done(here, 'GET', '/volumes/alone'))['heldHere'], true);
});

test('sites are paired by a token that is good once', async (t) => {
  const { here, there } = await nativePair(t);
  await here.call('DELETE', '/peers/lyon');
  assert.equal((await done(here, 'GET', '/peers'))['total'], 0);

  const { body } = await here.call('POST', '/peers/invitations');
  const joined = await there.call('POST', '/peers', { token: body['token'] });
  assert.equal(joined.status, 201, joined.text);
  assert.equal(joined.body['name'], 'paris');
  assert.equal((await done(here, 'GET', '/peers/lyon'))['name'], 'lyon');

  const twice = await there.call('POST', '/peers', { token: body['token'] });
  assert.equal((twice.body['reason'] as { code: string }).code, 'peer_untrusted');
  assert.equal((await there.call('POST', '/peers', { token: 'nonsense' })).status, 400);
});

test('the data plane can be looked at', async (t) => {
  const { here, there } = await protectedOrders(t);

  const source = await done(here, 'GET', '/groups/orders/data-plane');
  const copy = await done(there, 'GET', '/groups/orders/data-plane');

  assert.deepEqual([source['serving'], source['hasPresent']], [true, true]);
  assert.deepEqual([copy['serving'], copy['hasPresent']], [false, false]);
});
