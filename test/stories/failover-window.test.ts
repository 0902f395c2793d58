import assert from 'node:assert/strict';
import test from 'node:test';
import { waitUntil } from '../../src/main/wait-until.ts';
import { refusal } from '../support/story-site.ts';
import type { StorySite } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const LIMIT_MS = 30_000;
const FOUR_HOURS = { commitAfterSeconds: 4 * 3600 };

test('a failover that is rolled back returns every write of the old holder, and forks those of the new one', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  await moreWrites(writer, 100);
  await paris.synchronize('orders');
  await moreWrites(writer, 100);
  await paris.killControl();
  await writer.stop();
  await lyon.failOver('orders', undefined, FOUR_HOURS);
  await paris.startControl();
  await setAside(paris);
  const there = await sites.startWriter({ volumes: volumesOf('orders') });
  await moreWrites(there, 100);
  await there.stop();

  const path = '/groups/orders/session/reprotect';
  await assert.rejects(lyon.ask({ method: 'POST', path }), refusal('in_use'));
  assert.ok((await lyon.session('orders')).window);
  assert.deepEqual([(await paris.group('orders')).provisional], [true]);
  assert.equal((await lyon.endOf((await lyon.startRollback('orders')).id)).state, 'done');

  assert.deepEqual(await sites.agreement('orders'), { holder: 'paris', epoch: 3 });
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
  const [fork] = (await paris.forks('orders')).filter(({ origin }) => origin === 'rollback');
  assert.ok(fork !== undefined && fork.allocatedBytes > 0, 'the old holder lists it, too');
  await sameAtBoth(paris, lyon);
});

test('a rollback of a failover to an older point goes on after both control processes died', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const { newestPoint: older } = await paris.synchronize('orders');
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  await moreWrites(writer, 100);
  await paris.synchronize('orders');
  await moreWrites(writer, 100);
  await writer.stop();
  await lyon.failOver('orders', older?.id, FOUR_HOURS);
  await setAside(paris);

  const { id } = await lyon.startRollback('orders');
  await lyon.stepDone(id, 'fence');
  await Promise.all([lyon.killControl(), paris.killControl()]);
  await Promise.all([lyon.startControl(), paris.startControl()]);

  assert.equal((await lyon.endOf(id)).state, 'done');
  assert.deepEqual(await sites.agreement('orders'), { holder: 'paris', epoch: 3 });
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
  await sameAtBoth(paris, lyon);
});

/** It has heard that the group was taken, and what it had is a fork. */
async function setAside(site: StorySite): Promise<void> {
  await waitUntil('what the old holder had is set aside', LIMIT_MS, async () => {
    const forks = await site.forks('orders');
    return forks.some(({ origin }) => origin === 'failover') ? true : undefined;
  });
}

async function sameAtBoth(paris: StorySite, lyon: StorySite): Promise<void> {
  const { newestPoint, lastCycle } = await paris.synchronize('orders');
  assert.equal(lastCycle?.kind, 'delta');
  const id = newestPoint?.id ?? '';
  assert.deepEqual(await paris.hashes('orders', id), await lyon.hashes('orders', id));
}
