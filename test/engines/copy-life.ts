/** A life of copies, forks and a comparison, in steps each of which may be repeated. */
import assert from 'node:assert/strict';
import type { ForkId, PointId } from '../../src/domain/ids.ts';
import type { AdoptedFork, OpenCopy } from '../../src/ports/engine-copies.ts';
import { copyOf } from './contract-copies.ts';
import {
  HOST,
  MIB,
  PAUSE_LIMIT_MS,
  asHost,
  assertSame,
  newFork,
  newGroup,
  newPoint,
  newVolume,
  replicate,
  tagsOf,
  watch,
  writeBlocks,
} from './contract-group.ts';
import { assertFiles } from './group-life.ts';
import type { GroupLife, Step } from './group-life.ts';
import type { TestSite, TestSites } from './test-sites.ts';

export function copyLife({ a, b }: TestSites): GroupLife {
  const groupId = newGroup();
  const data = newVolume('data', 16 * MIB);
  const points = Array.from({ length: 5 }, newPoint);
  const point = (n: number): PointId => points[n - 1]!;
  const limit = { bytesPerSecond: undefined };
  const [tested, setAside, returned, mounted, undone, later, last] = Array.from(
    { length: 7 },
    newFork,
  ) as [ForkId, ForkId, ForkId, ForkId, ForkId, ForkId, ForkId];
  const test = copyOf(groupId, { pointId: point(1) });
  const look = copyOf(groupId, { pointId: point(3) }, { writable: false });
  const clone = copyOf(groupId, { forkId: returned });

  const write =
    (site: TestSite, numbers: readonly number[], tag: number): Step =>
    async () => {
      const served = await site.engine.serve(groupId, { hosts: [HOST] });
      await asHost(site, served, 'data', (volume) => writeBlocks(volume, numbers, tag));
    };
  const writeCopy =
    (site: TestSite, copy: OpenCopy, numbers: readonly number[], tag: number): Step =>
    async () => {
      const served = await site.engine.openCopy(copy);
      await asHost(site, served, 'data', (volume) => writeBlocks(volume, numbers, tag));
    };
  const cycle =
    (from: TestSite, to: TestSite, n: number, base?: number): Step =>
    () =>
      replicate(from, to, groupId, base === undefined ? undefined : point(base), point(n));
  const adopt = (site: TestSite, forkId: ForkId, asideForkId: ForkId): Promise<AdoptedFork> =>
    site.engine.adoptFork({ groupId, forkId, asideForkId, volumeIds: [data.volumeId] });
  const compare: Step = async () => {
    const pointId = point(5);
    const { volumes } = await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const place = { groupId, pointId, basePointId: point(3), peerId: a.siteId, volumes };
    const target = await b.engine.receivePoint(place);
    await a.engine.sendDifference(
      {
        ...{ groupId, pointId, peerId: b.siteId, target, rangeBytes: MIB },
        bytesPerSecond: undefined,
        digestsThere: (where) => b.engine.digestRanges({ ...where, groupId, pointId: point(3) }),
      },
      watch,
    );
    await b.engine.completePoint(groupId, pointId, target.instance);
  };

  const steps: readonly Step[] = [
    () => a.engine.createVolume(groupId, data),
    write(a, [0, 1], 1),
    cycle(a, b, 1),
    write(a, [1], 2),
    cycle(a, b, 2, 1),
    () => b.engine.openCopy(test),
    writeCopy(b, test, [5], 5),
    write(a, [2], 3),
    cycle(a, b, 3, 2),
    () => b.engine.forgetPoints(groupId, [point(1), point(2)], limit),
    () => b.engine.openCopy(look),
    () => b.engine.closeCopy(groupId, test.copyId),
    writeCopy(b, test, [6], 6),
    () => b.engine.keepCopy(groupId, test.copyId, tested),
    () => b.engine.discardCopy(groupId, look.copyId),
    // The test is promoted; the other site comes back, what it wrote is mounted and kept.
    () => adopt(b, tested, setAside),
    write(b, [7], 7),
    () => a.engine.demote(groupId, point(1), returned),
    cycle(b, a, 4, 1),
    writeCopy(a, clone, [8], 8),
    () => a.engine.keepCopy(groupId, clone.copyId, mounted),
    () => a.engine.discardFork(groupId, returned),
    // The promotion is undone at the one site, and the clone promoted at the other.
    () => adopt(b, setAside, undone),
    write(b, [9], 9),
    () => b.engine.discardFork(groupId, undone),
    () => adopt(a, mounted, later),
    write(a, [10], 10),
    () => a.engine.discardFork(groupId, later),
    () => b.engine.demote(groupId, point(3), last),
    compare,
    () => b.engine.discardFork(groupId, last),
    () => a.engine.forgetPoints(groupId, [point(1), point(2)], limit),
    () => b.engine.forgetPoints(groupId, [point(1)], limit),
  ];

  const assertEnd = async (): Promise<void> => {
    assert.deepEqual(await a.engine.points(groupId), [point(3), point(5)]);
    assert.deepEqual(await b.engine.points(groupId), [point(3), point(5)]);
    await assertSame(a, b, groupId, point(3));
    await assertSame(a, b, groupId, point(5));
    const served = await a.engine.serve(groupId, { hosts: [HOST] });
    const tags = await asHost(a, served, 'data', (volume) =>
      tagsOf(volume, [0, 1, 2, 5, 6, 7, 8, 9, 10]),
    );
    assert.deepEqual(tags, [1, 2, 3, 0, 0, 0, 8, 0, 10]);
    for (const site of [a, b]) {
      assert.deepEqual((await site.engine.inspect(groupId)).copies, []);
      await assertFiles(site, groupId);
    }
  };
  return { groupIds: [groupId], steps, assertEnd };
}
