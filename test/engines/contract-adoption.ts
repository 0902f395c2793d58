/** Forks: what a copy wrote becomes one, and one becomes the present again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForkId, GroupId, VolumeId } from '../../src/domain/ids.ts';
import type { AdoptFork } from '../../src/ports/engine-copies.ts';
import type { BothSites, ContractSite } from './contract-sites.ts';
import { copyOf } from './contract-copies.ts';
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
  refusal,
  replicate,
  servedGroup,
  tagsOf,
  writeBlocks,
} from './contract-group.ts';
import type { TestGroup } from './contract-group.ts';

function adoption({ groupId, volumes }: TestGroup, forkId: ForkId): AdoptFork {
  return { groupId, forkId, asideForkId: newFork(), volumeIds: volumes.map((v) => v.volumeId) };
}

async function forkIds({ engine }: ContractSite, groupId: GroupId): Promise<readonly ForkId[]> {
  return (await engine.inspect(groupId)).forks.map(({ forkId }) => forkId);
}

async function tagsAt(
  site: ContractSite,
  groupId: GroupId,
  name: string,
  numbers: readonly number[],
): Promise<readonly number[]> {
  const served = await site.engine.serve(groupId, { hosts: [HOST] });
  return asHost(site, served, name, (v) => tagsOf(v, numbers));
}

const unlimited = { bytesPerSecond: undefined };

export function adoptionContract(both: BothSites): void {
  test('what a test wrote is kept as a fork, and the group fails over to it', async () => {
    const { a, b } = both();
    const group = await servedGroup(a);
    const { groupId, served } = group;
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const tested = await replicate(a, b, groupId);
    const copy = copyOf(groupId, { pointId: tested.pointId });
    const there = await b.engine.openCopy(copy);
    await asHost(b, there, 'data', (v) => writeBlocks(v, [1], 7));
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 2));
    const later = await replicate(a, b, groupId, tested.pointId);

    const forkId = newFork();
    const kept = await b.engine.keepCopy(groupId, copy.copyId, forkId);
    await b.restartControl();
    assert.deepEqual(await b.engine.keepCopy(groupId, copy.copyId, forkId), kept);
    const request = adoption(group, forkId);
    const adopted = await b.engine.adoptFork(request);
    await b.restartControl();
    assert.deepEqual(await b.engine.adoptFork(request), adopted);

    assert.deepEqual(
      [kept.basePointId, kept.pointIds, kept.volumes],
      [tested.pointId, [], group.volumes],
    );
    assert.deepEqual(adopted.aside?.pointIds, [later.pointId]);
    assert.deepEqual(adopted.volumes, group.volumes);
    assert.deepEqual(await b.engine.points(groupId), [tested.pointId]);
    assert.deepEqual(await forkIds(b, groupId), [request.asideForkId]);
    assert.deepEqual((await b.engine.inspect(groupId)).copies, []);
    assert.deepEqual(await tagsAt(b, groupId, 'data', [0, 1]), [1, 7]);
    // The other site goes back to the same point, and what differs comes to it.
    await a.engine.demote(groupId, tested.pointId, newFork());
    const back = await replicate(b, a, groupId, tested.pointId);
    assert.equal(back.sent.sentBytes, BLOCK_BYTES);
    await assertSame(a, b, groupId, back.pointId);
  });

  test('a test that wrote nothing is kept, too', async () => {
    const { a } = both();
    const group = await servedGroup(a);
    const { groupId, served } = group;
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    const copy = copyOf(groupId, { pointId });
    await a.engine.openCopy(copy);

    const { forkId } = await a.engine.keepCopy(groupId, copy.copyId, newFork());
    const { aside, volumes } = await a.engine.adoptFork(adoption(group, forkId));

    assert.deepEqual([aside, volumes], [undefined, group.volumes]);
    assert.deepEqual(await tagsAt(a, groupId, 'data', [0]), [1]);
  });

  test('a restore is undone: the fork gives back every write, point and size', async () => {
    const { a, b } = both();
    const group = await servedGroup(a);
    const { groupId, volumes, served } = group;
    const [data] = volumes;
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const base = await replicate(a, b, groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1], 2));
    const inner = newPoint();
    const sealed = await a.engine.sealPoint(groupId, inner, PAUSE_LIMIT_MS);
    await a.engine.resizeVolume(groupId, data!.volumeId, 80 * MIB);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [2, 79 * 256], 3));
    const before = newFork();
    await a.engine.demote(groupId, base.pointId, before);
    await a.engine.promote(groupId, base.pointId);
    const restored = await a.engine.serve(groupId, { hosts: [HOST] });
    await asHost(a, restored, 'data', (v) => writeBlocks(v, [5], 5));

    const request = adoption(group, before);
    const undone = await a.engine.adoptFork(request);

    assert.deepEqual(undone.points, [sealed]);
    assert.deepEqual(
      undone.volumes.map(({ sizeBytes }) => sizeBytes),
      [80 * MIB, 64 * MIB],
    );
    assert.equal((await a.engine.inspect(groupId)).serving, false);
    assert.deepEqual(await tagsAt(a, groupId, 'data', [0, 1, 2, 5, 79 * 256]), [2, 2, 3, 0, 3]);
    assert.deepEqual(await a.engine.points(groupId), [base.pointId, inner]);
    // It replicates, larger than the common point, with a point in between.
    const next = await replicate(a, b, groupId, base.pointId);
    await assertSame(a, b, groupId, next.pointId);
    // And back again: the undo is undone, which makes the volume smaller.
    const again = { ...adoption(group, request.asideForkId) };
    const redone = await a.engine.adoptFork(again);
    assert.deepEqual(redone.aside?.pointIds, [inner, next.pointId]);
    assert.deepEqual(redone.volumes, volumes);
    assert.deepEqual(await tagsAt(a, groupId, 'data', [0, 1, 5]), [1, 0, 5]);
    await b.engine.demote(groupId, base.pointId, newFork());
    const smaller = await replicate(a, b, groupId, base.pointId);
    await assertSame(a, b, groupId, smaller.pointId);
  });

  test('a fork is adopted by a group that has no present', async () => {
    const { a, b } = both();
    const group = await servedGroup(a);
    const { groupId, served } = group;
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const older = await replicate(a, b, groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 2));
    const newer = await replicate(a, b, groupId, older.pointId);
    const forkId = newFork();
    await b.engine.demote(groupId, older.pointId, forkId);

    const { aside, points } = await b.engine.adoptFork(adoption(group, forkId));

    assert.equal(aside, undefined);
    assert.deepEqual(
      points.map(({ pointId }) => pointId),
      [newer.pointId],
    );
    assert.deepEqual(await forkIds(b, groupId), []);
    assert.deepEqual(await tagsAt(b, groupId, 'data', [0]), [2]);
    await assertSame(a, b, groupId, newer.pointId);
  });

  test('a fork with other volumes than the group is not adopted, and nothing changes', async () => {
    const { a } = both();
    const group = await servedGroup(a);
    const { groupId, served } = group;
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const forkId = newFork();
    await a.engine.demote(groupId, pointId, forkId);
    await a.engine.promote(groupId, pointId);
    const late = newVolume('late');
    await a.engine.createVolume(groupId, late);
    const before = await a.engine.inspect(groupId);
    const request = adoption(group, forkId);

    const withLate: readonly VolumeId[] = [...request.volumeIds, late.volumeId];
    await assert.rejects(
      a.engine.adoptFork({ ...request, volumeIds: withLate }),
      refusal('unsupported'),
    );
    await assert.rejects(
      a.engine.adoptFork({ ...request, volumeIds: request.volumeIds.slice(1) }),
      refusal('unsupported'),
    );
    const unknown = adoption(group, newFork());
    await assert.rejects(a.engine.adoptFork(unknown), refusal('not_found'));

    assert.deepEqual(await a.engine.inspect(groupId), before);
  });

  test('a volume that joined after the fork goes aside with the present', async () => {
    const { a } = both();
    const group = await servedGroup(a);
    const { groupId, served } = group;
    const pointId = newPoint();
    await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const forkId = newFork();
    await a.engine.demote(groupId, pointId, forkId);
    await a.engine.promote(groupId, pointId);
    const late = newVolume('late');
    await a.engine.createVolume(groupId, late);
    const at = await a.engine.serve(groupId, { hosts: [HOST] });
    await asHost(a, at, 'late', (v) => writeBlocks(v, [3], 3));

    const { aside } = await a.engine.adoptFork(adoption(group, forkId));

    assert.deepEqual(aside?.volumes, [...group.volumes, late]);
    const mounted = await a.engine.openCopy(copyOf(groupId, { forkId: aside.forkId }));
    assert.deepEqual(await asHost(a, mounted, 'late', (v) => tagsOf(v, [3])), [3]);
    assert.deepEqual(await tagsAt(a, groupId, 'data', [0]), [1]);
  });

  test('a fork of a mounted fork keeps its content when that one is discarded', async () => {
    const { a } = both();
    const group = await servedGroup(a, ['data']);
    const { groupId, served } = group;
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const base = newPoint();
    await a.engine.sealPoint(groupId, base, PAUSE_LIMIT_MS);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1], 2));
    const inner = newPoint();
    await a.engine.sealPoint(groupId, inner, PAUSE_LIMIT_MS);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [2], 3));
    const first = newFork();
    await a.engine.demote(groupId, base, first);
    await a.engine.promote(groupId, base);
    const copy = copyOf(groupId, { forkId: first });
    const mounted = await a.engine.openCopy(copy);
    await asHost(a, mounted, 'data', (v) => writeBlocks(v, [3], 4));

    const second = newFork();
    const kept = await a.engine.keepCopy(groupId, copy.copyId, second);
    await a.engine.discardFork(groupId, first);
    await a.engine.forgetPoints(groupId, [base], unlimited);
    const { points } = await a.engine.adoptFork(adoption(group, second));

    assert.deepEqual([kept.basePointId, kept.pointIds], [base, [inner]]);
    assert.deepEqual(
      points.map(({ pointId }) => pointId),
      [inner],
    );
    assert.deepEqual(await tagsAt(a, groupId, 'data', [0, 1, 2, 3]), [1, 2, 3, 4]);
    const [hash] = await a.engine.hashPoint(groupId, inner);
    assert.ok(hash);
    await a.engine.forgetPoints(groupId, [base, inner], unlimited);
    assert.deepEqual(await tagsAt(a, groupId, 'data', [0, 1, 2, 3]), [1, 2, 3, 4]);
  });

  test('forks and copies keep their content when the group goes back beneath them', async () => {
    const { a } = both();
    const group = await servedGroup(a, ['data']);
    const { groupId, served } = group;
    const [p1, p2, p3] = [newPoint(), newPoint(), newPoint()];
    for (const [n, pointId] of [p1, p2, p3].entries()) {
      await asHost(a, served, 'data', (v) => writeBlocks(v, [n], n + 1));
      await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
    }
    const copy = copyOf(groupId, { pointId: p3 });
    const mounted = await a.engine.openCopy(copy);
    await asHost(a, mounted, 'data', (v) => writeBlocks(v, [9], 9));
    const [upper, lower] = [newFork(), newFork()];
    await a.engine.demote(groupId, p2, upper);
    await a.engine.promote(groupId, p2);

    // Beneath what the upper fork stands on, and the copy.
    await a.engine.demote(groupId, p1, lower);
    await a.engine.discardFork(groupId, lower);
    const { forks } = await a.engine.inspect(groupId);
    const kept = await a.engine.keepCopy(groupId, copy.copyId, newFork());
    await a.engine.forgetPoints(groupId, [p1], unlimited);

    assert.deepEqual(
      forks.map(({ forkId, basePointId, pointIds }) => [forkId, basePointId, pointIds]),
      [[upper, p1, [p2, p3]]],
    );
    assert.deepEqual([kept.basePointId, kept.pointIds], [p1, [p2, p3]]);
    await a.engine.adoptFork(adoption(group, kept.forkId));
    assert.deepEqual(await tagsAt(a, groupId, 'data', [0, 1, 2, 9]), [1, 2, 3, 9]);
    assert.deepEqual(await a.engine.points(groupId), [p1, p2, p3]);
    await a.engine.adoptFork(adoption(group, upper));
    assert.deepEqual(await tagsAt(a, groupId, 'data', [0, 1, 2, 9]), [1, 2, 3, 0]);
  });

  test('a volume that has left the group does not come back with an older point', async () => {
    const { a, b } = both();
    const { groupId, volumes, served } = await servedGroup(a);
    const [data, log] = volumes;
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 1));
    const older = await replicate(a, b, groupId);
    const other = await servedGroup(a, ['other']);
    await a.engine.moveVolume(log!.volumeId, groupId, other.groupId);
    const newer = await replicate(a, b, groupId, older.pointId);
    await b.engine.demote(groupId, older.pointId, newFork());

    await b.engine.promote(groupId, older.pointId, [data!.volumeId]);

    const there = await b.engine.serve(groupId, { hosts: [HOST] });
    assert.deepEqual(
      there.exports.map(({ exportName }) => exportName),
      ['data'],
    );
    const { volumes: sealed } = await b.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
    assert.deepEqual(sealed, [data]);
    // What the point had of it can still be looked at.
    const mounted = await b.engine.openCopy(copyOf(groupId, { pointId: older.pointId }));
    assert.deepEqual(
      mounted.exports.map(({ exportName }) => exportName),
      ['data', 'log'],
    );
    assert.ok(!(await b.engine.points(groupId)).includes(newer.pointId));
    // It may come back when nothing here stands for it any more, and not before.
    const foreign = await servedGroup(b, ['foreign']);
    const guest = { ...log!, name: 'guest' };
    await b.engine.createVolume(foreign.groupId, guest);
    const back = (): Promise<void> => b.engine.moveVolume(guest.volumeId, foreign.groupId, groupId);
    await assert.rejects(back(), refusal('in_use'));
    const again = await b.engine.serve(foreign.groupId, { hosts: [HOST] });
    await (await b.attach(again, 'guest', HOST)).disconnect();
  });
}
