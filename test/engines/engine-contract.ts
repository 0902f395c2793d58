/** What every engine promises, one sentence a test. The adapter brings two sites. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PointId } from '../../src/domain/ids.ts';
import { Failure } from '../../src/domain/refusal.ts';
import type { ContractSite, ContractSites } from './contract-sites.ts';
import {
  BLOCK_BYTES,
  HOST,
  MIB,
  PAUSE_LIMIT_MS,
  asHost,
  assertSame,
  newFork,
  newGroup,
  newPoint,
  newVolume,
  refusal,
  replicate,
  servedGroup,
  tagsOf,
  watch,
  writeBlocks,
} from './contract-group.ts';

export function engineContract(name: string, open: () => Promise<ContractSites>): void {
  describe(`engine contract: ${name}`, () => {
    let sites: ContractSites | undefined;
    before(async () => (sites = await open()));
    after(() => sites?.close());
    const both = (): ContractSites => {
      assert.ok(sites);
      return sites;
    };
    presents(both);
    points(both);
    sends(both);
    roles(both);
    forgetting(both);
  });
}

type Both = () => ContractSites;

function presents(both: Both): void {
  test('a new volume reads as zeros, and keeps what a host writes', async () => {
    const { a } = both();
    const { served } = await servedGroup(a);

    await asHost(a, served, 'data', async (volume) => {
      assert.deepEqual(await tagsOf(volume, [0, 7]), [0, 0]);
      await writeBlocks(volume, [7], 3);
    });

    assert.deepEqual(await asHost(a, served, 'data', (v) => tagsOf(v, [0, 7])), [0, 3]);
  });

  test('a volume joins while the others are served, and appears with the next serve', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);

    await a.engine.createVolume(groupId, newVolume('late'));
    await a.engine.createVolume(groupId, newVolume('later'));
    const again = await a.engine.serve(groupId, { hosts: [HOST] });

    assert.deepEqual(
      again.exports.map(({ exportName }) => exportName),
      ['data', 'log', 'late', 'later'],
    );
    await writeBlocks(host, [1], 1);
    await asHost(a, again, 'late', (volume) => writeBlocks(volume, [1], 1));
    await host.disconnect();
  });

  test('a host that is not named cannot attach, and one that is taken off is parted', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    await assert.rejects(a.attach(served, 'data', 'stranger'));
    const host = await a.attach(served, 'data', HOST);

    await a.engine.serve(groupId, { hosts: ['app2'] });

    await host.ended;
    await assert.rejects(a.attach(served, 'data', HOST));
    await (await a.attach(served, 'data', 'app2')).disconnect();
  });

  test('serving again changes nothing for hosts that are attached', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);

    await a.engine.serve(groupId, { hosts: [HOST, 'app2'] });
    await a.restartControl();
    await a.engine.serve(groupId, { hosts: [HOST, 'app2'] });

    await writeBlocks(host, [1], 5);
    assert.deepEqual(await tagsOf(host, [1]), [5]);
    await host.disconnect();
  });

  test('a fence parts every host, and what was acknowledged is kept', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);
    // Not flushed: an acknowledged write is enough.
    await host.write(3 * BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES, 9));

    await a.engine.fence(groupId);
    await host.ended;
    await a.engine.fence(groupId);
    await assert.rejects(a.attach(served, 'data', HOST));
    assert.equal((await a.engine.inspect(groupId)).serving, false);
    await a.killDataPlane(groupId);

    const again = await a.engine.serve(groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [3])), [9]);
  });

  test('a data plane that died is started again by serve, with what was flushed', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (volume) => writeBlocks(volume, [1, 2], 4));
    const before = await a.engine.inspect(groupId);

    await a.killDataPlane(groupId);
    const dead = await a.engine.inspect(groupId);
    const again = await a.engine.serve(groupId, { hosts: [HOST] });

    assert.deepEqual([before.dataPlane, before.serving], ['running', true]);
    assert.deepEqual([dead.dataPlane, dead.serving, dead.hasPresent], ['stopped', false, true]);
    assert.equal(again.port, served.port);
    assert.notEqual((await a.engine.inspect(groupId)).instance, before.instance);
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [1, 2])), [4, 4]);
  });

  test('a volume grows, and its hosts find it larger when they are back', async () => {
    const { a } = both();
    const { groupId, volumes, served } = await servedGroup(a);
    const [data] = volumes;
    await asHost(a, served, 'data', (volume) => writeBlocks(volume, [1], 6));

    await a.engine.resizeVolume(groupId, data!.volumeId, 80 * MIB);
    await a.engine.resizeVolume(groupId, data!.volumeId, 80 * MIB);

    await asHost(a, served, 'data', async (volume) => {
      assert.equal(volume.info.sizeBytes, 80 * MIB);
      assert.deepEqual(await tagsOf(volume, [1, 70 * 256]), [6, 0]);
      await writeBlocks(volume, [70 * 256], 7);
    });
    await assert.rejects(
      a.engine.resizeVolume(groupId, data!.volumeId, 64 * MIB),
      refusal('invalid'),
    );
  });

  test('a deleted volume is gone with its bytes, and the others go on', async () => {
    const { a } = both();
    const { groupId, volumes, served } = await servedGroup(a);
    await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
    const host = await a.attach(served, 'log', HOST);

    await a.engine.deleteVolume(groupId, volumes[0]!.volumeId);
    await a.engine.deleteVolume(groupId, volumes[0]!.volumeId);

    await assert.rejects(a.attach(served, 'data', HOST));
    await writeBlocks(host, [1], 1);
    await host.disconnect();
    const { volumes: left } = await a.engine.inspect(groupId);
    assert.deepEqual(
      left.map(({ volumeId }) => volumeId),
      [volumes[1]!.volumeId],
    );
  });

  test('a volume moves to another group with its bytes', async () => {
    const { a } = both();
    const from = await servedGroup(a);
    const to = await servedGroup(a, ['other']);
    await asHost(a, from.served, 'data', (volume) => writeBlocks(volume, [1], 8));
    await a.engine.sealPoint(from.groupId, newPoint(), PAUSE_LIMIT_MS);
    await asHost(a, from.served, 'data', (volume) => writeBlocks(volume, [2], 9));

    for (let round = 0; round < 2; round += 1) {
      await a.engine.moveVolume(from.volumes[0]!.volumeId, from.groupId, to.groupId);
    }

    const served = await a.engine.serve(to.groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(a, served, 'data', (v) => tagsOf(v, [1, 2])), [8, 9]);
    await assert.rejects(a.attach(from.served, 'data', HOST));
    await asHost(a, from.served, 'log', (volume) => writeBlocks(volume, [1], 1));
  });

  test('a deleted group is gone, and deleting it again does nothing', async () => {
    const { a } = both();
    const { groupId } = await servedGroup(a);
    assert.ok((await a.engine.groups()).includes(groupId));

    await a.engine.deleteGroup(groupId);
    await a.engine.deleteGroup(groupId);

    assert.ok(!(await a.engine.groups()).includes(groupId));
    assert.equal((await a.engine.inspect(groupId)).dataPlane, 'stopped');
  });

  test('a stopped group is served again with all its bytes', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);
    await host.write(0, Buffer.alloc(BLOCK_BYTES, 2));

    await a.engine.stop(groupId);
    await a.engine.stop(groupId);

    assert.equal((await a.engine.inspect(groupId)).dataPlane, 'stopped');
    const again = await a.engine.serve(groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [0])), [2]);
  });
}

function points(both: Both): void {
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

function sends(both: Both): void {
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
      await twice(b, () => b.engine.completePoint(groupId, pointId));
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

    await assert.rejects(b.engine.completePoint(groupId, place.pointId), refusal('point_missing'));
    const second = await b.engine.receivePoint(place);
    assert.notEqual(second.instance, first.instance);
    await b.engine.completePoint(groupId, place.pointId);
    assert.deepEqual(await b.engine.points(groupId), [place.pointId]);
  });
}

function roles(both: Both): void {
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
}

function forgetting(both: Both): void {
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

  test('space and groups are told', async () => {
    const { a } = both();
    const { groupId } = await servedGroup(a);
    const { totalBytes, freeBytes } = await a.engine.space();
    assert.ok(totalBytes >= freeBytes && freeBytes > 0);
    assert.ok((await a.engine.groups()).includes(groupId));
    assert.deepEqual(await a.engine.points(newGroup()), []);
  });
}
