/** What goes wrong around a synchronous session while its hosts write. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { SmallDisk, whyNoDisk } from '../support/story-disk.ts';
import {
  assertStalledNoLonger,
  becomes,
  inSync,
  isWell,
  killAtOnce,
  mirrorsBegun,
} from '../support/story-sync.ts';
import {
  assertHostsNeverStalled,
  assertNothingLost,
  moreWrites,
  twoSites,
} from '../support/two-sites.ts';

const MIB = 1024 * 1024;

test('heartbeats that are lost while data passes hold up no host, and the mirror goes on', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await inSync(sites);
  const begun = await mirrorsBegun(sites, paris);

  await lyon.signalControl('SIGSTOP');
  await becomes(paris, 'fractured');
  await moreWrites(writer, 200);
  await lyon.signalControl('SIGCONT');
  await becomes(paris, 'in_sync');

  assertHostsNeverStalled(writer);
  assert.equal(await mirrorsBegun(sites, paris), begun);
  await isWell(paris);
  await paris.handOver('orders', lyon);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('both sites that die at once come back into sync, with everything that was flushed', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await inSync(sites);

  await Promise.all([killAtOnce(paris), killAtOnce(lyon)]);
  await Promise.all([paris.startControl(), lyon.startControl()]);
  await moreWrites(writer, 200);
  await becomes(paris, 'in_sync');
  await becomes(lyon, 'in_sync');

  await isWell(paris);
  await paris.handOver('orders', lyon);
  assertNothingLost(await sites.verify(writer, 'flushed'));
});

test(
  'a destination whose disk is full fractures the session, which comes back when there is room',
  { skip: whyNoDisk },
  async (t) => {
    const lyonDisk = new SmallDisk(512 * MIB);
    const sites = await twoSites(t, { protecting: 'orders', lyonDisk });
    const { paris, lyon } = sites;
    const writer = await inSync(sites);

    await lyonDisk.leaveFree(4 * MIB);
    const { sync } = await becomes(paris, 'fractured');
    await moreWrites(writer, 200);
    await lyonDisk.makeRoom();
    await becomes(paris, 'in_sync');
    await becomes(lyon, 'in_sync');

    assert.notEqual(sync?.why, '');
    assertStalledNoLonger(writer);
    await moreWrites(writer, 100);
    await killAtOnce(paris);
    await writer.stop();
    await lyon.failOver('orders');
    assertNothingLost(await sites.verify(writer, 'acknowledged'));
    await paris.startControl();
  },
);
