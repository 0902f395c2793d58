import assert from 'node:assert/strict';
import test from 'node:test';
import { waitUntil } from '../../src/main/wait-until.ts';
import { refusal } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const LIMIT_MS = 30_000;

test('a destination takes the group with the other site dead, and serves its newest point', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  await moreWrites(writer, 200);
  const before = writer.mark();
  const { newestPoint } = await paris.synchronize('orders');
  const after = writer.mark();
  await paris.killDaemon('orders');
  await paris.killControl();
  await writer.stop();

  const preflight = await lyon.failOver('orders');

  assert.equal(preflight.point?.id, newestPoint?.id);
  assert.equal(await lyon.roleOf('orders'), 'source');
  const group = await lyon.group('orders');
  assert.deepEqual([group.epoch, group.forced, group.heldHere], [2, true, true]);
  const cut = await writer.verifyCut((label) => sites.connect(lyon, label), {
    after: before,
    before: after,
  });
  assert.ok(cut.consistent, JSON.stringify(cut));
  await paris.startControl();
});

test('a failover is refused until its caller has confirmed what is lost, and then happens once', async (t) => {
  const { paris, lyon } = await twoSites(t, { protecting: 'orders' });
  const path = '/groups/orders/failover';

  await assert.rejects(
    lyon.ask({ method: 'POST', path, body: {} }),
    refusal('confirmation_needed'),
  );
  await assert.rejects(
    lyon.ask({ method: 'POST', path, body: { confirmation: 'guess' } }),
    refusal('confirmation_needed'),
  );
  await assert.rejects(paris.ask({ method: 'POST', path, body: {} }), refusal('in_use'));

  assert.equal((await lyon.group('orders')).epoch, 1);
  assert.equal(await lyon.roleOf('orders'), 'destination');
});

test('the returning site keeps its unsent writes as a fork, and only what differs comes back', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  await moreWrites(writer, 200);
  await paris.synchronize('orders');
  await moreWrites(writer, 100);
  await paris.killControl();
  await writer.stop();

  await lyon.failOver('orders');
  await paris.startControl();

  await paris.sessionOnce(
    'orders',
    'it has learned',
    (s) => s.role === 'destination' && s.state === 'failed_over',
  );
  const [fork] = await waitUntil('both sites list the fork', LIMIT_MS, async () => {
    const [here, there] = [await paris.forks('orders'), await lyon.forks('orders')];
    return here.length === 1 && there.length === 1 ? here : undefined;
  });
  assert.ok(fork !== undefined && fork.allocatedBytes > 0);
  const second = await sites.startWriter({ volumes: volumesOf('orders') });
  await moreWrites(second, 100);
  const { lastCycle } = await lyon.reprotect('orders');
  assert.equal(lastCycle?.kind, 'delta');
  assertNothingLost(await sites.verify(second, 'acknowledged'));
  const { newestPoint } = await lyon.synchronize('orders');
  const id = newestPoint?.id ?? '';
  assert.deepEqual(await paris.hashes('orders', id), await lyon.hashes('orders', id));
});
