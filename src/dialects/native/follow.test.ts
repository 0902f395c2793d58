import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { nativePair } from '../../../test/support/native-api.ts';
import type { Answer, NativeApi } from '../../../test/support/native-api.ts';

interface Followed {
  readonly found: string;
  readonly holder: string;
  readonly epoch: number;
  readonly history: { readonly id: string; readonly pointId?: string };
  readonly serves?: { readonly exportName: string; readonly tlsName: string };
}

/** The volume `data` at Paris, replicated to Lyon, and the host app1, which may attach it. */
async function enrolledHost(t: TestContext) {
  const pair = await nativePair(t);
  const { here, there } = pair;
  await here.call('POST', '/groups', { name: 'orders' });
  await here.call('POST', '/volumes?wait=5', { name: 'data', sizeBytes: 1 << 20, group: 'orders' });
  const enrolment = await here.call('POST', '/hosts/app1/enrolment');
  const tokens = tokensOf(enrolment);
  await here.call('PUT', '/groups/orders/hosts/app1');
  await here.call('PUT', '/groups/orders/session?wait=5', { peer: 'lyon', rpoSeconds: 30 });
  await here.call('POST', '/groups/orders/session/sync?wait=5');
  const follow = async (api: NativeApi, more: object = {}) => {
    const body = { volumes: ['data'], ...more };
    const token = api === here ? tokens[0] : tokens[1];
    const answer = await api.call('POST', '/follow', body, token);
    assert.equal(answer.status, 200, answer.text);
    const [volume] = answer.body['volumes'] as Followed[];
    assert.ok(volume);
    return { seen: String(answer.body['seen']), volume };
  };
  return { ...pair, here, there, enrolment, tokens, follow };
}

function tokensOf({ body }: Answer): readonly string[] {
  return (body['sites'] as { token: string }[]).map(({ token }) => token);
}

test('one enrolment makes a host known at both sites, each with files and a word of its own', async (t) => {
  const { here, there, enrolment, tokens } = await enrolledHost(t);

  const sites = enrolment.body['sites'] as { siteName: string; files: Record<string, string> }[];
  assert.deepEqual(
    sites.map(({ siteName }) => siteName),
    ['paris', 'lyon'],
  );
  assert.notEqual(sites[0]?.files['ca-cert.pem'], sites[1]?.files['ca-cert.pem']);
  for (const api of [here, there]) {
    const hosts = await api.call('GET', '/hosts/app1');
    assert.equal(hosts.status, 200);
    assert.ok(!hosts.text.includes('oken'), 'neither the token nor its hash is told');
  }
  const [ours = '', theirs = ''] = tokens;
  assert.equal((await here.call('POST', '/follow', { volumes: ['data'] }, theirs)).status, 401);
  assert.equal((await here.call('GET', '/volumes', undefined, ours)).status, 401);
  await here.call('POST', '/hosts/app1/enrolment');
  assert.equal((await here.call('POST', '/follow', { volumes: ['data'] }, ours)).status, 401);
});

test('a host that another site has for itself is not enrolled from here', async (t) => {
  const { here, there } = await enrolledHost(t);
  await there.call('POST', '/hosts', { name: 'vault' });
  await there.call('POST', '/volumes?wait=5', { name: 'safe', sizeBytes: 1 << 20 });
  await there.call('PUT', '/volumes/safe/hosts/vault');

  const refused = await here.call('POST', '/hosts/vault/enrolment');

  assert.equal(refused.status, 409, refused.text);
  assert.match(String(refused.body['detail']), /host vault is in use by group safe/);
  assert.equal((await here.call('GET', '/hosts/vault')).status, 404);
});

test('a handover is heard of while the agent waits, and the history goes on', async (t) => {
  const { here, there, paris, lyon, follow } = await enrolledHost(t);
  const before = await follow(here);
  assert.equal(before.volume.serves?.tlsName, paris.id);
  const elsewhere = await follow(there);
  assert.equal(elsewhere.volume.serves, undefined);

  const heard = follow(there, { seen: elsewhere.seen, waitSeconds: 20 });
  await here.call('POST', '/groups/orders/handover?wait=20', {});

  let { seen, volume } = await heard;
  while (volume.serves === undefined) {
    ({ seen, volume } = await follow(there, { seen, waitSeconds: 20 }));
  }
  assert.deepEqual([volume.holder, volume.epoch], [lyon.id, 2]);
  assert.equal(volume.serves.exportName, `data@${before.volume.history.id}`);
});

test('a failover begins another history, and says on which point', async (t) => {
  const { here, there, follow } = await enrolledHost(t);
  const { volume: before } = await follow(here);
  const path = '/groups/orders/failover';
  const { body } = await there.call('POST', `${path}?dryRun=true`, {});
  const { confirmation, point } = body['preflight'] as {
    confirmation: string;
    point: { id: string };
  };

  await there.call('POST', `${path}?wait=20`, { confirmation });

  const { volume } = await follow(there);
  assert.notEqual(volume.history.id, before.history.id);
  assert.equal(volume.history.pointId, point.id);
});

test('what is not mapped to the host, or is not there, is told as such and no more', async (t) => {
  const { here, tokens } = await enrolledHost(t);
  await here.call('POST', '/volumes?wait=5', { name: 'secret', sizeBytes: 1 << 20 });

  const answer = await here.call('POST', '/follow', { volumes: ['secret', 'nothing'] }, tokens[0]);

  assert.deepEqual(answer.body['volumes'], [
    { asked: 'secret', found: 'not_mapped' },
    { asked: 'nothing', found: 'unknown' },
  ]);
});

test('a site lists who follows a volume and how that stands there, and a preflight names them', async (t) => {
  const { here, follow } = await enrolledHost(t);
  const { body: data } = await here.call('GET', '/volumes/data');
  const volumeId = data['id'];
  const told = { volumeId, state: 'closed', why: 'writes may be missing' };
  const madeUp = { ...told, volumeId: crypto.randomUUID() };

  await follow(here, { states: [told, madeUp] });

  const { body } = await here.call('GET', '/volumes/data/attached');
  const [one, ...others] = body['items'] as { host: string; state: string; why: string }[];
  assert.deepEqual([one?.host, one?.state, one?.why], ['app1', 'closed', told.why]);
  assert.deepEqual(others, []);
  const answer = await here.call('POST', '/groups/orders/handover?dryRun=true', {});
  const { hosts } = answer.body['preflight'] as { hosts: unknown };
  assert.deepEqual(hosts, { follow: [{ host: 'app1', address: '127.0.0.1' }], cut: [] });
});
