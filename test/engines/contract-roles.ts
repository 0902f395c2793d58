/** A group that changes hands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failure } from '../../src/domain/refusal.ts';
import type { BothSites } from './contract-sites.ts';
import {
  BLOCK_BYTES,
  HOST,
  PAUSE_LIMIT_MS,
  asHost,
  assertSame,
  newFork,
  newPoint,
  refusal,
  replicate,
  servedGroup,
  tagsOf,
  writeBlocks,
} from './contract-group.ts';

export function rolesContract(both: BothSites): void {
  test('a group goes to the other site and comes back, each time with its delta only', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1, 2, 3], 1));
    const there = await replicate(a, b, groupId);
    await a.engine.fence(groupId);
    await b.engine.promote(groupId, there.pointId);
    assert.equal(await a.engine.demote(groupId, there.pointId, newFork()), undefined);
    const servedThere = await b.engine.serve(groupId, { hosts: [HOST] });
    await asHost(b, servedThere, 'data', (v) => writeBlocks(v, [2], 2));
    const back = await replicate(b, a, groupId, there.pointId);
    await b.engine.fence(groupId);
    await a.engine.promote(groupId, back.pointId);
    await b.engine.demote(groupId, back.pointId, newFork());
    const servedHere = await a.engine.serve(groupId, { hosts: [HOST] });

    assert.equal(back.sent.sentBytes, BLOCK_BYTES);
    assert.deepEqual(
      await asHost(a, servedHere, 'data', (v) => tagsOf(v, [0, 1, 2, 3])),
      [1, 1, 2, 1],
    );
  });

  test('what was written and sealed after the point becomes a fork', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const common = await replicate(a, b, groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 2));
    await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1], 3));
    await b.engine.promote(groupId, common.pointId);
    const servedThere = await b.engine.serve(groupId, { hosts: [HOST] });
    await asHost(b, servedThere, 'data', (v) => writeBlocks(v, [5], 5));

    const forkId = newFork();
    const fork = await a.engine.demote(groupId, common.pointId, forkId);
    await a.restartControl();
    assert.deepEqual(await a.engine.demote(groupId, common.pointId, forkId), fork);

    assert.equal(fork?.basePointId, common.pointId);
    assert.ok(fork.allocatedBytes >= 2 * BLOCK_BYTES);
    assert.deepEqual(await a.engine.points(groupId), [common.pointId]);
    const back = await replicate(b, a, groupId, common.pointId);
    await assertSame(a, b, groupId, back.pointId);
    const { kept } = await a.engine.forgetPoints(groupId, [common.pointId], {
      bytesPerSecond: undefined,
    });
    assert.deepEqual(kept, [common.pointId]);
    assert.deepEqual((await a.engine.inspect(groupId)).forks, [fork]);
    await a.engine.discardFork(groupId, forkId);
    await a.engine.discardFork(groupId, forkId);
    assert.deepEqual((await a.engine.inspect(groupId)).forks, []);
    await assertSame(a, b, groupId, back.pointId);
  });

  test('a group without a present is neither served nor sealed', async () => {
    const { a, b } = both();
    const { groupId } = await servedGroup(a);
    await replicate(a, b, groupId);

    await assert.rejects(b.engine.serve(groupId, { hosts: [HOST] }), Failure);
    await assert.rejects(b.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS), Failure);
    await assert.rejects(b.engine.promote(groupId, newPoint()), refusal('point_missing'));
    await assert.rejects(b.engine.demote(groupId, newPoint(), newFork()), refusal('point_missing'));
  });

  test('a destination that takes over gives up what it is receiving', async () => {
    const { a, b } = both();
    const { groupId, volumes, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const { pointId } = await replicate(a, b, groupId);
    const next = { groupId, pointId: newPoint(), basePointId: pointId, peerId: a.siteId, volumes };
    const { instance } = await b.engine.receivePoint(next);

    await b.engine.promote(groupId, pointId);

    assert.equal((await b.engine.inspect(groupId)).receiving, undefined);
    await assert.rejects(
      b.engine.completePoint(groupId, next.pointId, instance),
      refusal('point_missing'),
    );
    await assert.rejects(b.engine.receivePoint(next), Failure);
    const there = await b.engine.serve(groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(b, there, 'data', (v) => tagsOf(v, [0])), [1]);
  });

  test('an older point is taken once the later ones are set aside', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const older = await replicate(a, b, groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 2));
    const newer = await replicate(a, b, groupId, older.pointId);
    await assert.rejects(b.engine.promote(groupId, older.pointId), Failure);

    const fork = await b.engine.demote(groupId, older.pointId, newFork());
    await b.engine.promote(groupId, older.pointId);

    assert.equal(fork?.basePointId, older.pointId);
    assert.deepEqual(await b.engine.points(groupId), [older.pointId]);
    assert.ok(!(await b.engine.points(groupId)).includes(newer.pointId));
    const there = await b.engine.serve(groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(b, there, 'data', (v) => tagsOf(v, [0])), [1]);
  });
}
