/**
 * Handovers back and forth under a writer, with whatever may die dying at random moments.
 * SEED and HANDOVERS choose another run; the seed is in the output.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import test, { after } from 'node:test';
import { SiteUnreachable } from '../../src/cli/native-client.ts';
import type { StorySite } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';
import { Random } from '../simulation/random.ts';

/** So many that came about; others are aborted by what dies. */
const HANDOVERS = Number(process.env['HANDOVERS'] ?? 200);
const MOST_ROUNDS = HANDOVERS * 3;
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** After so many handovers the writes are looked for, and another writer begins. */
const ROUNDS_PER_WRITER = 20;
const GROUP = 'orders';
const LATEST_MS = 900;

const sites = await twoSites({ after }, { protecting: GROUP });

type Trouble = (from: StorySite, to: StorySite) => Promise<void>;

const killControl = async (site: StorySite): Promise<void> => {
  await site.killControl();
  await site.startControl();
};

/** What may happen without an acknowledged write being at stake. */
const gentle: readonly Trouble[] = [
  async () => undefined,
  (from) => killControl(from),
  (_from, to) => killControl(to),
  async (from, to) => void (await Promise.all([killControl(from), killControl(to)])),
  async (_from, to) => void (await to.cutLinkInto(GROUP)),
];

/** A data plane that dies takes with it what its hosts had not flushed, as a disk does. */
const rough: readonly Trouble[] = [
  ...gentle,
  (from) => from.killDaemon(GROUP),
  (_from, to) => to.killDaemon(GROUP),
];

/** The victim may be down already, or between two data planes. */
async function attempt(trouble: Trouble, from: StorySite, to: StorySite): Promise<void> {
  try {
    await trouble(from, to);
  } catch (error) {
    const gone = error instanceof SiteUnreachable || error instanceof assert.AssertionError;
    if (!gone) throw error;
  }
}

test(`${HANDOVERS} handovers with random kills and cuts lose nothing (SEED=${SEED})`, async (t) => {
  const random = new Random(SEED);
  let handedOver = 0;
  for (let round = 0; handedOver < HANDOVERS;) {
    const isRough = (round / ROUNDS_PER_WRITER) % 2 >= 1;
    const troubles = isRough ? rough : gentle;
    const writer = await sites.startWriter({ volumes: volumesOf(GROUP) });
    for (let left = ROUNDS_PER_WRITER; left > 0; left -= 1) {
      await moreWrites(writer, 30);
      const [from, to] = await sites.holderFirst(GROUP);
      await from.sessionOnce(
        GROUP,
        'it replicates',
        (s) => s.state === 'ok' && s.role === 'source',
      );
      const trouble =
        troubles[Math.floor(random.next() * troubles.length)] ?? (async () => undefined);
      const { id } = await from.startHandover(GROUP, to);
      // Not a wait for anything: the moment at which it happens is what is random.
      await delay(random.next() * LATEST_MS);

      await attempt(trouble, from, to);

      const { state } = await from.endOf(id);
      const { holder } = await sites.agreement(GROUP);
      assert.equal(holder, state === 'done' ? to.name : from.name);
      if (state === 'done') handedOver += 1;
      round += 1;
    }
    assertNothingLost(await sites.verify(writer, isRough ? 'flushed' : 'acknowledged'));
    t.diagnostic(`${round} rounds, ${handedOver} handed over`);
    assert.ok(round < MOST_ROUNDS, `${handedOver} of ${round} were handed over`);
  }
});
