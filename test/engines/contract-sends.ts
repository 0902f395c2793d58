/** Points on their way to the other site. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PointId } from '../../src/domain/ids.ts';
import type { ReceivingTarget, SentPoint } from '../../src/ports/engine.ts';
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
  newVolume,
  prepareNext,
  refusal,
  replicate,
  servedGroup,
  tagsOf,
  watch,
  writeBlocks,
} from './contract-group.ts';

export function sendsContract(both: BothSites): void {
  test('exactly the blocks written since the base travel', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1, 5000], 1));
    const first = await replicate(a, b, groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1, 100, 200], 2));
    await asHost(a, served, 'log', (v) => writeBlocks(v, [9], 2));
    const second = await replicate(a, b, groupId, first.pointId);
    const third = await replicate(a, b, groupId, second.pointId);

    assert.equal(first.sent.sentBytes, 3 * BLOCK_BYTES);
    assert.equal(first.sent.wholeVolumes.length, 2);
    assert.equal(second.sent.sentBytes, 4 * BLOCK_BYTES);
    assert.deepEqual(second.sent.wholeVolumes, []);
    assert.equal(third.sent.sentBytes, 0);
    assert.deepEqual(await b.engine.points(groupId), [
      first.pointId,
      second.pointId,
      third.pointId,
    ]);
    for (const { pointId } of [first, second, third]) await assertSame(a, b, groupId, pointId);
  });

  test('points between the base and the one that is sent travel with it, once', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1, 2], 1));
    const first = await replicate(a, b, groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1, 10], 2));
    await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1, 20], 3));

    const second = await replicate(a, b, groupId, first.pointId);

    assert.equal(second.sent.sentBytes, 3 * BLOCK_BYTES);
    await assertSame(a, b, groupId, second.pointId);
  });

  test('a volume that the base lacks is sent whole, beside the delta of the others', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a, ['data']);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1, 2], 1));
    const first = await replicate(a, b, groupId);
    const late = newVolume('late');
    await a.engine.createVolume(groupId, late);
    const again = await a.engine.serve(groupId, { hosts: [HOST] });
    await asHost(a, again, 'late', (v) => writeBlocks(v, [4], 1));
    await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
    await asHost(a, again, 'late', (v) => writeBlocks(v, [5], 1));

    const second = await replicate(a, b, groupId, first.pointId);

    assert.deepEqual(second.sent.wholeVolumes, [late.volumeId]);
    await assertSame(a, b, groupId, second.pointId);
  });

  test('a volume that has grown arrives with its new size', async () => {
    const { a, b } = both();
    const { groupId, volumes, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const first = await replicate(a, b, groupId);
    await a.engine.resizeVolume(groupId, volumes[0]!.volumeId, 80 * MIB);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [79 * 256], 2));

    const second = await replicate(a, b, groupId, first.pointId);

    await assertSame(a, b, groupId, first.pointId);
    await assertSame(a, b, groupId, second.pointId);
    const [hash] = await b.engine.hashPoint(groupId, second.pointId);
    assert.equal(hash?.sizeBytes, 80 * MIB);
  });

  test('points from before and after a volume grew travel together', async () => {
    const { a, b } = both();
    const { groupId, volumes, served } = await servedGroup(a, ['data']);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1], 1));
    await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
    await a.engine.resizeVolume(groupId, volumes[0]!.volumeId, 80 * MIB);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1, 79 * 256], 2));
    const first = await replicate(a, b, groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [2], 3));
    await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
    await a.engine.resizeVolume(groupId, volumes[0]!.volumeId, 96 * MIB);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [2, 95 * 256], 4));

    const second = await replicate(a, b, groupId, first.pointId);

    assert.equal(second.sent.sentBytes, 2 * BLOCK_BYTES);
    await assertSame(a, b, groupId, first.pointId);
    await assertSame(a, b, groupId, second.pointId);
  });

  test('every call of a cycle may be repeated, with a control restart in between', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    const twice = async <T>(site: ContractSite, call: () => Promise<T>): Promise<T> => {
      const first = await call();
      await site.restartControl();
      assert.deepEqual(await call(), first);
      return first;
    };
    let base: PointId | undefined;
    for (let n = 1; n <= 2; n += 1) {
      await asHost(a, served, 'data', (v) => writeBlocks(v, [n, n + 100], n));
      const pointId = newPoint();
      const common = { groupId, pointId, basePointId: base };
      const { volumes } = await twice(a, () =>
        a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS),
      );
      const target = await twice(b, () =>
        b.engine.receivePoint({ ...common, peerId: a.siteId, volumes }),
      );
      const sent = await twice(a, () =>
        a.engine.sendPoint(
          { ...common, peerId: b.siteId, target, bytesPerSecond: undefined },
          watch,
        ),
      );
      assert.equal(sent.sentBytes, 2 * BLOCK_BYTES);
      await twice(b, () => b.engine.completePoint(groupId, pointId, target.instance));
      base = pointId;
    }
    await twice(a, () => a.engine.fence(groupId));
    await twice(b, () => b.engine.promote(groupId, base!));
    const servedThere = await twice(b, () => b.engine.serve(groupId, { hosts: [HOST] }));
    await twice(a, () => a.engine.demote(groupId, base!, newFork()));
    assert.deepEqual(
      await asHost(b, servedThere, 'data', (v) => tagsOf(v, [1, 101, 2, 102])),
      [1, 1, 2, 2],
    );
  });

  for (const restarted of ['nobody', 'its source', 'its destination'] as const) {
    test(`a handover prepared before its point is sealed loses nothing, ${restarted} restarted`, async () => {
      const { a, b } = both();
      const { groupId, served } = await servedGroup(a);
      await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1], 1));
      const base = await replicate(a, b, groupId);
      const pointId = newPoint();
      await prepareNext(a, b, groupId, base.pointId, pointId);
      await prepareNext(a, b, groupId, base.pointId, pointId);
      await asHost(a, served, 'data', (v) => writeBlocks(v, [1, 5000], 2));
      await a.engine.fence(groupId);
      if (restarted === 'its source') await a.restartControl();
      const last = await replicate(a, b, groupId, base.pointId, pointId);
      if (restarted === 'its destination') await b.restartControl();
      await b.engine.promote(groupId, pointId);
      await a.engine.demote(groupId, pointId, newFork());
      const there = await b.engine.serve(groupId, { hosts: [HOST] });
      await asHost(b, there, 'data', (v) => writeBlocks(v, [7], 3));

      assert.deepEqual(last.sent, {
        sentBytes: 2 * BLOCK_BYTES,
        restarted: false,
        wholeVolumes: [],
      });
      const tags = await asHost(b, there, 'data', (v) => tagsOf(v, [0, 1, 5000, 7]));
      assert.deepEqual(tags, [1, 2, 2, 3]);
      await assertSame(a, b, groupId, pointId);
      const back = await replicate(b, a, groupId, pointId);
      assert.equal(back.sent.sentBytes, BLOCK_BYTES);
    });
  }

  test('what was prepared for a handover that did not come about is in nobody’s way', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const base = await replicate(a, b, groupId);
    await prepareNext(a, b, groupId, base.pointId, newPoint());
    await a.engine.cancelSend(groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1], 2));

    const next = await replicate(a, b, groupId, base.pointId);

    assert.equal(next.sent.sentBytes, BLOCK_BYTES);
    await assertSame(a, b, groupId, next.pointId);
    await prepareNext(a, b, groupId, next.pointId, newPoint());
    await b.engine.promote(groupId, next.pointId);
    const there = await b.engine.serve(groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(b, there, 'data', (v) => tagsOf(v, [0, 1])), [1, 2]);
    assert.deepEqual(await asHost(a, served, 'data', (v) => tagsOf(v, [0, 1])), [1, 2]);
  });

  test('a delivery repeated after all was complete finds everything done', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1], 1));
    const first = await replicate(a, b, groupId);
    await b.restartControl();
    await b.killDataPlane(groupId);

    const second = await replicate(a, b, groupId, undefined, first.pointId);

    assert.deepEqual(second, first);
    assert.deepEqual(await b.engine.points(groupId), [first.pointId]);
  });

  test('a place is opened to the peer only, on a base that is there', async () => {
    const { a, b } = both();
    const { groupId, volumes } = await servedGroup(a);
    const request = { groupId, pointId: newPoint(), peerId: a.siteId, volumes };
    await assert.rejects(
      b.engine.receivePoint({ ...request, basePointId: newPoint() }),
      refusal('point_missing'),
    );

    const target = await b.engine.receivePoint({ ...request, basePointId: undefined });

    const [first] = target.exports;
    await assert.rejects(b.attach(target, first!.exportName, HOST));
    await assert.rejects(a.attach(target, first!.exportName, HOST));
    assert.equal((await b.engine.inspect(groupId)).receiving, request.pointId);
    await b.engine.abandonPoint(groupId);
    await b.engine.abandonPoint(groupId);
    assert.equal((await b.engine.inspect(groupId)).receiving, undefined);
  });

  test('what was received and not completed is lost with its data plane', async () => {
    const { a, b } = both();
    const { groupId, volumes } = await servedGroup(a);
    const place = {
      groupId,
      pointId: newPoint(),
      basePointId: undefined,
      peerId: a.siteId,
      volumes,
    };
    const first = await b.engine.receivePoint(place);

    await b.killDataPlane(groupId);

    const complete = ({ instance }: ReceivingTarget): Promise<void> =>
      b.engine.completePoint(groupId, place.pointId, instance);
    await assert.rejects(complete(first), refusal('point_missing'));
    const second = await b.engine.receivePoint(place);
    assert.notEqual(second.instance, first.instance);
    await complete(second);
    assert.deepEqual(await b.engine.points(groupId), [place.pointId]);
  });

  test('what was sent into one place counts for no other place of its point', async () => {
    const { a, b } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1], 1));
    const pointId = newPoint();
    const { volumes } = await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const common = { groupId, pointId, basePointId: undefined };
    const open = (): Promise<ReceivingTarget> =>
      b.engine.receivePoint({ ...common, peerId: a.siteId, volumes });
    const send = (target: ReceivingTarget): Promise<SentPoint> =>
      a.engine.sendPoint({ ...common, peerId: b.siteId, target, bytesPerSecond: undefined }, watch);
    const first = await open();
    await send(first);

    await b.engine.abandonPoint(groupId);
    const second = await open();

    // A late word about the first place finds the second one, which is empty.
    await assert.rejects(
      b.engine.completePoint(groupId, pointId, first.instance),
      refusal('point_missing'),
    );
    await send(second);
    await b.engine.completePoint(groupId, pointId, second.instance);
    await assertSame(a, b, groupId, pointId);
  });
}
