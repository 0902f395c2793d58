import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { signalProcess } from '../support/site-processes.ts';
import type { StorySite } from '../support/story-site.ts';
import {
  assertHostsNeverStalled,
  assertNothingLost,
  moreWrites,
  twoSites,
  volumesOf,
} from '../support/two-sites.ts';

const MIB = 1024 * 1024;

const sites = await twoSites({ after });
const { paris, lyon } = sites;

test('a daemon that was killed is started again, and its host goes on with all that it flushed', async () => {
  await sites.protect('orders');
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });

  for (let kills = 0; kills < 3; kills += 1) {
    await moreWrites(writer, 300);
    const [pid] = await paris.daemonPids('orders');

    await paris.killDaemon('orders');

    await moreWrites(writer, 300);
    const pids = await paris.daemonPids('orders');
    assert.equal(pids.length, 1);
    assert.notEqual(pids[0], pid);
  }

  await paris.synchronize('orders');
  await paris.handOver('orders', lyon);
  assertNothingLost(await sites.verify(writer, 'flushed'));
});

test('a daemon that stood still goes on, and nobody starts another beside it', async () => {
  await sites.protect('mail');
  const writer = await sites.startWriter({ volumes: volumesOf('mail') });
  await moreWrites(writer, 300);
  const before = await paris.daemonPids('mail');
  await signalProcess(before[0] ?? 0, 'SIGSTOP');
  await paris.dataPlaneOnce('mail', 'it does not answer', (d) => d.dataPlane === 'hung');

  await signalProcess(before[0] ?? 0, 'SIGCONT');

  await moreWrites(writer, 300);
  await paris.dataPlaneOnce('mail', 'it answers', (d) => d.dataPlane === 'running');
  assert.deepEqual(await paris.daemonPids('mail'), before);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

/** A cycle that takes some seconds, and has come some way. */
async function cycleUnderWay(group: string): Promise<string> {
  const filler = await sites.startWriter({ volumes: volumesOf(group), spanBytes: 2 * MIB });
  await moreWrites(filler, 1000);
  await filler.stop();
  await paris.changeSession(group, { bytesPerSecond: MIB });
  await paris.start({ method: 'POST', path: `/groups/${group}/session/sync` });
  const { cycle } = await paris.sessionOnce(
    group,
    'some of it was sent',
    (s) => (s.cycle?.progress?.sentBytes ?? 0) > MIB / 2,
  );
  return cycle?.pointId ?? '';
}

test('a source whose daemon dies in mid-cycle sends the point again whole, and says so', async () => {
  await sites.protect('stock');
  const pointId = await cycleUnderWay('stock');

  await paris.killDaemon('stock');

  const { lastCycle } = await paris.sessionOnce(
    'stock',
    'the point arrived',
    (s) => s.state === 'ok' && s.lastCycle?.pointId === pointId,
  );
  assert.equal(lastCycle?.restarts, 1);
  assert.deepEqual(await lyon.hashes('stock', pointId), await paris.hashes('stock', pointId));
});

test('a destination whose daemon dies in mid-cycle gets the point again whole; hosts never notice', async () => {
  await sites.protect('cash');
  const pointId = await cycleUnderWay('cash');
  const writer = await sites.startWriter({ volumes: volumesOf('cash') });
  await moreWrites(writer, 100);

  await lyon.killDaemon('cash');

  const { lastCycle } = await paris.sessionOnce(
    'cash',
    'the point arrived',
    (s) => s.state === 'ok' && s.lastCycle?.pointId === pointId,
  );
  assert.equal(lastCycle?.restarts, 1);
  assert.deepEqual(await lyon.hashes('cash', pointId), await paris.hashes('cash', pointId));
  assertHostsNeverStalled(writer);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

/** The parts of a handover in which a daemon has something to do, each with the one before it. */
const steps = [
  ['settle', 'warm-up'],
  ['close-to-hosts', 'fence'],
  ['fence', 'last-point'],
  ['point-of-no-return', 'take'],
  ['take', 'demote'],
] as const;

type Victim = (from: StorySite, to: StorySite) => StorySite;

const kinds: readonly (readonly [whose: string, group: string, victim: Victim])[] = [
  ['the source', 'ledger', (from) => from],
  ['the destination', 'parts', (_from, to) => to],
];

for (const [whose, group, victimOf] of kinds) {
  test(`the daemon of ${whose} dies in every step of a handover: nothing flushed is lost`, async (t) => {
    await sites.protect(group);
    const writer = await sites.startWriter({ volumes: volumesOf(group) });

    for (const [before, step] of steps) {
      await moreWrites(writer, 200);
      const [from, to] = await sites.holderFirst(group);
      const pid = await victimOf(from, to).daemonPid(group);
      const { id } = await from.startHandover(group, to);
      await from.stepDone(id, before);

      process.kill(pid, 'SIGKILL');

      const killedAfter = from.stepsDone(id).at(-1) ?? 'nothing';
      const { state } = await from.endOf(id);
      t.diagnostic(`${step}: killed after ${killedAfter}, ${state}`);
      const { holder } = await sites.agreement(group);
      assert.equal(holder, state === 'done' ? to.name : from.name);
    }

    assertNothingLost(await sites.verify(writer, 'flushed'));
  });
}
