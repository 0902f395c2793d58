import assert from 'node:assert/strict';
import test from 'node:test';
import type { SessionAnswer } from '../support/native-answers.ts';
import { SilentLink, whyNoNamespaces } from '../support/story-link.ts';
import { refusal } from '../support/story-site.ts';
import {
  assertHostsNeverStalled,
  assertNothingLost,
  moreWrites,
  twoSites,
  volumesOf,
} from '../support/two-sites.ts';
import type { TwoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const skip = whyNoNamespaces;

/** A cycle that takes some seconds, and has come some way. @returns its point */
async function cycleUnderWay({ paris }: TwoSites, group: string): Promise<string> {
  await paris.changeSession(group, { bytesPerSecond: MIB });
  await paris.start({ method: 'POST', path: `/groups/${group}/session/sync` });
  const { cycle } = await paris.sessionOnce(
    group,
    'some of it was sent',
    (s) => (s.cycle?.progress?.sentBytes ?? 0) > MIB / 2,
  );
  return cycle?.pointId ?? '';
}

function arrived(pointId: string): (session: SessionAnswer) => boolean {
  return ({ state, lastCycle }) => state === 'ok' && lastCycle?.pointId === pointId;
}

test('a link that is cut in mid-cycle again and again: it goes on where it was', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders' });
  const { paris, lyon } = sites;
  const writer = await sites.startWriter({ volumes: volumesOf('orders'), spanBytes: 2 * MIB });
  await moreWrites(writer, 1000);
  const pointId = await cycleUnderWay(sites, 'orders');

  for (let cuts = 0; cuts < 3; cuts += 1) {
    assert.ok((await lyon.cutLinkInto('orders')) > 0);
    await moreWrites(writer, 100);
  }

  const { lastCycle } = await paris.sessionOnce('orders', 'the point arrived', arrived(pointId));
  assert.equal(lastCycle?.restarts, 0);
  assert.deepEqual(await lyon.hashes('orders', pointId), await paris.hashes('orders', pointId));
  assertHostsNeverStalled(writer);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test(
  'a link that goes silent in mid-cycle parks the session, which resumes by itself',
  { skip },
  async (t) => {
    const link = await SilentLink.make(t);
    const sites = await twoSites(t, { protecting: 'orders', link });
    const { paris, lyon } = sites;
    const writer = await sites.startWriter({ volumes: volumesOf('orders'), spanBytes: 2 * MIB });
    await moreWrites(writer, 1000);
    const pointId = await cycleUnderWay(sites, 'orders');

    await link.goSilent();

    const parked = await paris.sessionOnce('orders', 'parked', (s) => s.state === 'system_paused');
    assert.match(parked.parkedBecause ?? '', /does not answer/);
    assert.equal(parked.link?.state, 'down');
    await assert.rejects(paris.startHandover('orders', lyon), refusal('wrong_state'));
    await moreWrites(writer, 500);

    await link.goOn();

    const { lastCycle } = await paris.sessionOnce('orders', 'the point arrived', arrived(pointId));
    assert.equal(lastCycle?.restarts, 0);
    assertHostsNeverStalled(writer);
    await paris.changeSession('orders', { bytesPerSecond: null });
    await paris.handOver('orders', lyon);
    assertNothingLost(await sites.verify(writer, 'acknowledged'));
  },
);

test(
  'a link that goes silent in a handover: before the point of no return all is put back, after it the group arrives',
  { skip },
  async (t) => {
    const link = await SilentLink.make(t);
    const sites = await twoSites(t, { protecting: 'orders', link });
    const { paris, lyon } = sites;
    const writer = await sites.startWriter({ volumes: volumesOf('orders') });

    for (const [before, end] of [
      ['settle', 'undone'],
      ['close-to-hosts', 'undone'],
      ['point-of-no-return', 'done'],
    ] as const) {
      await moreWrites(writer, 200);
      const { id } = await paris.startHandover('orders', lyon);
      await paris.stepDone(id, before);

      await link.goSilent();

      await paris.sessionOnce('orders', 'the link is down', (s) => s.link?.state === 'down');
      if (end === 'undone') {
        assert.equal((await paris.endOf(id)).state, 'undone');
        await moreWrites(writer, 200);
      }
      await link.goOn();
      assert.equal((await paris.endOf(id)).state, end);
      const { holder } = await sites.agreement('orders');
      assert.equal(holder, end === 'done' ? 'lyon' : 'paris');
    }

    assertNothingLost(await sites.verify(writer, 'acknowledged'));
  },
);
