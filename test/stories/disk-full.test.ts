import assert from 'node:assert/strict';
import test from 'node:test';
import { SmallDisk, whyNoDisk } from '../support/story-disk.ts';
import { refusal } from '../support/story-site.ts';
import {
  assertHostsNeverStalled,
  assertNothingLost,
  moreWrites,
  twoSites,
  volumesOf,
} from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const skip = whyNoDisk;

test(
  'a destination that is full in mid-transfer parks the session, which resumes when there is room',
  { skip },
  async (t) => {
    const lyonDisk = new SmallDisk(512 * MIB);
    const sites = await twoSites(t, { protecting: 'orders', lyonDisk });
    const { paris, lyon } = sites;
    const writer = await sites.startWriter({ volumes: volumesOf('orders'), writesPerSecond: 4000 });
    await moreWrites(writer, 6000);
    await lyonDisk.leaveFree(16 * MIB);
    await paris.start({ method: 'POST', path: '/groups/orders/session/sync' });

    const parked = await paris.sessionOnce('orders', 'parked', (s) => s.state === 'system_paused');

    assert.match(parked.parkedBecause ?? '', /bytes are needed, .* are free/);
    await moreWrites(writer, 1000);
    const { newestPoint } = await paris.session('orders');
    assert.equal(newestPoint?.sequence, 1);

    await lyonDisk.makeRoom();

    const { lastCycle } = await paris.sessionOnce(
      'orders',
      'the next point arrived',
      (s) => s.state === 'ok' && s.newestPoint?.sequence === 2,
    );
    assert.equal(lastCycle?.restarts, 0);
    assertHostsNeverStalled(writer);
    await paris.handOver('orders', lyon);
    assertNothingLost(await sites.verify(writer, 'acknowledged'));
  },
);

test(
  'a peer without room to serve does not get the group, and hosts go on',
  { skip },
  async (t) => {
    const lyonDisk = new SmallDisk(512 * MIB);
    const sites = await twoSites(t, { protecting: 'orders', lyonDisk });
    const { paris, lyon } = sites;
    const writer = await sites.startWriter({ volumes: volumesOf('orders') });
    await moreWrites(writer, 100);
    await lyonDisk.leaveFree(32 * MIB);

    await assert.rejects(paris.handOver('orders', lyon), refusal('no_space'));

    await moreWrites(writer, 100);
    assert.deepEqual(await sites.agreement('orders'), { holder: 'paris', epoch: 1 });
    await lyonDisk.makeRoom();
    await paris.handOver('orders', lyon);
    assertNothingLost(await sites.verify(writer, 'acknowledged'));
  },
);
