import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import test, { after } from 'node:test';
import { groupDirectory, refusal } from '../support/story-site.ts';
import { moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const MIB = 1024 * 1024;

const sites = await twoSites({ after });
const { paris, lyon } = sites;

/** What a refused handover must leave as it was, at both sites. */
async function standing(group: string): Promise<unknown> {
  return Promise.all(
    [paris, lyon].map(async (site) => {
      const { epoch, holder, operation, fenced } = await site.group(group);
      const { role, state } = await site.session(group);
      const { serving } = await site.dataPlane(group);
      return { epoch, holder: holder.name, operation, fenced, role, state, serving };
    }),
  );
}

test('a peer whose heart stopped is unreachable: refused at once, hosts go on', async () => {
  await sites.protect('orders');
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  const before = await standing('orders');
  await lyon.killControl();
  await paris.sessionOnce('orders', 'the link is down', (s) => s.link?.state === 'down');

  await assert.rejects(paris.startHandover('orders', lyon), refusal('peer_unreachable'));

  await moreWrites(writer, 100);
  await lyon.startControl();
  await paris.sessionOnce('orders', 'the link is up', (s) => s.link?.state === 'up');
  assert.deepEqual(await standing('orders'), before);
  await paris.handOver('orders', lyon);
  await writer.stop();
});

test('a peer that stops between two heartbeats is unreachable: the job is undone', async () => {
  await sites.protect('ledger');
  const writer = await sites.startWriter({ volumes: volumesOf('ledger') });
  const before = await standing('ledger');
  await lyon.killControl();

  await assert.rejects(paris.handOver('ledger', lyon), refusal('peer_unreachable'));

  await moreWrites(writer, 100);
  await lyon.startControl();
  assert.deepEqual(await standing('ledger'), before);
  await writer.stop();
});

test('the side that does not hold the group refuses and names the one that does', async () => {
  await sites.protect('stock');
  const before = await standing('stock');
  const { holder } = await lyon.group('stock');

  await assert.rejects(lyon.startHandover('stock', paris), (error: Error) => {
    assert.match(error.message, new RegExp(holder.id));
    return refusal('not_holder')(error);
  });

  assert.deepEqual(await standing('stock'), before);
});

test('a group without a session is not handed over', async () => {
  await paris.createGroup('alone');
  await paris.createVolume('alone-1', 16 * MIB, 'alone');
  const before = await paris.group('alone');

  await assert.rejects(paris.startHandover('alone', lyon), refusal('not_protected'));

  assert.deepEqual(await paris.group('alone'), before);
});

test('nobody knows a partner of that name, or a group', async () => {
  await sites.protect('mail');
  const before = await standing('mail');
  const to = (partner: string) => ({
    method: 'POST' as const,
    path: '/groups/mail/handover',
    body: { to: partner },
  });

  await assert.rejects(paris.start(to('marseille')), refusal('not_found'));
  await assert.rejects(
    paris.start(to('3b241101-e2bb-4255-8caf-4136c566a962')),
    refusal('not_found'),
  );
  await assert.rejects(paris.startHandover('post', lyon), refusal('not_found'));

  assert.deepEqual(await standing('mail'), before);
});

test('while another operation runs, a handover is refused and names it', async () => {
  await sites.protect('cash');
  const writer = await sites.startWriter({ volumes: volumesOf('cash'), spanBytes: MIB });
  await moreWrites(writer, 500);
  await writer.stop();
  await paris.changeSession('cash', { bytesPerSecond: MIB });
  await paris.start({ method: 'POST', path: '/groups/cash/session/sync' });
  const path = '/volumes/cash-1';
  // A resize waits for the cycle that runs.
  const resize = await paris.start({ method: 'PATCH', path, body: { sizeBytes: 128 * MIB } });
  assert.equal(resize.state, 'running');

  await assert.rejects(paris.startHandover('cash', lyon), (error: Error) => {
    assert.match(error.message, /resize-volume/);
    return refusal('operation_running')(error);
  });

  assert.equal((await paris.endOf(resize.id)).state, 'done');
  assert.equal((await paris.group('cash')).holder.name, 'paris');
  assert.equal((await paris.group('cash')).epoch, 1);
});

test('a paused session is not handed over until it is resumed', async () => {
  await sites.protect('pay');
  await paris.command('pay', 'pause');
  const before = await standing('pay');

  await assert.rejects(paris.startHandover('pay', lyon), refusal('wrong_state'));

  assert.deepEqual(await standing('pay'), before);
  await paris.command('pay', 'resume');
  await paris.sessionOnce('pay', 'resumed', (s) => s.state === 'ok');
  await paris.handOver('pay', lyon);
});

test('a destination that lost its volumes does not get the group, and hosts go on', async () => {
  await sites.protect('parts');
  const writer = await sites.startWriter({ volumes: volumesOf('parts') });
  const before = await standing('parts');
  await lyon.killDaemon('parts');
  await rm(groupDirectory(sites.dir, 'lyon', await lyon.group('parts')), { recursive: true });

  await assert.rejects(paris.handOver('parts', lyon), /was undone: .*did not get through/);

  assert.deepEqual(await standing('parts'), before);
  await moreWrites(writer, 100);
  await writer.stop();
});

test('a group whose first copy is not complete is not handed over', async () => {
  await paris.createGroup('fresh');
  await paris.createVolume('fresh-1', 64 * MIB, 'fresh');
  await paris.map('fresh', 'app1');
  const writer = await sites.startWriter({ volumes: ['fresh-1'] });
  await moreWrites(writer, 500);
  await writer.stop();
  const body = { peer: 'lyon', rpoSeconds: 3600, bytesPerSecond: MIB };
  await paris.carryOut({ method: 'PUT', path: '/groups/fresh/session', body });
  assert.equal((await paris.session('fresh')).state, 'initializing');

  await assert.rejects(paris.startHandover('fresh', lyon), refusal('wrong_state'));

  await paris.sessionOnce('fresh', 'the first copy is complete', (s) => s.state === 'ok');
  await paris.handOver('fresh', lyon);
});
