import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { memoryWorld } from '../../../test/support/memory-site.ts';
import type { MemorySite } from '../../../test/support/memory-site.ts';
import { lookAfter } from '../../../test/support/memory-watches.ts';
import { powerstoreApi, refusedAt } from '../../../test/support/powerstore-api.ts';
import type { PowerStoreAnswer, PowerStoreApi } from '../../../test/support/powerstore-api.ts';

const MIB = 1024 * 1024;

type Json = Readonly<Record<string, unknown>>;

interface World {
  readonly paris: MemorySite;
  readonly lyon: MemorySite;
  readonly here: PowerStoreApi;
  readonly there: PowerStoreApi;
  /** What the exchange is asked with: Lyon's token for its password. */
  readonly exchange: Json;
  readonly pair: Json;
}

/** Two sites that do not know each other; `here` is Paris. */
async function strangers(t: TestContext): Promise<World> {
  const world = memoryWorld(t);
  const [paris, lyon] = [await world.addSite('paris'), await world.addSite('lyon')];
  for (const site of [paris, lyon]) lookAfter(t, site);
  const { host: address } = lyon.ports.pairing.introduction();
  const { token: password } = await lyon.app.invitePeer();
  const service = 'Replication_HTTP';
  return {
    paris,
    lyon,
    here: await powerstoreApi(t, paris),
    there: await powerstoreApi(t, lyon),
    exchange: { service, address, port: 443, username: 'admin', password },
    pair: { management_address: address, type: 'PowerStore', data_network_latency: 'Low' },
  };
}

async function peersOf({ paris, lyon }: World): Promise<readonly (readonly string[])[]> {
  const of = async ({ app }: MemorySite) => (await app.listPeers()).map(({ name }) => name);
  return [await of(paris), await of(lyon)];
}

function refused(
  world: World,
  status: number,
  asking: () => Promise<PowerStoreAnswer>,
): Promise<PowerStoreAnswer> {
  return refusedAt(() => peersOf(world), status, asking);
}

test('two fresh systems exchange certificates, are paired, and have a session', async (t) => {
  const world = await strangers(t);
  const { here, there, lyon } = world;
  const path = 'x509_certificate/exchange';
  await refused(world, 422, () => here.call('POST', 'remote_system', world.pair));

  assert.equal((await here.call('POST', path, world.exchange)).status, 204);
  const id = await here.made('remote_system', world.pair);

  assert.equal(id, lyon.id);
  assert.deepEqual(await peersOf(world), [['lyon'], ['paris']]);
  assert.equal((await here.call('POST', `remote_system/${id}/verify`)).status, 204);
  const { rows } = await there.call('GET', 'remote_system?select=name,type');
  assert.deepEqual(rows, [{ name: 'paris', type: 'PowerStore' }]);
  await here.made('replication_rule', { name: 'r', rpo: 'Five_Minutes', remote_system_id: id });
  await here.made('policy', { name: 'p', replication_rule_ids: ['name:r'] });
  const wanted = { name: 'data', size: MIB, protection_policy_id: 'name:p' };
  const volumeId = await here.made('volume', wanted);
  const filter = `local_resource_id=eq.${volumeId}`;
  const sessions = await there.call('GET', `replication_session?select=role&${filter}`);
  assert.deepEqual(sessions.rows, [{ role: 'Destination' }]);
});

test('what an exchange of certificates cannot stand on is refused, and no answer repeats a secret', async (t) => {
  const world = await strangers(t);
  const { here, exchange, paris } = world;
  const ask = (change: Json) => (): Promise<PowerStoreAnswer> =>
    here.call('POST', 'x509_certificate/exchange', { ...exchange, ...change });
  const own = (await paris.app.invitePeer()).token;

  const word = await refused(world, 422, ask({ password: 'hush-hush-hush' }));
  assert.match(word.sentence ?? '', /baton peer invite/);
  assert.equal(word.code, '0xE02010020001');
  const cases: readonly (readonly [Json, number])[] = [
    [{ password: String(exchange['password']).slice(0, 40) }, 400],
    [{ password: own }, 400],
    [{ password: 5 }, 400],
    [{ address: '192.0.2.9' }, 400],
    [{ address: undefined }, 400],
    [{ service: 'VASA_HTTP' }, 400],
    [{ port: 0 }, 400],
    [{ color: 'red' }, 400],
  ];
  for (const [change, status] of cases) {
    const { sentence } = await refused(world, status, ask(change));
    assert.doesNotMatch(sentence ?? '', /hush|baton1\.[A-Za-z0-9]/);
  }
  await refused(world, 403, () =>
    here.call('POST', 'x509_certificate/exchange', exchange, 'storage_operator'),
  );

  assert.equal((await ask({})()).status, 204);
  await refused(world, 422, ask({}));
  const remote = (change: Json) => (): Promise<PowerStoreAnswer> =>
    here.call('POST', 'remote_system', { ...world.pair, ...change });
  await refused(world, 400, remote({ management_address: undefined }));
  await refused(world, 400, remote({ data_network_latency: undefined }));
  await refused(world, 422, remote({ management_address: '192.0.2.9' }));
  await refused(world, 422, remote({ name: 'nice' }));
  await refused(world, 422, remote({ data_network_latency: 'High' }));
});
