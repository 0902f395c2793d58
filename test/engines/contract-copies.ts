/** Copies of points and forks, opened beside the group. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CopyId, GroupId, PointId } from '../../src/domain/ids.ts';
import { newId } from '../../src/domain/ids.ts';
import type { CopyOf, OpenCopy } from '../../src/ports/engine-copies.ts';
import type { BothSites, ContractSite } from './contract-sites.ts';
import {
  BLOCK_BYTES,
  HOST,
  MIB,
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

export const newCopy = (): CopyId => newId<CopyId>();

/** A writable copy for `HOST`, unless told. */
export function copyOf(groupId: GroupId, of: CopyOf, more: Partial<OpenCopy> = {}): OpenCopy {
  return { groupId, copyId: newCopy(), of, writable: true, access: { hosts: [HOST] }, ...more };
}

const unlimited = { bytesPerSecond: undefined };

async function inspectCopies({ engine }: ContractSite, groupId: GroupId) {
  return (await engine.inspect(groupId)).copies;
}

export function copiesContract(both: BothSites): void {
  test('hosts write on a copy of a point while cycles go on beneath, and the point stays', async () => {
    const { a, b } = both();
    const { groupId, volumes, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1], 1));
    const first = await replicate(a, b, groupId);
    const copy = copyOf(groupId, { pointId: first.pointId });

    const there = await b.engine.openCopy(copy);
    const host = await b.attach(there, 'data', HOST);
    await writeBlocks(host, [1, 2], 7);
    const points = [first.pointId];
    for (let n = 2; n <= 4; n += 1) {
      await asHost(a, served, 'data', (v) => writeBlocks(v, [0, n], n));
      points.push((await replicate(a, b, groupId, points.at(-1))).pointId);
    }

    assert.deepEqual(await tagsOf(host, [0, 1, 2, 3]), [1, 7, 7, 0]);
    await host.disconnect();
    assert.deepEqual(
      there.exports.map(({ exportName }) => exportName),
      ['data', 'log'],
    );
    for (const pointId of points) await assertSame(a, b, groupId, pointId);
    const [seen] = await inspectCopies(b, groupId);
    assert.deepEqual(
      [seen?.copyId, seen?.of, seen?.writable, seen?.dataPlane, seen?.hosts, seen?.volumes],
      [copy.copyId, copy.of, true, 'running', [HOST], volumes],
    );
    assert.deepEqual(seen?.address, { host: there.host, port: there.port });
    assert.ok((seen?.writtenBytes ?? 0) >= 2 * BLOCK_BYTES);
  });

  test('what a copy stands on is neither forgotten nor merged while it is there', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a, ['data']);
    const points: PointId[] = [];
    for (let n = 1; n <= 5; n += 1) {
      await asHost(a, served, 'data', (v) => writeBlocks(v, [0, n, n * 300], n));
      points.push((await replicate(a, b, groupId, points.at(-1))).pointId);
    }
    const [p1, p2, p3, p4, p5] = points as [PointId, PointId, PointId, PointId, PointId];
    const copy = copyOf(groupId, { pointId: p3 });
    const there = await b.engine.openCopy(copy);
    const host = await b.attach(there, 'data', HOST);

    const answer = await b.engine.forgetPoints(groupId, [p1, p2, p3, p4], unlimited);

    assert.deepEqual(answer, { forgotten: [p1, p2, p4], kept: [p3] });
    assert.deepEqual(await tagsOf(host, [0, 1, 2, 3, 300, 600, 900]), [3, 1, 2, 3, 1, 2, 3]);
    await host.disconnect();
    await assertSame(a, b, groupId, p5);
    await b.engine.discardCopy(groupId, copy.copyId);
    assert.deepEqual(await b.engine.forgetPoints(groupId, [p3], unlimited), {
      forgotten: [p3],
      kept: [],
    });
    assert.deepEqual(await b.engine.points(groupId), [p5]);
    await assertSame(a, b, groupId, p5);
  });

  test('a copy outlives its data plane, the group’s and the control process', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const copy = copyOf(groupId, { pointId });
    const first = await a.engine.openCopy(copy);
    await asHost(a, first, 'data', (v) => writeBlocks(v, [1], 2));

    await a.restartControl();
    const adopted = await inspectCopies(a, groupId);
    await a.killCopy(groupId, copy.copyId);
    const killed = await inspectCopies(a, groupId);
    await a.killDataPlane(groupId);
    const again = await a.engine.openCopy(copy);

    assert.deepEqual(
      adopted.map(({ dataPlane }) => dataPlane),
      ['running'],
    );
    assert.deepEqual(
      killed.map(({ dataPlane }) => dataPlane),
      ['stopped'],
    );
    assert.deepEqual(again, first);
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [0, 1])), [1, 2]);
  });

  test('stopping, reopening and discarding a copy may each be repeated', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const copy = copyOf(groupId, { pointId });
    const { copyId } = copy;
    const first = await a.engine.openCopy(copy);
    const host = await a.attach(first, 'data', HOST);
    // Not flushed: an orderly end keeps what was acknowledged.
    await host.write(BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES, 5));

    await a.engine.closeCopy(groupId, copyId);
    await host.ended;
    await a.engine.closeCopy(groupId, copyId);
    const [stopped] = await inspectCopies(a, groupId);
    await a.engine.openCopy(copy);
    const again = await a.engine.openCopy(copy);

    assert.equal(stopped?.dataPlane, 'stopped');
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [0, 1])), [1, 5]);
    for (let round = 0; round < 2; round += 1) await a.engine.discardCopy(groupId, copyId);
    assert.deepEqual(await inspectCopies(a, groupId), []);
    await assert.rejects(a.attach(again, 'data', HOST));
    await a.engine.closeCopy(groupId, copyId);
  });

  test('a copy ends with its group’s data plane when that is stopped, and opens again', async () => {
    const { a } = both();
    const { groupId } = await servedGroup(a, ['data']);
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const copy = copyOf(groupId, { pointId });
    const at = await a.engine.openCopy(copy);
    const host = await a.attach(at, 'data', HOST);
    await host.write(0, Buffer.alloc(BLOCK_BYTES, 5));

    await a.engine.stop(groupId);
    await host.ended;

    const [stopped] = await inspectCopies(a, groupId);
    assert.equal(stopped?.dataPlane, 'stopped');
    const again = await a.engine.openCopy(copy);
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [0])), [5]);
  });

  test('several copies of one point know nothing of each other', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a, ['data']);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const copies = [1, 2, 3].map(() => copyOf(groupId, { pointId }));
    const opened = await Promise.all(copies.map((copy) => a.engine.openCopy(copy)));

    for (const [n, at] of opened.entries()) {
      await asHost(a, at, 'data', (v) => writeBlocks(v, [1], n + 2));
    }

    for (const [n, at] of opened.entries()) {
      assert.deepEqual(await asHost(a, at, 'data', (v) => tagsOf(v, [0, 1])), [1, n + 2]);
    }
    assert.equal(new Set([...opened, served].map(({ port }) => port)).size, 4);
    assert.deepEqual(await asHost(a, served, 'data', (v) => tagsOf(v, [0, 1])), [1, 0]);
  });

  test('a copy admits the hosts that are named, and a read-only one takes no write', async () => {
    const { a } = both();
    const { groupId } = await servedGroup(a);
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const copy = copyOf(groupId, { pointId }, { writable: false });
    const at = await a.engine.openCopy(copy);
    await assert.rejects(a.attach(at, 'data', 'stranger'));
    const host = await a.attach(at, 'data', HOST);

    await assert.rejects(host.write(0, Buffer.alloc(BLOCK_BYTES, 1)));
    await a.engine.openCopy({ ...copy, access: { hosts: ['tester'] } });

    await host.ended;
    await assert.rejects(a.attach(at, 'data', HOST));
    await (await a.attach(at, 'data', 'tester')).disconnect();
    await assert.rejects(
      a.engine.keepCopy(groupId, copy.copyId, newFork()),
      refusal('unsupported'),
    );
  });

  test('a copy of what is not there is refused, and so is another one under its id', async () => {
    const { a } = both();
    const { groupId } = await servedGroup(a);
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const copy = copyOf(groupId, { pointId });
    await a.engine.openCopy(copy);

    const missing = { pointId: newPoint() };
    await assert.rejects(a.engine.openCopy(copyOf(groupId, missing)), refusal('point_missing'));
    const noFork = copyOf(groupId, { forkId: newFork() });
    await assert.rejects(a.engine.openCopy(noFork), refusal('not_found'));
    await assert.rejects(
      a.engine.openCopy({ ...copy, writable: false }),
      refusal('already_exists'),
    );
    await assert.rejects(a.engine.keepCopy(groupId, newCopy(), newFork()), refusal('not_found'));
    assert.deepEqual(
      (await inspectCopies(a, groupId)).map((one) => one.copyId),
      [copy.copyId],
    );
  });

  test('a volume that a copy shows is not deleted, and goes with its group', async () => {
    const { a } = both();
    const { groupId, volumes } = await servedGroup(a);
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const at = await a.engine.openCopy(copyOf(groupId, { pointId }));

    await assert.rejects(a.engine.deleteVolume(groupId, volumes[0]!.volumeId), refusal('in_use'));
    await (await a.attach(at, 'data', HOST)).disconnect();
    await a.engine.deleteGroup(groupId);

    await assert.rejects(a.attach(at, 'data', HOST));
    assert.ok(!(await a.engine.groups()).includes(groupId));
  });

  test('a fork is mounted as it was last, and at its points, while the group lives on', async () => {
    const { a, b } = both();
    const { groupId, volumes, served } = await servedGroup(a, ['data']);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const common = await replicate(a, b, groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 2));
    const inner = newPoint();
    await a.engine.sealPoint(groupId, inner, PAUSE_LIMIT_MS);
    await a.engine.resizeVolume(groupId, volumes[0]!.volumeId, 80 * MIB);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1, 79 * 256], 3));
    const forkId = newFork();
    const fork = await a.engine.demote(groupId, common.pointId, forkId);
    assert.deepEqual(fork?.pointIds, [inner]);
    assert.deepEqual(
      fork?.volumes.map(({ sizeBytes }) => sizeBytes),
      [80 * MIB],
    );
    await a.engine.promote(groupId, common.pointId);
    await a.engine.serve(groupId, { hosts: [HOST] });

    const last = await a.engine.openCopy(copyOf(groupId, { forkId }, { writable: false }));
    const atPoint = await a.engine.openCopy(copyOf(groupId, { pointId: inner }));

    await asHost(a, last, 'data', async (v) => {
      assert.equal(v.info.sizeBytes, 80 * MIB);
      assert.deepEqual(await tagsOf(v, [0, 1, 79 * 256]), [2, 3, 3]);
    });
    await asHost(a, atPoint, 'data', async (v) => {
      assert.equal(v.info.sizeBytes, 64 * MIB);
      assert.deepEqual(await tagsOf(v, [0, 1]), [2, 0]);
      await writeBlocks(v, [9], 9);
    });
    await assert.rejects(a.engine.discardFork(groupId, forkId), refusal('in_use'));
    for (const { copyId } of await inspectCopies(a, groupId)) {
      await a.engine.discardCopy(groupId, copyId);
    }
    await a.engine.discardFork(groupId, forkId);
    const next = await replicate(a, b, groupId, common.pointId);
    await assertSame(a, b, groupId, next.pointId);
  });
}
