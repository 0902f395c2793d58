import assert from 'node:assert/strict';
import test from 'node:test';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { StorySite } from '../support/story-site.ts';
import { twoSites } from '../support/two-sites.ts';
import type { TwoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const LIMIT_MS = 60_000;
const VOLUME = 'orders-1';
/** More cycles than any plan keeps points of. */
const MANY_CYCLES = 14;

test('without a point in common only what differs moves, which is said before, and the old history stays', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders', volumes: 1, volumeBytes: 256 * MIB });
  const { paris, lyon } = sites;
  await fill(sites, paris, { atMiB: 0, mib: 128, byte: 1 });
  const { newestPoint: kept } = await paris.synchronize('orders');
  await paris.changeSession('orders', { retainedPoints: 1 });
  await keepAt(lyon, kept?.id ?? '');
  for (let cycle = 0; cycle < MANY_CYCLES; cycle += 1) {
    await fill(sites, paris, { atMiB: cycle, mib: 1, byte: 100 + cycle });
    await paris.synchronize('orders');
  }
  await waitUntil('paris has merged the point away', LIMIT_MS, async () =>
    (await paris.points('orders')).some(({ id }) => id === kept?.id) ? undefined : true,
  );
  await fill(sites, paris, { atMiB: 200, mib: 3, byte: 7 });
  await lyon.failOver('orders', kept?.id);
  await fill(sites, lyon, { atMiB: 64, mib: 6, byte: 9 });
  await waitUntil('what paris had is a fork', LIMIT_MS, async () =>
    (await paris.forks('orders')).some((f) => f.siteId !== undefined && f.origin === 'failover')
      ? true
      : undefined,
  );
  const path = '/groups/orders/session/reprotect/preflight';
  const preflight = await lyon.ask<{ method?: string; blockedBy: readonly string[] }>({
    method: 'POST',
    path,
  });
  assert.deepEqual([preflight.method, preflight.blockedBy], ['comparison', []]);

  const { lastCycle } = await lyon.reprotect('orders');

  assert.match(lastCycle?.why ?? '', /no point in common: \d+ bytes were compared by their hashes/);
  const { newestPoint, lastCycle: next } = await lyon.synchronize('orders');
  const id = newestPoint?.id ?? '';
  assert.deepEqual(await paris.hashes('orders', id), await lyon.hashes('orders', id));
  const moved =
    (lastCycle?.sentBytes ?? 0) +
    (next?.pointId === lastCycle?.pointId ? 0 : (next?.sentBytes ?? 0));
  // What paris wrote after the kept point, up to its newest point, and what lyon wrote.
  const diverged = (MANY_CYCLES + 6) * MIB;
  t.diagnostic(`moved ${moved} of ${diverged} bytes that differ`);
  assert.ok(moved >= diverged && moved <= 1.1 * diverged, `moved ${moved}, diverged ${diverged}`);
  const fork = (await paris.forks('orders')).find(({ origin }) => origin === 'failover');
  assert.ok(fork !== undefined && fork.allocatedBytes >= 3 * MIB, JSON.stringify(fork));
});

interface Filled {
  readonly atMiB: number;
  readonly mib: number;
  readonly byte: number;
}

async function fill(sites: TwoSites, site: StorySite, { atMiB, mib, byte }: Filled): Promise<void> {
  const host = await sites.connect(site, VOLUME);
  for (let n = atMiB; n < atMiB + mib; n += 1) {
    // Numbered, so that no two ranges are the same.
    const bytes = Buffer.alloc(MIB, byte);
    bytes.writeUInt32LE(n, 0);
    await host.write(n * MIB, bytes);
  }
  await host.flush();
  await host.disconnect();
}

/** A copy of the point is open there, so that the site keeps it whatever its plan says. */
async function keepAt(site: StorySite, point: string): Promise<void> {
  const body = { name: 'look', point, writable: false };
  await site.carryOut({ method: 'POST', path: '/groups/orders/copies', body });
}
