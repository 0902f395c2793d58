import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import type { SessionAnswer } from '../support/native-answers.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const MIB = 1024 * 1024;

const sites = await twoSites({ after });
const { paris, lyon } = sites;

test('hosts keep reading and writing while no control process lives, and daemons are adopted', async () => {
  await sites.protect('mail');
  const writer = await sites.startWriter({ volumes: volumesOf('mail') });
  await moreWrites(writer, 100);
  const before = await Promise.all([paris.daemonPids('mail'), lyon.daemonPids('mail')]);
  const reader = await sites.connect(paris, 'mail-1');

  await Promise.all([paris.killControl(), lyon.killControl()]);

  await moreWrites(writer, 1000);
  assert.equal((await reader.read(0, 4096)).length, 4096);
  // A host that comes new finds its volume where it was.
  const newcomer = await sites.connect(paris, 'mail-2');
  assert.equal((await newcomer.read(0, 4096)).length, 4096);

  await Promise.all([paris.startControl(), lyon.startControl()]);

  assert.equal(before.flat().length, 2);
  await paris.synchronize('mail');
  const now = await Promise.all([paris.daemonPids('mail'), lyon.daemonPids('mail')]);
  assert.deepEqual(now, before);
  assert.equal(await paris.daemonPid('mail'), before[0]?.[0]);
  assert.deepEqual(writer.disconnected(), []);
  await Promise.all([reader.disconnect(), newcomer.disconnect()]);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('both sites restart while a cycle runs, and it goes on where it was', async () => {
  await sites.protect('cash');
  const writer = await sites.startWriter({ volumes: volumesOf('cash'), spanBytes: 2 * MIB });
  await moreWrites(writer, 1000);
  await writer.stop();
  await paris.changeSession('cash', { bytesPerSecond: MIB });
  await paris.start({ method: 'POST', path: '/groups/cash/session/sync' });
  const { cycle } = await paris.sessionOnce(
    'cash',
    'some of it was sent',
    (s) => sentBytes(s) > MIB / 2,
  );

  await Promise.all([paris.signalControl('SIGTERM'), lyon.signalControl('SIGTERM')]);
  await Promise.all([paris.startControl(), lyon.startControl()]);

  const { lastCycle } = await paris.sessionOnce(
    'cash',
    'the point arrived',
    (s) => s.state === 'ok' && s.lastCycle?.pointId === cycle?.pointId,
  );
  assert.deepEqual([lastCycle?.kind, lastCycle?.restarts], ['delta', 0]);
  assert.ok((lastCycle?.sentBytes ?? 0) <= 4 * MIB, `sent once: ${lastCycle?.sentBytes}`);
});

function sentBytes({ cycle }: SessionAnswer): number {
  return cycle?.progress?.sentBytes ?? 0;
}
