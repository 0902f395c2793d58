/** One site's clock is an hour off: nothing that is decided hangs on it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { StorySite } from '../support/story-site.ts';
import { wrongClock } from '../support/story-server.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const LIMIT_MS = 60_000;
const RPO_SECONDS = 5;
const HOUR_MS = 60 * 60 * 1000;
const TOLERANCE_MS = 60_000;

for (const [offset, aheadMs] of [
  ['+1h', HOUR_MS],
  ['-1h', -HOUR_MS],
] as const) {
  test(`with lyon's clock at ${offset} both sites replicate by their RPO, and pass a group to and fro`, async (t) => {
    const sites = await twoSites(t, {
      protecting: 'orders',
      rpoSeconds: RPO_SECONDS,
      lyonClock: wrongClock(offset),
    });
    const { paris, lyon } = sites;
    const writer = await sites.startWriter({ volumes: volumesOf('orders') });
    await moreWrites(writer, 200);

    for (const [other, holder] of [
      [paris, lyon],
      [lyon, paris],
    ] as const) {
      await other.handOver('orders', holder);
      await moreWrites(writer, 200);
      const { newestPoint, rpoNowSeconds } = await holder.session('orders');
      assert.ok(
        (rpoNowSeconds ?? HOUR_MS) * 1000 < TOLERANCE_MS,
        `${holder.name}: ${rpoNowSeconds} s`,
      );
      await waitUntil(`${holder.name} replicates by itself`, LIMIT_MS, async () => {
        const session = await other.session('orders');
        return session.newestPoint?.id === newestPoint?.id ? undefined : session;
      });
    }
    assertNothingLost(await sites.verify(writer, 'acknowledged'));

    const [here, there] = await Promise.all([sealedAt(paris), sealedAt(lyon)]);
    assert.ok(
      Math.abs(there - here - aheadMs) < TOLERANCE_MS,
      'each site reckons by its own clock',
    );
    await paris.killControl();
    const { pointAgeSeconds } = await lyon.failOver('orders');
    assert.ok((pointAgeSeconds ?? HOUR_MS) * 1000 < TOLERANCE_MS, `${pointAgeSeconds} s old`);
    await paris.startControl();
    await paris.sessionOnce('orders', 'it has learned', (s) => s.state === 'failed_over');
    const { lastCycle } = await lyon.reprotect('orders');
    assert.equal(lastCycle?.kind, 'delta');
  });
}

/** When the newest point was sealed, by that site's clock. */
async function sealedAt(site: StorySite): Promise<number> {
  const { newestPoint } = await site.session('orders');
  return Date.parse(newestPoint?.sealedAt ?? '');
}
