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
const steps: readonly (readonly [before: string | undefined, step: string, victims: Victims])[] = [
  [undefined, 'lock-peer', destination],
  ['settle', 'warm-up', source],
  ['close-to-hosts', 'fence', source],
  ['fence', 'last-point', destination],
  ['point-of-no-return', 'take', source],
  ['take', 'demote', destination],
];

/** Of both at once: where the group has no site that hosts could use. */
const betweenHolders = steps.slice(3);

const kinds: readonly (readonly [who: string, group: string, moments: typeof steps])[] = [
  ['one of the sites in every step', 'orders', steps],
  ['both sites between the two holders', 'stock', betweenHolders.map(([a, b]) => [a, b, both])],
];

for (const [who, group, moments] of kinds) {
  test(`kill -9 of ${who} of a handover: it ends by itself, nothing is lost`, async (t) => {
    await sites.protect(group);
    const writer = await sites.startWriter({ volumes: volumesOf(group) });

    for (const [before, step, victimsOf] of moments) {
      await moreWrites(writer, 50);
      const [from, to] = await sites.holderFirst(group);
      const victims = victimsOf(from, to);
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
