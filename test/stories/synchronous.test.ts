import assert from 'node:assert/strict';
import test from 'node:test';
import type { SessionAnswer } from '../support/native-answers.ts';
import { SilentLink, whyNoNamespaces } from '../support/story-link.ts';
import type { StorySite } from '../support/story-site.ts';
import {
  assertHostsNeverStalled,
  assertNothingLost,
  moreWrites,
  twoSites,
  volumesOf,
} from '../support/two-sites.ts';
import type { TwoSites } from '../support/two-sites.ts';
import type { NumberedWriter } from '../../src/main/numbered-writer.ts';

/** The bound, and what a busy machine adds to it. */
const STALL_LIMIT_MS = 3_000 + 2_000;

type Condition = NonNullable<SessionAnswer['sync']>['condition'];

function becomes(site: StorySite, condition: Condition): Promise<SessionAnswer> {
  return site.sessionOnce('orders', condition, ({ sync }) => sync?.condition === condition);
}

/** In sync, and with no cycle that is held up: an operator may move it. */
function isWell(site: StorySite): Promise<SessionAnswer> {
  return site.sessionOnce(
    'orders',
    'ok and in sync',
    ({ state, sync }) => state === 'ok' && sync?.condition === 'in_sync',
  );
}

/** A group in sync, both sites knowing it, under a writer. */
async function inSync(sites: TwoSites): Promise<NumberedWriter> {
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  await sites.paris.changeSession('orders', { mode: 'sync' });
  await becomes(sites.paris, 'in_sync');
  await becomes(sites.lyon, 'in_sync');
  await moreWrites(writer, 300);
  return writer;
}

/** Its control process first: it would open the group again, and hosts would write there alone. */
async function killAtOnce(site: StorySite): Promise<void> {
  const pid = await site.daemonPid('orders');
  await site.killControl();
  process.kill(pid, 'SIGKILL');
}

function assertStalledNoLonger(writer: NumberedWriter): void {
  assert.equal(writer.serverErrors(), 0);
  assert.deepEqual(writer.disconnected(), []);
  const { durationMs } = writer.longestGap();
  assert.ok(durationMs < STALL_LIMIT_MS, `hosts waited ${Math.round(durationMs)} ms`);
}

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
