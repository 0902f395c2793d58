import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { NbdRefused } from '../../src/engines/nbd/errors.ts';
import { refusal } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
/** A link so slow that a story can do something while a point is on its way. */
const SLOW_BYTES_PER_SECOND = MIB;

const sites = await twoSites({ after });
const { paris, lyon } = sites;

test('a group passes to the other site and back under a live writer, and nothing is lost', async () => {
  await sites.protect('orders');
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  await moreWrites(writer, 300);

  for (const [from, to] of [
    [paris, lyon],
    [lyon, paris],
  ] as const) {
    const { epoch } = await from.group('orders');

    await from.handOver('orders', to);

    for (const site of [from, to]) {
      const group = await site.group('orders');
      assert.equal(group.epoch, epoch + 1);
      assert.equal(group.holder.name, to.name);
      assert.equal(group.operation, undefined);
    }
    const [given, taken] = await Promise.all([from.session('orders'), to.session('orders')]);
    assert.deepEqual([given.role, given.state], ['destination', 'ok']);
    assert.deepEqual([taken.role, taken.state], ['source', 'ok']);
    assert.ok(taken.rpoMet && (taken.rpoNowSeconds ?? 99) <= 5, JSON.stringify(taken));
    await moreWrites(writer, 300);
  }

  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('both sites have the same bytes at the same point, whoever holds the group', async () => {
  await sites.protect('ledger');
  const writer = await sites.startWriter({ volumes: volumesOf('ledger') });
  await moreWrites(writer, 200);
  await paris.handOver('ledger', lyon);
  await moreWrites(writer, 200);
  await writer.stop();

  const { newestPoint } = await lyon.synchronize('ledger');

  const id = newestPoint?.id ?? '';
  const atLyon = await lyon.hashes('ledger', id);
  assert.deepEqual(await paris.hashes('ledger', id), atLyon);
  assert.equal(new Set(Object.values(atLyon)).size, 2, 'each volume has bytes of its own');
});

test('hosts are refused at the site that gave the group away', async () => {
  await sites.protect('stock');
  const before = await sites.connect(paris, 'stock-1');
  const attachment = await paris.attachment('stock-1');

  await paris.handOver('stock', lyon);

  await before.ended;
  await assert.rejects(paris.attachment('stock-1'), refusal('not_holder'));
  await assert.rejects(sites.connectAt(paris, attachment), NbdRefused);
  const there = await sites.connect(lyon, 'stock-1');
  await there.write(0, Buffer.alloc(4096, 1));
  await there.disconnect();
});

test('a handover that does not reverse leaves both sides failed over until reprotect', async () => {
  await sites.protect('mail');

  await paris.handOver('mail', lyon, { reverse: false });

  const [given, taken] = await Promise.all([paris.session('mail'), lyon.session('mail')]);
  assert.deepEqual([given.role, given.state], ['destination', 'failed_over']);
  assert.deepEqual([taken.role, taken.state], ['source', 'failed_over']);
  await assert.rejects(lyon.synchronize('mail'), refusal('wrong_state'));
  await assert.rejects(lyon.handOver('mail', paris), refusal('wrong_state'));

  await lyon.reprotect('mail');

  await paris.sessionOnce('mail', 'reprotected', (s) => s.state === 'ok');
  await lyon.handOver('mail', paris);
  assert.equal(await paris.roleOf('mail'), 'source');
});

test('an abort before the point of no return opens the group again where it was', async () => {
  await sites.protect('cash');
  await paris.changeSession('cash', { bytesPerSecond: SLOW_BYTES_PER_SECOND });
  const writer = await sites.startWriter({ volumes: volumesOf('cash'), spanBytes: 2 * MIB });
  await moreWrites(writer, 300);
  const { epoch } = await paris.group('cash');
  const { id } = await paris.startHandover('cash', lyon);
  await paris.jobOnce(id, 'hosts are fenced', (job) => job.steps.some((s) => s.name === 'fence'));
  assert.ok((await paris.group('cash')).fenced);

  await paris.abort(id);

  const job = await paris.endOf(id);
  assert.equal(job.state, 'undone');
  assert.equal(job.outcome?.reason?.code, 'aborted');
  for (const site of [paris, lyon]) {
    const group = await site.group('cash');
    assert.deepEqual(
      [group.holder.name, group.epoch, group.operation, group.fenced],
      ['paris', epoch, undefined, false],
    );
    assert.equal((await site.session('cash')).state, 'ok');
  }
  await moreWrites(writer, 300);
  await paris.changeSession('cash', { bytesPerSecond: null });
  await paris.handOver('cash', lyon);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('an abort after the point of no return is refused, and the group arrives', async () => {
  await sites.protect('pay');
  const { id } = await paris.startHandover('pay', lyon);
  await paris.jobOnce(id, 'the group is given away', (job) => !job.abortable);

  await assert.rejects(paris.abort(id), refusal('past_point_of_no_return'));

  assert.equal((await paris.endOf(id)).state, 'done');
  assert.equal(await lyon.roleOf('pay'), 'source');
});

test('a handover that is asked for twice is one job', async () => {
  await sites.protect('parts');
  await paris.changeSession('parts', { bytesPerSecond: SLOW_BYTES_PER_SECOND });
  const writer = await sites.startWriter({ volumes: volumesOf('parts'), spanBytes: MIB });
  await moreWrites(writer, 300);
  const first = await paris.startHandover('parts', lyon);

  const second = await paris.startHandover('parts', lyon);

  assert.equal(second.state, 'running');
  assert.equal(second.id, first.id);
  await assert.rejects(
    paris.startHandover('parts', lyon, { reverse: false }),
    refusal('operation_running'),
  );
  assert.equal((await paris.endOf(first.id)).state, 'done');
  assert.equal((await lyon.group('parts')).epoch, 2);
  await writer.stop();
});
