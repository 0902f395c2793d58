import assert from 'node:assert/strict';
import test from 'node:test';
import { SilentLink, whyNoNamespaces } from '../support/story-link.ts';
import {
  assertStalledNoLonger,
  becomes,
  inSync,
  isWell,
  killAtOnce,
} from '../support/story-sync.ts';
import {
  assertHostsNeverStalled,
  assertNothingLost,
  moreWrites,
  twoSites,
} from '../support/two-sites.ts';

test('a session becomes synchronous under its hosts; with the source dead nothing is missing', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const { lastCycle: firstCopy } = await paris.session('orders');
  const writer = await inSync(sites);
  assertHostsNeverStalled(writer);
  const { lastCycle } = await paris.session('orders');
  assert.ok(lastCycle?.kind === 'delta' || lastCycle?.completedAt === firstCopy?.completedAt);

  await killAtOnce(paris);
  await writer.stop();
  await lyon.failOver('orders');

  assertNothingLost(await sites.verify(writer, 'acknowledged'));
  await paris.startControl();
});

test('a group in sync changes hands without a transfer, and is in sync the other way round', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await inSync(sites);

  await paris.handOver('orders', lyon);
  await moreWrites(writer, 200);
  await becomes(lyon, 'in_sync');
  await becomes(paris, 'in_sync');
  await moreWrites(writer, 200);
  const [newest] = (await lyon.points('orders')).toReversed();
  await lyon.handOver('orders', paris);
  await moreWrites(writer, 100);

  assert.ok(newest);
  assert.deepEqual(await lyon.hashes('orders', newest.id), await paris.hashes('orders', newest.id));
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('a destination that dies holds hosts for the bound, and the session comes back by a delta', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await inSync(sites);

  await lyon.killDaemon('orders');
  await becomes(paris, 'fractured');
  await moreWrites(writer, 200);
  await becomes(paris, 'in_sync');
  await becomes(lyon, 'in_sync');

  assertStalledNoLonger(writer);
  assert.equal((await paris.session('orders')).lastCycle?.kind, 'delta');
  await moreWrites(writer, 100);
  await killAtOnce(paris);
  await writer.stop();
  await lyon.failOver('orders');
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
  await paris.startControl();
});

test('a control process that dies at either site stops no write, and finds the mirror again', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await inSync(sites);

  for (const site of [paris, lyon]) {
    await site.killControl();
    await moreWrites(writer, 200);
    await site.startControl();
    await becomes(paris, 'in_sync');
    await moreWrites(writer, 100);
  }

  assertHostsNeverStalled(writer);
  await isWell(paris);
  await paris.handOver('orders', lyon);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test(
  'a link that goes silent holds hosts for the bound, and the session comes back by itself',
  { skip: whyNoNamespaces },
  async (t) => {
    const link = await SilentLink.make(t);
    const sites = await twoSites(t, { protecting: 'orders', link });
    const { paris, lyon } = sites;
    const writer = await inSync(sites);

    await link.goSilent();
    await becomes(paris, 'fractured');
    await moreWrites(writer, 300);
    await link.goOn();
    await isWell(paris);

    assertStalledNoLonger(writer);
    await paris.handOver('orders', lyon);
    assertNothingLost(await sites.verify(writer, 'acknowledged'));
  },
);
