import assert from 'node:assert/strict';
import test from 'node:test';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { StorySite } from '../support/story-site.ts';
import { twoSites, volumesOf } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const LIMIT_MS = 60_000;
const [VOLUME = ''] = volumesOf('orders');
/** What is seen of a send comes in steps, at both ends of a measurement. */
const TOLERANCE = 0.25;

test('a limit that is changed while a cycle sends holds from then on, for a session and for a link', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders', volumes: 1, volumeBytes: 192 * MIB });
  const { paris, lyon } = sites;
  const host = await sites.connect(paris, VOLUME);
  for (let n = 0; n < 160; n += 1) await host.write(n * MIB, Buffer.alloc(MIB, n + 1));
  await host.flush();
  await host.disconnect();
  await limitSession(paris, 2 * MIB);
  const path = '/groups/orders/session/sync';
  const { id } = await paris.start({ method: 'POST', path });

  await neverFaster(paris, 2 * MIB, 8 * MIB);

  await limitSession(paris, 8 * MIB);
  const tookMs = await neverFaster(paris, 8 * MIB, 24 * MIB);
  assert.ok(tookMs < 12_000, `at the limit before it had taken 12 s, and took ${tookMs} ms`);

  await limitLink(paris, 2 * MIB);
  await neverFaster(paris, 2 * MIB, 8 * MIB);

  // The limit of the link is kept where the process that knew it is not.
  await paris.killControl();
  await paris.startControl();
  await neverFaster(paris, 2 * MIB, 8 * MIB);

  await limitLink(paris, null);
  await limitSession(paris, null);
  // What is left takes more than half a minute at the limits from before.
  assert.equal((await paris.endOf(id)).state, 'done');
  const { newestPoint } = await paris.session('orders');
  const point = newestPoint?.id ?? '';
  assert.deepEqual(await paris.hashes('orders', point), await lyon.hashes('orders', point));
});

async function limitSession(site: StorySite, bytesPerSecond: number | null): Promise<void> {
  await site.changeSession('orders', { bytesPerSecond });
}

async function limitLink(site: StorySite, bytesPerSecond: number | null): Promise<void> {
  await site.ask({ method: 'PATCH', path: '/peers/lyon', body: { bytesPerSecond } });
}

/**
 * From the next step that is seen of it, so many bytes take no less time than the limit allows.
 *
 * @returns how long they took, in milliseconds
 */
async function neverFaster(
  site: StorySite,
  bytesPerSecond: number,
  bytes: number,
): Promise<number> {
  const before = await sentOnce(site, () => true);
  // What was on its way when the limit changed is in this step.
  const begin = await sentOnce(site, (sent) => sent > before.sentBytes);
  const end = await sentOnce(site, (sent) => sent >= begin.sentBytes + bytes);
  const [moved, tookMs] = [end.sentBytes - begin.sentBytes, end.atMs - begin.atMs];
  const leastMs = (moved / bytesPerSecond) * 1000 * (1 - TOLERANCE);
  assert.ok(tookMs >= leastMs, `${moved} bytes took ${tookMs} ms, wanted at least ${leastMs} ms`);
  return tookMs;
}

interface Sent {
  readonly sentBytes: number;
  readonly atMs: number;
}

/** What the running cycle has sent, once that is as told. */
function sentOnce(site: StorySite, isSo: (sentBytes: number) => boolean): Promise<Sent> {
  return waitUntil('the cycle has sent so much', LIMIT_MS, async () => {
    const { cycle } = await site.session('orders');
    const sentBytes = cycle?.progress?.sentBytes;
    if (sentBytes === undefined || !isSo(sentBytes)) return undefined;
    return { sentBytes, atMs: performance.now() };
  });
}
