import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import type { StorySite } from '../support/story-site.ts';
import { signalProcess } from '../support/site-processes.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const sites = await twoSites({ after });

/** The parts of a handover that take time, each with the one before it. */
const steps = [
  [undefined, 'lock-peer'],
  ['settle', 'warm-up'],
  ['close-to-hosts', 'fence'],
  ['fence', 'last-point'],
  ['point-of-no-return', 'take'],
  ['take', 'demote'],
] as const;

type Victims = (from: StorySite, to: StorySite) => readonly StorySite[];

const kinds: readonly (readonly [who: string, group: string, victims: Victims])[] = [
  ['the source', 'orders', (from) => [from]],
  ['the destination', 'ledger', (_from, to) => [to]],
  ['both sites', 'stock', (from, to) => [from, to]],
];

for (const [who, group, victimsOf] of kinds) {
  test(`kill -9 of ${who} in every step of a handover: it ends by itself, nothing is lost`, async (t) => {
    await sites.protect(group);
    const writer = await sites.startWriter({ volumes: volumesOf(group) });

    for (const [before, step] of steps) {
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
