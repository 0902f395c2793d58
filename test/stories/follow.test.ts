/** Hosts that follow the baton: a group moves under them, and all they notice is a pause. */
import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { StoryAgent } from '../support/story-agent.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const sites = await twoSites({ after });
const { paris, lyon } = sites;

test('hosts follow handovers there and back with no error, and every write is found', async (t) => {
  await sites.protect('orders');
  const agent = await StoryAgent.attach(sites, volumesOf('orders'));
  t.after(() => agent.detach());
  const writer = await agent.startWriter(volumesOf('orders'));
  t.after(() => writer.stop());

  for (const [from, to] of [
    [paris, lyon],
    [lyon, paris],
    [paris, lyon],
  ] as const) {
    await moreWrites(writer, 300);
    await from.handOver('orders', to);
    await moreWrites(writer, 300);
  }

  assert.equal(writer.serverErrors(), 0);
  assert.deepEqual(writer.disconnected(), []);
  const { epoch } = await agent.statusOnce('orders-1', 'is open at lyon', (s) => s.site === 'lyon');
  assert.equal(epoch, 4);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});
