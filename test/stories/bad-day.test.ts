import assert from 'node:assert/strict';
import test from 'node:test';
import { ProblemAnswer } from '../../src/cli/native-client.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import { SmallDisk, whyNoDisk } from '../support/story-disk.ts';
import { refusal } from '../support/story-site.ts';
import type { StorySite } from '../support/story-site.ts';
import { twoSites, volumesOf } from '../support/two-sites.ts';
import type { TwoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const LIMIT_MS = 30_000;
const BLOCK_BYTES = 4096;
const SLOW = { bytesPerSecond: MIB };

test('both sites fail over at once: each holds what the other held, and what was lost is a fork', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders', volumes: 1 });
  const { paris, lyon } = sites;
  await sites.protect('bills', { volumes: 1 });
  await paris.handOver('bills', lyon);
  await sites.agreement('bills');
  await put(sites, paris, 'orders-1', 0, 5);
  await put(sites, lyon, 'bills-1', 0, 6);

  await Promise.all([lyon.failOver('orders'), paris.failOver('bills')]);

  await hasHeard(paris, 'orders', 'failed_over');
  await hasHeard(lyon, 'bills', 'failed_over');
  assert.deepEqual(
    [await lyon.roleOf('orders'), await paris.roleOf('bills')],
    ['source', 'source'],
  );
  await forkOf(paris, 'orders');
  await forkOf(lyon, 'bills');
  await Promise.all([lyon.reprotect('orders'), paris.reprotect('bills')]);
  assert.deepEqual(await sites.agreement('orders'), { holder: 'lyon', epoch: 2 });
  assert.deepEqual(await sites.agreement('bills'), { holder: 'paris', epoch: 3 });
});

test('a failover while a cycle sends stands on the last complete point, and the cycle is given up', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders', volumes: 1 });
  const { paris, lyon } = sites;
  await put(sites, paris, 'orders-1', 0, 1);
  const { newestPoint } = await paris.synchronize('orders');
  const cycle = await slowly(sites, { method: 'POST', path: '/groups/orders/session/sync' });

  const { point, incompleteBytes } = await lyon.failOver('orders');

  assert.equal(point?.id, newestPoint?.id);
  assert.ok(incompleteBytes > 0, 'it is said that something had been sent');
  assert.equal((await paris.endOf(cycle)).state, 'undone');
  await forkOf(paris, 'orders');
  await lyon.reprotect('orders');
  assert.deepEqual(await sites.agreement('orders'), { holder: 'lyon', epoch: 2 });
  assert.equal(await firstByte(sites, lyon, 'orders-1', 0), 1);
});

test('a failover while a handover still sends wins, and the handover ends without a second holder', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders', volumes: 1 });
  const { paris, lyon } = sites;
  const body = { to: 'lyon', reverse: true };
  const handover = await slowly(sites, { method: 'POST', path: '/groups/orders/handover', body });

  await lyon.failOver('orders');

  assert.equal((await paris.endOf(handover)).state, 'undone');
  await hasHeard(paris, 'orders', 'failed_over');
  assert.deepEqual([(await paris.dataPlane('orders')).serving], [false]);
  await forkOf(paris, 'orders');
  await lyon.reprotect('orders');
  assert.deepEqual(await sites.agreement('orders'), { holder: 'lyon', epoch: 2 });
});

test('of operators who ask for different things at once one is heard, and the others are told of it', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris } = sites;
  const [point] = await paris.points('orders');
  const to = { point: point?.id };
  const preflight = { method: 'POST', path: '/groups/orders/restore/preflight', body: to } as const;
  const { confirmation } = await paris.ask<{ confirmation: string }>(preflight);
  const body = { ...to, confirmation };
  const [volume] = volumesOf('orders');

  const asked = await Promise.allSettled([
    paris.startHandover('orders', sites.lyon),
    paris.start({ method: 'POST', path: '/groups/orders/restore', body }),
    paris.start({ method: 'DELETE', path: '/groups/orders/session' }),
    paris.start({ method: 'DELETE', path: `/groups/orders/volumes/${volume}` }),
  ]);

  const heard = asked.filter((one) => one.status === 'fulfilled');
  const refused = asked.filter((one) => one.status === 'rejected');
  assert.deepEqual([heard.length, refused.length], [1, 3]);
  for (const { reason } of refused) {
    assert.ok(reason instanceof ProblemAnswer);
    assert.equal(reason.reason?.code, 'operation_running', reason.message);
  }
  const [{ value: job } = assert.fail('nobody was heard')] = heard;
  assert.equal((await paris.endOf(job.id)).state, 'done');
  // Exactly what was heard has happened, and nothing of the rest.
  assert.equal((await paris.group('orders')).volumes.length, 2);
  assert.deepEqual((await paris.forks('orders')).length, job.kind === 'go-back' ? 1 : 0);
});

test('a failover test that runs is not pulled from under its hosts by a failover', async (t) => {
  const { lyon } = await twoSites(t, { protecting: 'orders', volumes: 1 });
  const path = '/groups/orders/failover-test';
  await lyon.carryOut({ method: 'POST', path, body: {} });

  const failover = { method: 'POST', path: '/groups/orders/failover', body: {} } as const;
  await assert.rejects(lyon.ask(failover), refusal('in_use'));

  await lyon.carryOut({ method: 'DELETE', path });
  await lyon.failOver('orders');
  assert.equal(await lyon.roleOf('orders'), 'source');
});

test(
  'a site that returns with a full disk serves nothing, and has its fork once there is room',
  { skip: whyNoDisk },
  async (t) => {
    const lyonDisk = new SmallDisk(512 * MIB);
    const sites = await twoSites(t, { protecting: 'orders', volumes: 1, lyonDisk });
    const { paris, lyon } = sites;
    await paris.handOver('orders', lyon);
    await sites.agreement('orders');
    await put(sites, lyon, 'orders-1', 0, 5);
    await lyonDisk.leaveFree(MIB);

    await paris.failOver('orders');

    await waitUntil('lyon serves it no more', LIMIT_MS, async () =>
      (await lyon.dataPlane('orders')).serving ? undefined : true,
    );
    assert.equal(await paris.roleOf('orders'), 'source');
    await lyonDisk.makeRoom();
    await hasHeard(lyon, 'orders', 'failed_over');
    await forkOf(lyon, 'orders');
    await paris.reprotect('orders');
    assert.deepEqual(await sites.agreement('orders'), { holder: 'paris', epoch: 3 });
    assert.equal(await firstByte(sites, paris, 'orders-1', 0), 0);
  },
);

/** Starts something that sends, over a link so slow that it is still at it when this returns. */
async function slowly(sites: TwoSites, asked: Parameters<StorySite['start']>[0]): Promise<string> {
  const { paris } = sites;
  const host = await sites.connect(paris, 'orders-1');
  for (let n = 8; n < 48; n += 1) await host.write(n * MIB, Buffer.alloc(MIB, n));
  await host.flush();
  await host.disconnect();
  await paris.changeSession('orders', SLOW);
  const { id } = await paris.start(asked);
  await paris.sessionOnce('orders', 'something is sent', ({ cycle }) => {
    return (cycle?.progress?.sentBytes ?? 0) > 0;
  });
  return id;
}

async function hasHeard(site: StorySite, group: string, state: string): Promise<void> {
  await site.sessionOnce(group, 'it has heard of the other claim', (s) => s.state === state);
}

async function forkOf(site: StorySite, group: string): Promise<void> {
  await waitUntil(`${site.name} has set aside what it had of ${group}`, LIMIT_MS, async () =>
    (await site.forks(group)).some(({ origin }) => origin === 'failover') ? true : undefined,
  );
}

async function put(
  sites: TwoSites,
  site: StorySite,
  volume: string,
  block: number,
  fill: number,
): Promise<void> {
  const host = await sites.connect(site, volume);
  await host.write(block * BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES, fill));
  await host.flush();
  await host.disconnect();
}

async function firstByte(
  sites: TwoSites,
  site: StorySite,
  volume: string,
  block: number,
): Promise<number | undefined> {
  const host = await sites.connect(site, volume);
  const [seen] = await host.read(block * BLOCK_BYTES, BLOCK_BYTES);
  await host.disconnect();
  return seen;
}
