/** What the import watch makes of a way back after the cut-over, over a data plane in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImportId } from '../../src/domain/ids.ts';
import { MIB, begin, onSource, refusedAs, stateOf, watch, world, write } from './world.ts';
import type { World } from './world.ts';

const TERM_SECONDS = 3600;

/** Cut over, with a way back for an hour. */
async function cutOver(w: World, settings: Parameters<typeof begin>[1] = {}): Promise<ImportId> {
  const importId = await begin(w, { rollbackForSeconds: TERM_SECONDS, ...settings });
  await watch(w);
  await w.paris.ended((await w.paris.app.cutOverImport({ importId })).jobId);
  await watch(w);
  return importId;
}

test('after the cut-over the source has what hosts write, and hosts can go back to it', async (t) => {
  const w = await world(t);
  const importId = await cutOver(w);
  await write(w, 3, 3);
  const { rollback, state } = await w.paris.app.showImport(importId);
  assert.deepEqual([state, rollback?.source], ['completed', 'in_step']);
  assert.equal(onSource(w, 3), 3);

  await w.paris.ended((await w.paris.app.rollBackImport({ importId })).jobId);
  await write(w, 4, 4);

  assert.equal(onSource(w, 4), 4);
  const ended = await w.paris.app.showImport(importId);
  assert.equal(ended.state, 'rolled_back');
  assert.match(ended.left ?? '', /which has every write that was answered/);
  const [volume] = await w.paris.app.listVolumes();
  assert.equal(volume?.state, 'importing');
});

test('once rolled back an import is deleted when its hosts have left, and can be made again', async (t) => {
  const w = await world(t);
  const importId = await cutOver(w);
  await w.paris.ended((await w.paris.app.rollBackImport({ importId })).jobId);
  await assert.rejects(w.paris.app.deleteImport({ importId }), refusedAs('in_use'));

  const { groupId } = await w.paris.app.showImport(importId);
  const [host] = await w.paris.app.listHosts();
  await w.paris.app.unmapHost({ groupId, hostId: host!.id });
  await w.paris.ended((await w.paris.app.deleteImport({ importId })).jobId);

  assert.deepEqual(await w.paris.app.listVolumes(), []);
  await begin(w);
});

test('when its term is over the source is let go, and the group is as any other', async (t) => {
  const w = await world(t);
  const importId = await cutOver(w);
  const { groupId } = await w.paris.app.showImport(importId);
  const protect = { groupId, peerId: w.lyon.id, rpoSeconds: 60 };
  await assert.rejects(w.paris.app.protectGroup(protect), refusedAs('in_use'));

  w.clock.pass(TERM_SECONDS * 1000);
  await assert.rejects(w.paris.app.rollBackImport({ importId }), refusedAs('unsupported'));
  await watch(w);

  assert.equal((await w.paris.app.showImport(importId)).rollback, undefined);
  await write(w, 5, 5);
  assert.equal(onSource(w, 5), undefined);
  await w.paris.ended((await w.paris.app.protectGroup(protect)).jobId);
});

test('a replication that was asked for with the import begins once there is no way back', async (t) => {
  const w = await world(t);
  const protect = { peerId: w.lyon.id, rpoSeconds: 60 };
  const importId = await cutOver(w, { protect });
  assert.deepEqual(await w.paris.app.listSessions(), []);

  await w.paris.app.finishImport({ importId });
  await watch(w);

  assert.equal((await w.paris.app.listSessions()).length, 1);
  await assert.rejects(w.paris.app.rollBackImport({ importId }), refusedAs('unsupported'));
});

test('a source that is away is behind and says why; back again it gets what it missed', async (t) => {
  const w = await world(t);
  const importId = await cutOver(w);
  w.paris.source.isReachable = false;
  await write(w, 6, 6);
  await watch(w);
  const { rollback } = await w.paris.app.showImport(importId);
  assert.deepEqual([rollback?.source, rollback?.why], ['behind', 'the source does not answer']);
  await assert.rejects(w.paris.app.rollBackImport({ importId }), refusedAs('busy'));
  assert.equal(await stateOf(w.paris, importId), 'completed');

  w.paris.source.isReachable = true;
  await watch(w);

  assert.equal(onSource(w, 6), 6);
  await w.paris.ended((await w.paris.app.rollBackImport({ importId })).jobId);
  assert.equal(await stateOf(w.paris, importId), 'rolled_back');
});

test('a way back that fails at the last moment leaves hosts here, and says why', async (t) => {
  const w = await world(t);
  const importId = await cutOver(w);
  const { jobId } = await w.paris.app.rollBackImport({ importId });
  w.paris.source.isReachable = false;

  await w.paris.ended(jobId);

  const { state, trouble, rollback } = await w.paris.app.showImport(importId);
  assert.equal(state, 'completed');
  assert.match(trouble ?? '', /the source is not in step but failed/);
  assert.ok(rollback !== undefined);
});

test('without being asked for there is no way back, and a record with one is not removed', async (t) => {
  const w = await world(t);
  const importId = await cutOver(w, { rollbackForSeconds: undefined });
  await assert.rejects(w.paris.app.rollBackImport({ importId }), refusedAs('unsupported'));
  await assert.rejects(w.paris.app.finishImport({ importId }), refusedAs('unsupported'));

  const other = await cutOver(w, { volumes: [{ locator: 'disk2', name: 'log' }] });

  await assert.rejects(w.paris.app.deleteImport({ importId: other }), refusedAs('in_use'));
});

test('a way back that cannot be is refused before anything is made', async (t) => {
  const w = await world(t);
  w.paris.source.addVolume('disk3', MIB, []);
  const readOnly = [{ locator: 'disk3', name: 'golden', readOnly: true }];
  const wrong = [
    [{ volumes: readOnly, hosts: [] }, 'unsupported'],
    [{ rollbackForSeconds: 59 }, 'invalid'],
    [{ rollbackForSeconds: 60.5 }, 'invalid'],
    [{ rollbackForSeconds: 31 * 24 * 3600 }, 'invalid'],
  ] as const;
  for (const [request, code] of wrong) {
    await assert.rejects(begin(w, { rollbackForSeconds: 60, ...request }), refusedAs(code));
  }
  assert.deepEqual(await w.paris.app.listGroups(), []);
});
