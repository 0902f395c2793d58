/** Chains of layers stay short, under hosts that write, and whatever stands on them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { GroupId, PointId } from '../../src/domain/ids.ts';
import type { HostVolume } from './contract-sites.ts';
import {
  BLOCK_BYTES,
  HOST,
  MIB,
  asHost,
  assertSame,
  block,
  newFork,
  newPoint,
  refusal,
  replicate,
  servedGroup,
  tagsOf,
  writeBlocks,
} from './contract-group.ts';
import { twoSites } from './test-sites.ts';
import type { TestSite, TestSites } from './test-sites.ts';

const LAYERS_AT_MOST = 15;
const unlimited = { bytesPerSecond: undefined };

let sites: TestSites | undefined;
before(async () => (sites = await twoSites()));
after(() => sites?.close());
const both = (): TestSites => {
  assert.ok(sites);
  return sites;
};

/** Writes without pause, and knows what each block must hold. */
interface Writer {
  readonly tags: Map<number, number>;
  stop(): Promise<void>;
}

function startWriter(volume: HostVolume): Writer {
  const tags = new Map<number, number>();
  const control = { stop: false };
  const writing = (async () => {
    for (let n = 1; !control.stop; n += 1) {
      const number = (n * 37) % 400;
      await volume.write(number * BLOCK_BYTES, block(n));
      tags.set(number, block(n)[0] ?? 0);
    }
  })();
  const stop = (): Promise<void> => {
    control.stop = true;
    return writing;
  };
  return { tags, stop };
}

async function assertHolds(volume: HostVolume, { tags }: Writer): Promise<void> {
  const numbers = [...tags.keys()];
  assert.deepEqual(await tagsOf(volume, numbers), [...tags.values()]);
}

async function layersOf({ engine }: TestSite, groupId: GroupId): Promise<number> {
  const { volumes } = await engine.inspect(groupId);
  return Math.max(...volumes.map(({ layers }) => layers));
}

test('over 60 cycles under a writer no chain grows beyond 15 layers, and no byte is lost', async () => {
  const { a, b } = both();
  const { groupId, served } = await servedGroup(a, ['data']);
  const host = await a.attach(served, 'data', HOST);
  const writer = startWriter(host);
  const kept: PointId[] = [];
  let most = 0;
  for (let cycle = 0; cycle < 60; cycle += 1) {
    const { pointId } = await replicate(a, b, groupId, kept.at(-1));
    kept.push(pointId);
    const old = kept.length > 6 ? [kept.shift()!] : [];
    // The source keeps the common point, the destination the newest six.
    await a.engine.forgetPoints(groupId, kept.slice(0, -1), unlimited);
    await b.engine.forgetPoints(groupId, old, unlimited);
    most = Math.max(most, await layersOf(a, groupId), await layersOf(b, groupId));
  }
  await writer.stop();
  await assertHolds(host, writer);
  await host.disconnect();

  assert.ok(most <= LAYERS_AT_MOST, `${most} layers`);
  assert.ok((await layersOf(a, groupId)) <= 3);
  assert.deepEqual(await b.engine.points(groupId), kept);
  await a.engine.fence(groupId);
  const last = await replicate(a, b, groupId, kept.at(-1));
  await assertSame(a, b, groupId, last.pointId);
  await b.engine.promote(groupId, last.pointId);
  const there = await b.engine.serve(groupId, { hosts: [HOST] });
  await asHost(b, there, 'data', (volume) => assertHolds(volume, writer));
});

test('a fork keeps its content while all around it is forgotten', async () => {
  const { a, b } = both();
  const { groupId, served } = await servedGroup(a, ['data']);
  const points: PointId[] = [];
  for (let n = 1; n <= 3; n += 1) {
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, n, 100 + n], n));
    points.push((await replicate(a, b, groupId, points.at(-1))).pointId);
  }
  // A fork on the second point: the third, and a write after it.
  await asHost(a, served, 'data', (v) => writeBlocks(v, [50], 9));
  const fork = await a.engine.demote(groupId, points[1]!, newFork());
  await b.engine.demote(groupId, points[1]!, newFork());
  await b.engine.promote(groupId, points[1]!);
  const there = await b.engine.serve(groupId, { hosts: [HOST] });
  const later: PointId[] = [points[1]!];
  for (let n = 4; n <= 6; n += 1) {
    await asHost(b, there, 'data', (v) => writeBlocks(v, [0, n], n));
    later.push((await replicate(b, a, groupId, later.at(-1))).pointId);
  }
  const [, p4, p5, p6] = later as [PointId, PointId, PointId, PointId];

  const answer = await a.engine.forgetPoints(groupId, [points[0]!, points[1]!, p4, p5], unlimited);

  assert.deepEqual(answer, { forgotten: [points[0]!, p4, p5], kept: [points[1]!] });
  assert.deepEqual(await a.engine.points(groupId), [points[1]!, p6]);
  await assertSame(a, b, groupId, points[1]!);
  await assertSame(a, b, groupId, p6);
  const { forks } = await a.engine.inspect(groupId);
  assert.deepEqual(forks, [fork]);
});

test('merging is limited, and gives way to whoever needs the layers', async () => {
  const { a, b } = both();
  const { groupId, served } = await servedGroup(a, ['data']);
  const all = Array.from({ length: 4000 }, (_, n) => n);
  const points: PointId[] = [];
  for (let n = 1; n <= 3; n += 1) {
    await asHost(a, served, 'data', (v) => writeBlocks(v, all, n));
    points.push((await replicate(a, b, groupId, points.at(-1))).pointId);
  }
  const before = performance.now();
  const forgetting = a.engine.forgetPoints(groupId, points.slice(0, 2), { bytesPerSecond: MIB });
  await asHost(a, served, 'data', (v) => writeBlocks(v, [1], 9));

  const { pointId } = await replicate(a, b, groupId, points.at(-1));
  assert.deepEqual((await forgetting).forgotten, points.slice(0, 2));

  assert.ok(performance.now() - before < 10_000, 'the send waited for the merge');
  await assertSame(a, b, groupId, pointId);
  await a.engine.forgetPoints(groupId, [], unlimited);
  assert.equal(await layersOf(a, groupId), 3);
  await assertSame(a, b, groupId, pointId);
});

test('a destination merges while it receives, is hashed and takes over', async () => {
  const { a, b } = both();
  const { groupId, served } = await servedGroup(a, ['data']);
  const all = Array.from({ length: 3000 }, (_, n) => n);
  const points: PointId[] = [];
  for (let n = 1; n <= 4; n += 1) {
    await asHost(a, served, 'data', (v) => writeBlocks(v, all, n));
    points.push((await replicate(a, b, groupId, points.at(-1))).pointId);
  }
  const [p1, p2, p3] = points as [PointId, PointId, PointId];
  const before = await b.engine.hashPoint(groupId, p3);

  // Twelve seconds at this rate, if nobody interrupts it.
  const forgetting = b.engine.forgetPoints(groupId, [p1, p2], { bytesPerSecond: MIB });
  await asHost(a, served, 'data', (v) => writeBlocks(v, [1], 9));
  const { pointId } = await replicate(a, b, groupId, points.at(-1));
  assert.deepEqual(await b.engine.hashPoint(groupId, p3), before);
  assert.deepEqual((await forgetting).forgotten, [p1, p2]);
  const again = b.engine.forgetPoints(groupId, [], { bytesPerSecond: MIB });
  await a.engine.fence(groupId);
  await b.engine.promote(groupId, pointId);
  const there = await b.engine.serve(groupId, { hosts: [HOST] });
  await asHost(b, there, 'data', async (volume) => {
    assert.deepEqual(await tagsOf(volume, [1, 2]), [9, 4]);
    await writeBlocks(volume, [2], 8);
  });
  const sealed = newPoint();
  await b.engine.sealPoint(groupId, sealed, 2000);
  await b.engine.demote(groupId, pointId, newFork());
  await again;

  await assertSame(a, b, groupId, pointId);
  assert.deepEqual(await b.engine.hashPoint(groupId, p3), before);
});

test('a pause beyond the limit abandons the point, and its bytes travel with the next', async () => {
  const { a, b } = both();
  const { groupId, served } = await servedGroup(a, ['data', 'log', 'more']);
  await asHost(a, served, 'data', (v) => writeBlocks(v, [1], 1));
  const first = await replicate(a, b, groupId);
  await asHost(a, served, 'data', (v) => writeBlocks(v, [2], 2));

  // A transaction over three volumes takes longer than one millisecond.
  await assert.rejects(a.engine.sealPoint(groupId, newPoint(), 1), refusal('freeze_too_long'));
  await asHost(a, served, 'data', (v) => writeBlocks(v, [2, 3], 3));
  const second = await replicate(a, b, groupId, first.pointId);

  assert.deepEqual(await a.engine.points(groupId), [first.pointId, second.pointId]);
  assert.equal(second.sent.sentBytes, 2 * BLOCK_BYTES);
  await assertSame(a, b, groupId, second.pointId);
  await a.engine.forgetPoints(groupId, [], unlimited);
  await assertSame(a, b, groupId, second.pointId);
  assert.equal(await layersOf(a, groupId), 3);
});
