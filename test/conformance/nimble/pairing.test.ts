/** Two fresh groups, made partners by the vendor's own Python client, and a collection between them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitUntil } from '../../../src/main/wait-until.ts';
import { twoSites } from '../../support/two-sites.ts';
import type { TwoSites } from '../../support/two-sites.ts';
import { ClientRefused, nimbleClients } from './nimble-client.ts';
import type { Attributes, NimbleClient } from './nimble-client.ts';

const LIMIT_MS = 60_000;

test('groups that do not know each other are made partners by the client, tested, and replicate', async (t) => {
  const sites = await twoSites(t, { paired: false });
  const { paris, lyon } = await nimbleClients(t, sites);
  const { token: secret } = await sites.lyon.ask<{ token: string }>({
    method: 'POST',
    path: '/peers/invitations',
  });
  const toLyon = { hostname: sites.lyon.address, secret, subnet_label: 'mgmt-data' };
  const toParis = { ...toLyon, hostname: sites.paris.address };

  // Nothing of these is kept: the secret is good for the partnership that follows.
  await refused(sites, 'SM_einval', () =>
    partner(paris, 'lyon', { ...toLyon, secret: 'hushhush' }),
  );
  await refused(sites, 'SM_einval', () => partner(paris, 'paris', toLyon));
  await refused(sites, 'SM_invalid_arg_value', () => partner(paris, 'nice', toLyon));
  await refused(sites, 'SM_invalid_arg_value', () => partner(lyon, 'paris', toParis));

  const there = await partner(paris, 'lyon', toLyon);
  const here = await partner(lyon, 'paris', toParis);
  assert.deepEqual([there['name'], here['name']], ['lyon', 'paris']);
  for (const [array, { id }] of [
    [paris, there],
    [lyon, here],
  ] as const) {
    assert.deepEqual(await array.call('replication_partners.test', [id]), {});
  }
  await refused(sites, 'SM_eexist', () => partner(paris, 'lyon', toLyon));

  await protect(paris);
  await waitUntil('the first snapshot is complete at lyon', LIMIT_MS, async () => {
    const [copy] = (await lyon.call('volume_collections.list', [], {
      detail: true,
      name: 'orders',
    })) as readonly Attributes[];
    if (copy === undefined) return undefined;
    assert.equal(copy['replication_partner'], 'paris');
    const taken = (await lyon.call('snapshot_collections.list', [], {
      detail: true,
    })) as readonly Attributes[];
    return taken.length > 0 ? true : undefined;
  });
});

async function partner(array: NimbleClient, name: string, given: object): Promise<Attributes> {
  return (await array.call('replication_partners.create', [name], { ...given })) as Attributes;
}

/** A collection of one volume, replicated to Lyon. */
async function protect(paris: NimbleClient): Promise<void> {
  const collection = (await paris.call('volume_collections.create', ['orders'])) as Attributes;
  const volume = (await paris.call('volumes.create', ['data'], { size: 64 })) as Attributes;
  await paris.call('volumes.update', [volume['id']], { volcoll_id: collection['id'] });
  await paris.call('protection_schedules.create', ['hourly'], {
    volcoll_or_prottmpl_type: 'volume_collection',
    volcoll_or_prottmpl_id: collection['id'],
    period: 1,
    period_unit: 'hours',
    num_retain: 4,
    downstream_partner: 'lyon',
  });
}

async function refused(
  sites: TwoSites,
  code: string,
  asking: () => Promise<unknown>,
): Promise<void> {
  const before = await peersOf(sites);
  await assert.rejects(asking(), (error) => {
    assert.ok(error instanceof ClientRefused, String(error));
    assert.equal(error.codes[1], code, error.message);
    return true;
  });
  assert.deepEqual(await peersOf(sites), before, 'nothing has changed');
}

async function peersOf({ paris, lyon }: TwoSites): Promise<unknown> {
  const of = async (site: TwoSites['paris']) =>
    (await site.ask<{ items: readonly { name: string }[] }>({ method: 'GET', path: '/peers' }))
      .items;
  return (await Promise.all([of(paris), of(lyon)])).map((peers) => peers.map(({ name }) => name));
}
