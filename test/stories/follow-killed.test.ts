/** Whatever is killed while hosts follow a handover: they notice a pause. */
import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { signalProcess } from '../support/site-processes.ts';
import { StoryAgent } from '../support/story-agent.ts';
import type { StorySite } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const sites = await twoSites({ after });

/** The parts of a handover in which hosts are moved; killed once this one was done. */
const all = ['settle', 'fence', 'last-point', 'point-of-no-return', 'take'] as const;
/** Sites take long to come back; see also handover-killed.test.ts. */
const worst = ['fence', 'point-of-no-return'] as const;

type Victims = (from: StorySite, to: StorySite) => readonly StorySite[];

interface Kind {
  readonly who: string;
  readonly group: string;
  readonly moments: readonly string[];
  readonly victimsOf: Victims;
}

const kinds: readonly Kind[] = [
  { who: 'their agent', group: 'orders', moments: all, victimsOf: () => [] },
  { who: 'the source', group: 'ledger', moments: worst, victimsOf: (from) => [from] },
  { who: 'the destination', group: 'stock', moments: worst, victimsOf: (_from, to) => [to] },
];

for (const { who, group, moments, victimsOf } of kinds) {
  test(`kill -9 of ${who} in the steps of a handover: hosts get no error, and nothing is lost`, async (t) => {
    await sites.protect(group);
    const agent = await StoryAgent.attach(sites, volumesOf(group));
    t.after(() => agent.detach());
    const writer = await agent.startWriter(volumesOf(group));
    t.after(() => writer.stop());

    for (const moment of moments) {
      await moreWrites(writer, 50);
      const [from, to] = await sites.holderFirst(group);
      const victims = victimsOf(from, to);
      const pids = await Promise.all(victims.map((site) => site.controlPid()));
      const { id } = await from.startHandover(group, to);
      await from.stepDone(id, moment);

      if (victims.length === 0) await agent.signal('SIGKILL');
      await Promise.all(pids.map((pid) => signalProcess(pid, 'SIGKILL')));

      await Promise.all(victims.map((site) => site.startControl()));
      if (victims.length === 0) await agent.start();
      await from.endOf(id);
      await sites.agreement(group);
    }

    await moreWrites(writer, 50);
    assert.equal(writer.serverErrors(), 0);
    assert.deepEqual(writer.disconnected(), []);
    assertNothingLost(await sites.verify(writer, 'acknowledged'));
  });
}
