/** Points: how they are sealed, kept and forgotten. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PointId } from '../../src/domain/ids.ts';
import type { BothSites } from './contract-sites.ts';
import {
  BLOCK_BYTES,
  HOST,
  PAUSE_LIMIT_MS,
  asHost,
  assertSame,
  newFork,
  newGroup,
  newPoint,
  replicate,
  servedGroup,
  tagsOf,
  writeBlocks,
} from './contract-group.ts';

export function pointsContract(both: BothSites): void {
  test('a point that was made ready for has all that was written until it was sealed', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const pointId = newPoint();
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));

    await a.engine.prepareSeal(groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1], 2));
    await a.engine.prepareSeal(groupId);
    await a.restartControl();
    await a.engine.prepareSeal(groupId);
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 2], 3));

    assert.deepEqual(await asHost(a, served, 'data', (v) => tagsOf(v, [0, 1, 2])), [3, 2, 3]);
    await a.engine.fence(groupId);
    await a.engine.demote(groupId, pointId, newFork());
    await a.engine.promote(groupId, pointId);
    const again = await a.engine.serve(groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [0, 1, 2])), [1, 2, 0]);
  });

  test('a point is one instant over all volumes, under a writer', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const [data, log] = await Promise.all([
      a.attach(served, 'data', HOST),
      a.attach(served, 'log', HOST),
    ]);
    const control = { stop: false, written: 0 };
    // Each number goes to `log` only when it is acknowledged in `data`.
    const writer = (async () => {
      for (let n = 1; !control.stop; n += 1) {
        await data.write(0, Buffer.alloc(BLOCK_BYTES, n % 250));
        await log.write(0, Buffer.alloc(BLOCK_BYTES, n % 250));
        control.written = n;
      }
    })();
    const sealed: PointId[] = [];
    for (let n = 0; n < 5; n += 1) {
      const seen = control.written;
      const pointId = newPoint();
      const { pauseMs } = await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
      assert.ok(pauseMs <= PAUSE_LIMIT_MS);
      sealed.push(pointId);
      while (control.written < seen + 20) await data.flush();
    }
    control.stop = true;
    await writer;
    await Promise.all([data.disconnect(), log.disconnect()]);

    assert.deepEqual(await a.engine.points(groupId), sealed);
    await a.engine.fence(groupId);
    for (const pointId of sealed.toReversed()) {
      await a.engine.demote(groupId, pointId, newFork());
      await a.engine.promote(groupId, pointId);
      const again = await a.engine.serve(groupId, { hosts: [HOST] });
      const [inData] = await asHost(a, again, 'data', (v) => tagsOf(v, [0]));
      const [inLog] = await asHost(a, again, 'log', (v) => tagsOf(v, [0]));
      const ahead = ((inData ?? 0) - (inLog ?? 0) + 250) % 250;
      assert.ok(ahead <= 1, `data is at ${inData}, log at ${inLog}`);
    }
  });

  test('sealing again with the same id gives the first result', async () => {
    const { a } = both();
    const { groupId } = await servedGroup(a);
    const pointId = newPoint();

    const first = await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    await a.restartControl();
    const second = await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);

    assert.deepEqual(second, first);
    assert.deepEqual(await a.engine.points(groupId), [pointId]);
  });

  test('a fenced group is sealed with every acknowledged write', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);
    const acknowledged: number[] = [];
    const writer = (async () => {
      for (let n = 0; n < 10_000; n += 1) {
        await host.write(n * BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES, (n % 250) + 1));
        acknowledged.push(n);
      }
    })().catch(() => undefined);
    while (acknowledged.length < 100) await host.flush();

    await a.engine.fence(groupId);
    await writer;
    const { pointId } = await replicate(a, b, groupId);
    await b.engine.promote(groupId, pointId);
    const served2 = await b.engine.serve(groupId, { hosts: [HOST] });

    const tags = await asHost(b, served2, 'data', (v) => tagsOf(v, acknowledged));
    assert.deepEqual(
      tags,
      acknowledged.map((n) => (n % 250) + 1),
    );
  });
}

export function forgettingContract(both: BothSites): void {
  test('forgotten points go, the others and the present keep their content', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);
    const all: PointId[] = [];
    for (let n = 1; n <= 5; n += 1) {
      await writeBlocks(host, [0, n, n * 300], n);
      all.push((await replicate(a, b, groupId, all.at(-1))).pointId);
    }
    const [p1, p2, p3, p4, p5] = all as [PointId, PointId, PointId, PointId, PointId];
    const before = await b.engine.hashPoint(groupId, p4);

    const limit = { bytesPerSecond: undefined };
    const here = await a.engine.forgetPoints(groupId, [p1, p2, p3, p4], limit);
    const there = await b.engine.forgetPoints(groupId, [p1, p3], limit);
    await b.engine.forgetPoints(groupId, [p1, p3], limit);

    assert.deepEqual(here, { forgotten: [p1, p2, p3, p4], kept: [] });
    assert.deepEqual(there, { forgotten: [p1, p3], kept: [] });
    assert.deepEqual(await a.engine.points(groupId), [p5]);
    assert.deepEqual(await b.engine.points(groupId), [p2, p4, p5]);
    assert.deepEqual(await b.engine.hashPoint(groupId, p4), before);
    await assertSame(a, b, groupId, p5);
    assert.deepEqual(await tagsOf(host, [0, 1, 300, 5]), [5, 1, 1, 5]);
    await host.disconnect();
    const next = await replicate(a, b, groupId, p5);
    assert.equal(next.sent.sentBytes, 0);
    await assertSame(a, b, groupId, next.pointId);
  });

  test('what was written above a point is told at both sites, and no less than was', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);
    await writeBlocks(host, [0], 1);
    const { pointId } = await replicate(a, b, groupId);
    const before = await a.engine.bytesAbove(groupId, pointId);
    await writeBlocks(host, [1, 2, 3, 300], 2);
    await host.disconnect();
    const next = await replicate(a, b, groupId, pointId);

    const least = before + 4 * BLOCK_BYTES;
    assert.ok((await a.engine.bytesAbove(groupId, pointId)) >= least);
    assert.ok((await b.engine.bytesAbove(groupId, pointId)) >= 4 * BLOCK_BYTES);
    assert.ok((await a.engine.bytesAbove(groupId, undefined)) > least);
    assert.ok((await a.engine.bytesAbove(groupId, next.pointId)) <= before);
    assert.equal(await b.engine.bytesAbove(groupId, next.pointId), 0);
  });

  test('space and groups are told', async () => {
    const { a } = both();
    const { groupId } = await servedGroup(a);
    const { totalBytes, freeBytes } = await a.engine.space();
    assert.ok(totalBytes >= freeBytes && freeBytes > 0);
    assert.ok((await a.engine.groups()).includes(groupId));
    assert.deepEqual(await a.engine.points(newGroup()), []);
  });
}
