import assert from 'node:assert/strict';
import test from 'node:test';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { CopyAnswer, RestorePreflight } from '../support/native-answers.ts';
import { refusal } from '../support/story-site.ts';
import type { StorySite } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';
import type { TwoSites } from '../support/two-sites.ts';

const LIMIT_MS = 30_000;
const BLOCK_BYTES = 4096;

test('hosts write on a failover test while replication goes on, also after every process of it died', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  await lyon.ask({ method: 'POST', path: '/groups/orders/failover-test', body: {} });
  const copy = await openCopy(lyon, 'orders-test');
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  const host = await connectCopy(sites, lyon, copy);
  await host.write(0, Buffer.alloc(BLOCK_BYTES, 9));
  await host.flush();
  await host.disconnect();

  await moreWrites(writer, 100);
  const { newestPoint } = await paris.synchronize('orders');
  const handover = paris.handOver('orders', lyon);
  await assert.rejects(handover, refusal('in_use'));
  await lyon.killControl();
  await lyon.startControl();
  const again = await connectCopy(sites, lyon, await openCopy(lyon, 'orders-test'));
  assert.equal((await again.read(0, BLOCK_BYTES))[0], 9);
  await again.disconnect();
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
  const id = newestPoint?.id ?? '';
  assert.deepEqual(await paris.hashes('orders', id), await lyon.hashes('orders', id));

  await lyon.carryOut({ method: 'DELETE', path: '/groups/orders/failover-test' });
  assert.deepEqual((await lyon.get<{ items: readonly unknown[] }>('/copies')).items, []);
  await paris.handOver('orders', lyon);
});

test('a failover with the test copy serves what hosts wrote on the test', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  await lyon.ask({ method: 'POST', path: '/groups/orders/failover-test', body: {} });
  const host = await connectCopy(sites, lyon, await openCopy(lyon, 'orders-test'));
  await host.write(0, Buffer.alloc(BLOCK_BYTES, 9));
  await host.flush();
  await host.disconnect();
  await paris.killControl();

  const path = '/groups/orders/failover';
  await assert.rejects(lyon.ask({ method: 'POST', path, body: {} }), refusal('in_use'));
  const body = { useTestCopy: true };
  const { preflight } = await lyon.ask<{ preflight: { confirmation: string } }>({
    method: 'POST',
    path: `${path}?dryRun=true`,
    body,
  });
  const { confirmation } = preflight;
  await lyon.carryOut({ method: 'POST', path, body: { ...body, confirmation } });

  const [first = ''] = volumesOf('orders');
  const now = await sites.connect(lyon, first);
  assert.equal((await now.read(0, BLOCK_BYTES))[0], 9);
  await now.disconnect();
  await paris.startControl();
});

test('a restore goes back to a point at both sites, keeps what was written since, and is undone', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const [first = ''] = volumesOf('orders');
  await put(sites, paris, first, 1);
  const { newestPoint } = await paris.synchronize('orders');
  await put(sites, paris, first, 2);
  await paris.synchronize('orders');
  await put(sites, paris, first, 3);

  await restore(paris, { point: newestPoint?.id });
  assert.equal(await at(sites, paris, first), 1);
  await sameAtBoth(paris, lyon);

  const fork = (await paris.forks('orders')).find(({ origin }) => origin === 'restore');
  assert.ok(fork !== undefined && fork.allocatedBytes > 0);
  await restore(paris, { fork: fork.id });
  assert.equal(await at(sites, paris, first), 3);
  await sameAtBoth(paris, lyon);
});

function openCopy(site: StorySite, name: string): Promise<CopyAnswer> {
  return waitUntil(`copy ${name} is served`, LIMIT_MS, async () => {
    const copy = await site.get<CopyAnswer>(`/copies/${name}`);
    return copy.state === 'open' && copy.address ? copy : undefined;
  });
}

async function connectCopy(
  sites: TwoSites,
  site: StorySite,
  { address, volumes, tlsName }: CopyAnswer,
): Promise<NbdConnection> {
  const [volume] = volumes;
  assert.ok(volume && address);
  const { exportName, sizeBytes } = volume;
  return sites.connectAt(site, { ...address, exportName, sizeBytes, tlsName, serving: true });
}

async function put(sites: TwoSites, site: StorySite, volume: string, fill: number): Promise<void> {
  const host = await sites.connect(site, volume);
  await host.write(0, Buffer.alloc(BLOCK_BYTES, fill));
  await host.flush();
  await host.disconnect();
}

async function at(sites: TwoSites, site: StorySite, volume: string): Promise<number | undefined> {
  const host = await sites.connect(site, volume);
  const [seen] = await host.read(0, BLOCK_BYTES);
  await host.disconnect();
  return seen;
}

async function restore(site: StorySite, to: object): Promise<void> {
  const path = '/groups/orders/restore';
  const { preflight } = await site.ask<{ preflight: RestorePreflight }>({
    method: 'POST',
    path: `${path}?dryRun=true`,
    body: to,
  });
  assert.deepEqual(preflight.blockedBy, []);
  const { confirmation } = preflight;
  await site.carryOut({ method: 'POST', path, body: { ...to, confirmation } });
}

async function sameAtBoth(paris: StorySite, lyon: StorySite): Promise<void> {
  await paris.sessionOnce('orders', 'the new line is there', (s) => s.state === 'ok');
  const { newestPoint, lastCycle } = await paris.synchronize('orders');
  assert.equal(lastCycle?.kind, 'delta');
  const id = newestPoint?.id ?? '';
  assert.deepEqual(await paris.hashes('orders', id), await lyon.hashes('orders', id));
}
