/** The daemons of copies: what happens when one hangs, and what it leaves. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CopyId, GroupId, PointId } from '../../src/domain/ids.ts';
import { Failure } from '../../src/domain/refusal.ts';
import type { CopyInspection } from '../../src/ports/engine-copies.ts';
import { copyOf } from './contract-copies.ts';
import {
  MIB,
  PAUSE_LIMIT_MS,
  asHost,
  assertSame,
  newFork,
  newPoint,
  replicate,
  servedGroup,
  tagsOf,
  writeBlocks,
} from './contract-group.ts';
import { twoSites } from './test-sites.ts';
import type { TestSite, TestSites } from './test-sites.ts';

let sites: TestSites | undefined;
before(async () => (sites = await twoSites()));
after(() => sites?.close());
const both = (): TestSites => {
  assert.ok(sites);
  return sites;
};

async function inspectCopy(
  { engine }: TestSite,
  groupId: GroupId,
  copyId: CopyId,
): Promise<CopyInspection> {
  const { copies } = await engine.inspect(groupId);
  const copy = copies.find((one) => one.copyId === copyId);
  assert.ok(copy, `there is no copy ${copyId}`);
  return copy;
}

/** Files of a copy's daemon, and layers of the group. */
async function filesOf(
  { directory, dataDirectory }: TestSite,
  groupId: GroupId,
  copyId: CopyId,
): Promise<{ readonly run: readonly string[]; readonly layers: readonly string[] }> {
  const run = await readdir(join(directory, 'run'));
  const layers = await readdir(join(dataDirectory, 'groups', groupId));
  return { run: run.filter((name) => name.startsWith(copyId)), layers: layers.toSorted() };
}

test('a copy that hangs is told from one that ended, and holds up neither the group nor its end', async () => {
  const { a, b } = both();
  const { groupId, served } = await servedGroup(a, ['data']);
  const { pointId } = await replicate(a, b, groupId);
  const copy = copyOf(groupId, { pointId });
  const { copyId } = copy;
  const there = await b.engine.openCopy(copy);
  await asHost(b, there, 'data', (v) => writeBlocks(v, [1], 7));
  const { pid } = await inspectCopy(b, groupId, copyId);
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGSTOP');

  await asHost(a, served, 'data', (v) => writeBlocks(v, [2], 2));
  const next = await replicate(a, b, groupId, pointId);
  const hung = await inspectCopy(b, groupId, copyId);
  await assert.rejects(b.engine.openCopy(copy), Failure);
  await b.engine.closeCopy(groupId, copyId);
  const ended = await inspectCopy(b, groupId, copyId);
  const again = await b.engine.openCopy(copy);

  assert.deepEqual([hung.dataPlane, hung.pid], ['hung', pid]);
  assert.deepEqual([ended.dataPlane, ended.pid], ['stopped', undefined]);
  assert.deepEqual(await asHost(b, again, 'data', (v) => tagsOf(v, [1, 2])), [7, 0]);
  await assertSame(a, b, groupId, next.pointId);
});

test('a copy leaves no file behind, however it ends', async () => {
  const { a } = both();
  const { groupId } = await servedGroup(a, ['data']);
  const pointId = newPoint();
  await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
  const first = copyOf(groupId, { pointId });
  const second = copyOf(groupId, { pointId });
  const start = await filesOf(a, groupId, first.copyId);

  await a.engine.openCopy(first);
  const open = await filesOf(a, groupId, first.copyId);
  await a.engine.discardCopy(groupId, first.copyId);
  const discarded = await filesOf(a, groupId, first.copyId);
  await a.engine.openCopy(second);
  const { forkId } = await a.engine.keepCopy(groupId, second.copyId, newFork());
  const kept = await filesOf(a, groupId, second.copyId);
  await a.engine.discardFork(groupId, forkId);
  const forkless = await filesOf(a, groupId, second.copyId);
  const group = copyOf(groupId, { pointId });
  await a.engine.openCopy(group);
  await a.engine.deleteGroup(groupId);

  assert.ok(open.run.length > 0);
  assert.equal(open.layers.length, start.layers.length + 1);
  assert.deepEqual(discarded, start);
  assert.deepEqual([kept.run, kept.layers.length], [[], start.layers.length + 1]);
  assert.deepEqual(forkless, start);
  const left = await readdir(join(a.directory, 'run'));
  assert.deepEqual(
    left.filter((name) => name.startsWith(group.copyId)),
    [],
  );
});

test('a merge gives way to a copy that opens, and goes on when it is gone', async () => {
  const { a, b } = both();
  const { groupId, served } = await servedGroup(a, ['data']);
  const all = Array.from({ length: 3000 }, (_, n) => n);
  const points: PointId[] = [];
  for (let n = 1; n <= 4; n += 1) {
    await asHost(a, served, 'data', (v) => writeBlocks(v, all, n));
    points.push((await replicate(a, b, groupId, points.at(-1))).pointId);
  }
  const [p1, p2, p3, p4] = points as [PointId, PointId, PointId, PointId];

  // Many seconds at this rate, if nobody interrupts it.
  const forgetting = b.engine.forgetPoints(groupId, [p1, p2], { bytesPerSecond: MIB / 4 });
  const copy = copyOf(groupId, { pointId: p3 });
  const at = await b.engine.openCopy(copy);
  assert.deepEqual((await forgetting).forgotten, [p1, p2]);
  await b.engine.forgetPoints(groupId, [], { bytesPerSecond: undefined });
  const layersOf = async (): Promise<number | undefined> =>
    (await b.engine.inspect(groupId)).volumes[0]?.layers;
  const during = await layersOf();
  const tags = await asHost(b, at, 'data', (v) => tagsOf(v, [0, 1, 2999]));
  await b.engine.discardCopy(groupId, copy.copyId);
  await b.engine.forgetPoints(groupId, [], { bytesPerSecond: undefined });

  assert.deepEqual(tags, [3, 3, 3]);
  assert.equal(during, 4);
  assert.equal(await layersOf(), 2);
  await assertSame(a, b, groupId, p3);
  await assertSame(a, b, groupId, p4);
});
