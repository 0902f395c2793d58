import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { memoryWorld } from '../../../test/support/memory-site.ts';
import type { MemorySite } from '../../../test/support/memory-site.ts';
import { lookAfter } from '../../../test/support/memory-watches.ts';
import { nimbleApi } from '../../../test/support/nimble-api.ts';
import type { NimbleAnswer, NimbleApi } from '../../../test/support/nimble-api.ts';

type Json = Readonly<Record<string, unknown>>;

interface World {
  readonly paris: MemorySite;
  readonly lyon: MemorySite;
  readonly here: NimbleApi;
  readonly there: NimbleApi;
  /** What each side is asked with: Lyon's token is the secret of both. */
  readonly toLyon: Json;
  readonly toParis: Json;
}

/** Two groups that do not know each other; `here` is Paris. */
async function strangers(t: TestContext): Promise<World> {
  const world = memoryWorld(t);
  const [paris, lyon] = [await world.addSite('paris'), await world.addSite('lyon')];
  for (const site of [paris, lyon]) lookAfter(t, site);
  const { token: secret } = await lyon.app.invitePeer();
  const to = ({ name, ports }: MemorySite): Json => ({
    name,
    hostname: ports.pairing.introduction().host,
    secret,
    subnet_label: 'mgmt-data',
  });
  return {
    paris,
    lyon,
    here: await nimbleApi(t, paris),
    there: await nimbleApi(t, lyon),
    toLyon: to(lyon),
    toParis: to(paris),
  };
}

async function peersOf({ paris, lyon }: World): Promise<readonly (readonly string[])[]> {
  const of = async ({ app }: MemorySite) => (await app.listPeers()).map(({ name }) => name);
  return [await of(paris), await of(lyon)];
}

async function refused(
  world: World,
  words: string,
  asking: () => Promise<NimbleAnswer>,
): Promise<NimbleAnswer> {
  const before = await peersOf(world);
  const answer = await asking();
  assert.equal(`${answer.status} ${answer.codes[1]}`, words, answer.text);
  assert.deepEqual(await peersOf(world), before, 'nothing has changed');
  return answer;
}

test('two fresh groups are made partners at both, tested at once, and have a schedule', async (t) => {
  const world = await strangers(t);
  const { here, there, toLyon, toParis } = world;

  const one = await here.call('POST', 'replication_partners', toLyon);
  const other = await there.call('POST', 'replication_partners', toParis);

  assert.deepEqual([one.status, other.status], [201, 201], `${one.text} ${other.text}`);
  assert.equal(one.data['name'], 'lyon');
  assert.equal(other.data['name'], 'paris');
  for (const [api, answer] of [
    [here, one],
    [there, other],
  ] as const) {
    const id = String(answer.data['id']);
    const { status } = await api.call('POST', `replication_partners/${id}/actions/test`, { id });
    assert.equal(status, 200);
  }
  const { data: collection } = await here.call('POST', 'volume_collections', { name: 'orders' });
  const { data: volume } = await here.call('POST', 'volumes', { name: 'data', size: 1 });
  await here.call('PUT', `volumes/${String(volume['id'])}`, { volcoll_id: collection['id'] });
  const schedule = await here.call('POST', 'protection_schedules', {
    name: 'often',
    volcoll_or_prottmpl_type: 'volume_collection',
    volcoll_or_prottmpl_id: collection['id'],
    period: 5,
    period_unit: 'minutes',
    num_retain: 3,
    downstream_partner: 'lyon',
  });
  assert.equal(schedule.status, 201, schedule.text);
  const { rows } = await there.call('GET', 'volume_collections/detail?name=orders');
  assert.equal(rows[0]?.['replication_partner'], 'paris');
});

test('what a partnership cannot stand on is refused, and no answer repeats a secret', async (t) => {
  const world = await strangers(t);
  const { here, there, toLyon, toParis } = world;
  const ask = (change: Json) => (): Promise<NimbleAnswer> =>
    here.call('POST', 'replication_partners', { ...toLyon, ...change });

  const word = await refused(world, '400 SM_einval', ask({ secret: 'hush-hush-hush' }));
  assert.match(word.text, /baton peer invite/);
  assert.doesNotMatch(word.text, /hush/);
  await refused(world, '400 SM_invalid_arg_value', ask({ secret: 'baton1.nonsense' }));
  await refused(world, '400 SM_invalid_arg_value', ask({ secret: 'short' }));
  await refused(world, '400 SM_missing_arg', ask({ secret: undefined }));
  await refused(world, '400 SM_missing_arg', ask({ subnet_label: undefined }));
  await refused(world, '400 SM_einval', ask({ name: 'paris' }));
  await refused(world, '400 SM_invalid_arg_value', ask({ name: 'nice' }));
  await refused(world, '400 SM_invalid_arg_value', ask({ hostname: '192.0.2.9' }));
  await refused(world, '400 SM_no_support', ask({ subnet_label: 'data2' }));
  await refused(world, '400 SM_no_support', ask({ description: 'mine' }));
  const token = await here.tokenOf('storage_operator');
  await refused(world, '403 SM_eacces', () =>
    here.call('POST', 'replication_partners', toLyon, token),
  );
  const first = (): Promise<NimbleAnswer> => there.call('POST', 'replication_partners', toParis);
  const early = await refused(world, '400 SM_invalid_arg_value', first);
  assert.match(early.text, /for the other site to join with, first/);

  assert.equal((await ask({})()).status, 201);
  await refused(world, '409 SM_eexist', ask({}));
});
