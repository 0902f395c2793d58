import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import type { StorySite } from '../support/story-site.ts';
import { signalProcess } from '../support/site-processes.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const sites = await twoSites({ after });

type Victims = (from: StorySite, to: StorySite) => readonly StorySite[];

const source: Victims = (from) => [from];
const destination: Victims = (_from, to) => [to];
const both: Victims = (from, to) => [from, to];

/** The parts of a handover that take time, each with the one before it, and the one that dies alone. */
const steps = [
  [undefined, 'lock-peer', destination],
  ['settle', 'warm-up', source],
  ['close-to-hosts', 'fence', source],
  ['fence', 'last-point', destination],
  ['point-of-no-return', 'take', source],
  ['take', 'demote', destination],
] as const;

const kinds: readonly (readonly [who: string, group: string, together: boolean])[] = [
  ['one of the sites', 'orders', false],
  ['both sites', 'stock', true],
];

for (const [who, group, together] of kinds) {
  test(`kill -9 of ${who} in every step of a handover: it ends by itself, nothing is lost`, async (t) => {
    await sites.protect(group);
    const writer = await sites.startWriter({ volumes: volumesOf(group) });

    for (const [before, step, alone] of steps) {
      await moreWrites(writer, 50);
      const [from, to] = await sites.holderFirst(group);
      const victims = (together ? both : alone)(from, to);
      const pids = await Promise.all(victims.map((site) => site.controlPid()));
      const { id } = await from.startHandover(group, to);
      if (before !== undefined) await from.stepDone(id, before);
      await Promise.all(pids.map((pid) => signalProcess(pid, 'SIGKILL')));
      t.diagnostic(`${step}: killed after ${from.stepsDone(id).at(-1) ?? 'nothing'}`);

      await Promise.all(victims.map((site) => site.startControl()));

      const { state } = await from.endOf(id);
      const { holder } = await sites.agreement(group);
      assert.equal(holder, state === 'done' ? to.name : from.name);
    }

    assertNothingLost(await sites.verify(writer, 'acknowledged'));
  });
}
