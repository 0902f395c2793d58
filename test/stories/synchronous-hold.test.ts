/** Synchronous sessions whose hosts wait for a destination that is lost. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'node:test';
import { becomes, inSync, killAtOnce } from '../support/story-sync.ts';
import { assertNothingLost, moreWrites, twoSites } from '../support/two-sites.ts';
import type { NumberedWriter } from '../../src/main/numbered-writer.ts';

/** Twice what hosts wait for where they go on. */
const HELD_MS = 6_000;
/** What was on its way is answered at most so long after the loss. */
const SETTLE_MS = 500;

/** Not one write is answered; that time passes is what is looked at. */
async function assertHeld(writer: NumberedWriter): Promise<void> {
  await delay(SETTLE_MS);
  const { acknowledged } = writer.counts();
  await delay(HELD_MS);
  assert.equal(writer.counts().acknowledged, acknowledged);
}

test('hosts that are to be held wait for a dead destination, with a dead control process, until they are released', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await inSync(sites, { onLoss: 'hold' });

  await killAtOnce(lyon);
  await assertHeld(writer);
  await becomes(paris, 'fractured');
  await paris.killControl();
  await assertHeld(writer);
  await paris.startControl();
  await assertHeld(writer);
  const { sync } = await paris.release('orders');

  assert.equal(sync?.condition, 'fractured');
  await moreWrites(writer, 200);
  await lyon.startControl();
  await becomes(paris, 'in_sync');
  await becomes(lyon, 'in_sync');
  await moreWrites(writer, 100);
  await paris.handOver('orders', lyon);
  assertNothingLost(await sites.verify(writer, 'flushed'));
});

test('hosts that are held come back by themselves with a destination that has another data plane', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await inSync(sites, { onLoss: 'hold' });

  await lyon.killDaemon('orders');
  await becomes(paris, 'fractured');
  await moreWrites(writer, 200);

  await becomes(paris, 'in_sync');
  await becomes(lyon, 'in_sync');
  await moreWrites(writer, 100);
  await killAtOnce(paris);
  await writer.stop();
  const { nothingAfter } = await lyon.failOver('orders');
  assert.equal(nothingAfter, true);
  assertNothingLost(await sites.verify(writer, 'flushed'));
  await paris.startControl();
});
