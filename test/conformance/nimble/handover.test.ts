/**
 * The vendor's handover and its family, walked by the vendor's own Python client on two real sites
 * while a host writes numbered blocks.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { waitUntil } from '../../../src/main/wait-until.ts';
import { assertNothingLost, moreWrites, twoSites } from '../../support/two-sites.ts';
import type { TwoSites } from '../../support/two-sites.ts';
import { ClientRefused, nimbleClients } from './nimble-client.ts';
import type { Attributes, NimbleClient } from './nimble-client.ts';

const GROUP = 'orders';
const VOLUMES = ['orders-1', 'orders-2'];
const LIMIT_MS = 60_000;

interface Clients {
  readonly paris: NimbleClient;
  readonly lyon: NimbleClient;
}

/** A collection of two volumes that Paris owns and replicates to Lyon, made by the client alone. */
async function protect(sites: TwoSites, { paris }: Clients): Promise<void> {
  const collection = (await paris.call('volume_collections.create', [GROUP], {
    description: 'two volumes',
  })) as Attributes;
  for (const name of VOLUMES) {
    const volume = (await paris.call('volumes.create', [name], { size: 64 })) as Attributes;
    await paris.call('volumes.update', [volume['id']], { volcoll_id: collection['id'] });
  }
  // Hosts are Baton's own matter: they attach over NBD with a certificate.
  await sites.paris.map(GROUP, 'app1');
  await paris.call('protection_schedules.create', ['hourly'], {
    volcoll_or_prottmpl_type: 'volume_collection',
    volcoll_or_prottmpl_id: collection['id'],
    period: 1,
    period_unit: 'hours',
    num_retain: 4,
    downstream_partner: 'lyon',
  });
  await paris.call('snapshot_collections.create', ['first'], {
    volcoll_id: collection['id'],
    replicate: true,
  });
}

async function ownedBy(clients: Clients, owner: string): Promise<void> {
  await waitUntil(`${owner} owns ${GROUP} at both arrays`, LIMIT_MS, async () => {
    const seen = await Promise.all(
      [clients.paris, clients.lyon].map((array) => array.find('volume_collections', GROUP)),
    );
    const isSo = seen.every((c) => c['pol_owner_name'] === owner && c['is_handing_over'] === false);
    return isSo ? true : undefined;
  });
}

async function handOver(from: NimbleClient, to: string, named: object = {}): Promise<unknown> {
  const partner = await from.find('replication_partners', to);
  const { id } = await from.find('volume_collections', GROUP);
  return from.call('volume_collections.handover', [id, partner['id']], { ...named });
}

async function start(t: TestContext): Promise<{ readonly sites: TwoSites } & Clients> {
  const sites = await twoSites(t);
  return { sites, ...(await nimbleClients(t, sites)) };
}

test('the vendor’s client hands a collection over, back from downstream, and on without a way back', async (t) => {
  const { sites, ...clients } = await start(t);
  const { paris, lyon } = clients;
  await protect(sites, clients);
  const partner = await paris.find('replication_partners', 'lyon');
  await paris.call('replication_partners.test', [partner['id']]);
  const taken = await paris.find('snapshot_collections', 'first');
  assert.equal(taken['repl_status'], 'complete');
  const writer = await sites.startWriter({ volumes: VOLUMES });
  await moreWrites(writer, 200);

  assert.deepEqual(await handOver(paris, 'lyon'), {});
  await ownedBy(clients, 'lyon');
  await moreWrites(writer, 200);
  const volumes = (await lyon.call('volumes.list', [], { detail: true })) as readonly Attributes[];
  assert.deepEqual(
    volumes.map((v) => [v['name'], v['online'], v['owned_by_group'], v['replication_role']]),
    VOLUMES.map((name) => [name, true, 'lyon', 'periodic_snapshot_upstream']),
  );

  // Paris is downstream now, and has the owner do it.
  assert.deepEqual(await handOver(paris, 'lyon', { invoke_on_upstream_partner: true }), {});
  await ownedBy(clients, 'paris');
  await moreWrites(writer, 200);

  assert.deepEqual(await handOver(paris, 'lyon', { no_reverse: true }), {});
  await ownedBy(clients, 'lyon');
  await moreWrites(writer, 200);
  const alone = await lyon.find('protection_schedules', 'hourly');
  assert.equal(alone['downstream_partner_id'], '');
  const back = await lyon.find('replication_partners', 'paris');
  const again = (await lyon.call('protection_schedules.update', [alone['id']], {
    downstream_partner_id: back['id'],
  })) as Attributes;
  assert.equal(again['downstream_partner_name'], 'paris');

  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('the vendor’s client promotes downstream, demotes the former owner, and goes home', async (t) => {
  const { sites, ...clients } = await start(t);
  const { paris, lyon } = clients;
  await protect(sites, clients);
  const { id } = await lyon.find('volume_collections', GROUP);

  assert.deepEqual(await lyon.call('volume_collections.promote', [id]), {});
  await ownedBy(clients, 'lyon');
  const owner = await paris.find('replication_partners', 'lyon');
  assert.deepEqual(await paris.call('volume_collections.demote', [id, owner['id']]), {});
  const schedule = await lyon.find('protection_schedules', 'hourly');
  const partner = await lyon.find('replication_partners', 'paris');
  await waitUntil('the former owner has set its writes aside', LIMIT_MS, async () => {
    try {
      return await lyon.call('protection_schedules.update', [schedule['id']], {
        downstream_partner_id: partner['id'],
      });
    } catch (error) {
      if (error instanceof ClientRefused && error.codes.includes('SM_http_conflict'))
        return undefined;
      throw error;
    }
  });
  await sites.lyon.sessionOnce(GROUP, 'replication runs home', ({ state }) => state === 'ok');

  assert.deepEqual(await handOver(lyon, 'paris'), {});
  await ownedBy(clients, 'paris');
});

test('every "no" of a handover reaches the vendor’s client in its code, and changes nothing', async (t) => {
  const { sites, ...clients } = await start(t);
  const { paris, lyon } = clients;
  await protect(sites, clients);
  await paris.call('volume_collections.create', ['empty']);
  const { id } = await paris.find('volume_collections', GROUP);
  const { id: empty } = await paris.find('volume_collections', 'empty');
  const { id: partner } = await paris.find('replication_partners', 'lyon');
  const { id: back } = await lyon.find('replication_partners', 'paris');
  const { id: own } = await paris.find('groups', 'paris');
  const cases: readonly [
    array: NimbleClient,
    call: string,
    given: readonly unknown[],
    code: string,
  ][] = [
    [paris, 'handover', ['xyz', partner], 'SM_invalid_path_variable'],
    [paris, 'handover', [`07${'0'.repeat(40)}`, partner], 'SM_enoent'],
    [paris, 'handover', [id, 'lyon'], 'SM_invalid_arg_value'],
    [paris, 'handover', [id, `09${'a'.repeat(40)}`], 'SM_no_such_partner'],
    [paris, 'handover', [id, own], 'SM_einval'],
    [paris, 'handover', [empty, partner], 'SM_no_assoc_vols'],
    [lyon, 'handover', [id, back], 'SM_not_owner'],
    [paris, 'abort_handover', [id], 'SM_ealready'],
    [lyon, 'abort_handover', [id], 'SM_not_owner'],
    [paris, 'promote', [id], 'SM_ealready'],
    [lyon, 'demote', [id, back], 'SM_ealready'],
    [paris, 'delete', [id], 'SM_ebusy'],
  ];
  const before = await standing(sites);

  for (const [array, call, given, code] of cases) {
    const refused = await array.call(`volume_collections.${call}`, given).then(
      () => assert.fail(`${call} ${JSON.stringify(given)} was not refused`),
      (error: unknown) => error,
    );
    assert.ok(refused instanceof ClientRefused, String(refused));
    assert.equal(refused.codes[1], code, refused.message);
    assert.deepEqual(await standing(sites), before, refused.message);
  }
});

/** Who holds what at which epoch, and which operations there have been. */
async function standing({ paris, lyon }: TwoSites): Promise<unknown> {
  return Promise.all(
    [paris, lyon].map(async (site) => {
      const { holder, epoch, operation, fenced } = await site.group(GROUP);
      const jobs = await site.jobs();
      const moves = jobs.filter(({ kind }) => kind === 'handover' || kind === 'failover');
      return { holder, epoch, operation, fenced, moves: moves.length };
    }),
  );
}
