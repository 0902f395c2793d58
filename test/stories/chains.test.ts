import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import {
  assertHostsNeverStalled,
  assertNothingLost,
  twoSites,
  volumesOf,
} from '../support/two-sites.ts';

const sites = await twoSites({ after });
const { paris, lyon } = sites;

// Cycles back to back leave no time to merge in between: the next one waits for it.
test('chains stay short over many cycles, and lose nothing by it', async (t) => {
  await sites.protect('mail');
  const writer = await sites.startWriter({ volumes: volumesOf('mail') });
  const most = { paris: 0, lyon: 0 };

  for (let cycles = 0; cycles < 25; cycles += 1) {
    await paris.synchronize('mail');
    for (const site of [paris, lyon]) {
      const { volumes } = await site.dataPlane('mail');
      const layers = Math.max(...volumes.map((v) => v.layers));
      most[site.name as 'paris' | 'lyon'] = Math.max(most[site.name as 'paris' | 'lyon'], layers);
    }
  }

  t.diagnostic(`at most ${most.paris} layers at the source, ${most.lyon} at the destination`);
  assert.ok(Math.max(most.paris, most.lyon) < 16, JSON.stringify(most));
  assertHostsNeverStalled(writer);
  await paris.handOver('mail', lyon);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});
