/** A present that is written at two sites at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GroupId, MirrorId, PointId } from '../../src/domain/ids.ts';
import { newId } from '../../src/domain/ids.ts';
import { Failure } from '../../src/domain/refusal.ts';
import type { ReceivingTarget } from '../../src/ports/engine.ts';
import type { MirrorInspection } from '../../src/ports/mirroring.ts';
import type { BothSites, ContractSite, ContractSites } from './contract-sites.ts';
import {
  HOST,
  PAUSE_LIMIT_MS,
  asHost,
  assertSame,
  block,
  newPoint,
  refusal,
  replicate,
  servedGroup,
  tagsOf,
  writeBlocks,
} from './contract-group.ts';
import type { TestGroup } from './contract-group.ts';

const LEVEL_LIMIT_MS = 20_000;
const LOOK_AGAIN_MS = 10;
const RECONNECT_SECONDS = 1;
const BEGINNINGS = 5;

export const newMirror = (): MirrorId => newId<MirrorId>();

interface Mirrored extends TestGroup {
  readonly mirrorId: MirrorId;
  readonly basePointId: PointId;
  readonly target: ReceivingTarget;
}

export function mirrorsContract(both: BothSites): void {
  test('what a host is answered for is at the other site, and both are equal in the end', async () => {
    const { a, b } = both();
    const { groupId, served, mirrorId } = await mirrored(both());

    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 7, 5000], 3));
    await asHost(a, served, 'log', (v) => writeBlocks(v, [1], 3));
    await a.engine.fence(groupId);
    await a.engine.finishMirror(groupId, mirrorId);
    const last = newPoint();
    await a.engine.sealPoint(groupId, last, PAUSE_LIMIT_MS);
    await b.engine.keepStandby(groupId, mirrorId, last);
    await b.engine.keepStandby(groupId, mirrorId, last);

    assert.equal((await b.engine.points(groupId)).at(-1), last);
    await assertSame(a, b, groupId, last);
  });

  test('a mirror begins with what was written since its base, while hosts go on', async () => {
    const { a, b } = both();
    const group = await servedGroup(a);
    const { groupId, served } = group;
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1], 1));
    const { pointId } = await replicate(a, b, groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1, 2], 2));
    const { mirrorId } = await mirrorOn(both(), group, pointId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [2, 3], 3));

    await assertStandby(b, groupId, mirrorId, [1, 2, 3, 3]);
  });

  test('opening a standby and starting its mirror may be repeated', async () => {
    const { a, b } = both();
    const group = await mirrored(both());
    const { groupId, mirrorId, basePointId, target, volumes } = group;

    const peerId = a.siteId;
    const again = await b.engine.openStandby({ groupId, mirrorId, basePointId, peerId, volumes });
    await a.engine.startMirror(startOf(both(), group));
    await a.restartControl();
    await b.restartControl();
    await a.engine.startMirror(startOf(both(), group));

    assert.deepEqual(again, target);
    assert.equal((await level(a, groupId)).mirrorId, mirrorId);
  });

  test('a mirror that is being begun is not taken for one that failed', async () => {
    const { a, b } = both();
    const group = await servedGroup(a);
    const { groupId, volumes } = group;
    const { pointId: basePointId } = await replicate(a, b, groupId);
    const opened = { groupId, basePointId, peerId: a.siteId, volumes };
    const seen: (MirrorInspection | undefined)[] = [];

    for (let round = 0; round < BEGINNINGS; round += 1) {
      const mirrorId = newMirror();
      const target = await b.engine.openStandby({ ...opened, mirrorId });
      const looks: Promise<unknown>[] = [];
      const look = async (): Promise<void> => void seen.push(await a.engine.inspectMirror(groupId));
      const looking = setInterval(() => looks.push(look()), 1);
      await a.engine.startMirror(startOf(both(), { ...group, mirrorId, basePointId, target }));
      clearInterval(looking);
      await Promise.all(looks);
      await a.engine.stopMirror(groupId);
    }

    const failures = seen.filter((one) => one?.state === 'failed');
    assert.deepEqual(failures, []);
  });

  test('a standby outlives the data plane that had it open, with all that it acknowledged', async () => {
    const { a, b } = both();
    const { groupId, served, mirrorId, basePointId, volumes } = await mirrored(both());
    await asHost(a, served, 'data', (v) => writeWithoutFlush(v, [4], 4));

    await b.killDataPlane(groupId);
    const peerId = a.siteId;
    await assert.rejects(
      b.engine.openStandby({ groupId, mirrorId, basePointId, peerId, volumes }),
      refusal('busy'),
    );

    await assertStandby(b, groupId, mirrorId, [0, 0, 0, 0, 4]);
  });

  test('what both ends of a mirror have is compared under a writer, as far as it is new', async () => {
    const { a } = both();
    const group = await mirrored(both());
    const { groupId, served, basePointId } = group;
    await asHost(a, served, 'data', (v) => writeWithoutFlush(v, [0, 5000], 3));
    const isOver = new AbortController();
    const writing = asHost(a, served, 'data', async (v) => {
      for (let tag = 1; !isOver.signal.aborted; tag += 1)
        await writeWithoutFlush(v, [1], tag % 200);
    });

    const late = await compared(both(), group, basePointId);
    const all = await compared(both(), group, undefined);
    isOver.abort();
    await writing;

    assert.deepEqual([all.differing, late.differing], [[], []]);
    assert.ok(late.comparedBytes > 0 && late.comparedBytes <= all.comparedBytes);
    assert.equal((await level(a, groupId)).state, 'level');
  });

  test('a block that differs between both ends of a mirror is found, and stays as it is', async () => {
    const { a, b } = both();
    const group = await mirrored(both());
    const { groupId, served, mirrorId, basePointId, target, volumes } = group;
    const { volumeId } = volumes.find(({ name }) => name === 'data') ?? assert.fail('no volume');
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1, 2], 3));
    await a.writeThere(target, volumeId, 2 * block(0).length, block(9));

    const { differing } = await compared(both(), group, basePointId);

    assert.deepEqual(differing, [
      { volumeId, offset: 2 * block(0).length, lengthBytes: block(0).length },
    ]);
    await assertStandby(b, groupId, mirrorId, [0, 3, 9]);
  });

  test('a mirror that has ended, or is another one, cannot be compared', async () => {
    const { a } = both();
    const group = await mirrored(both());
    const other = { ...group, mirrorId: newMirror() };

    await assert.rejects(compared(both(), other, undefined), Failure);
    await a.engine.stopMirror(group.groupId);
    await assert.rejects(compared(both(), group, undefined), Failure);
  });

  test('a mirror whose standby is gone fails for good, and hosts go on', async () => {
    const { a, b } = both();
    const group = await mirrored(both());
    const { groupId, served, mirrorId } = group;

    await b.killDataPlane(groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 9));
    const seen = await failed(a, groupId);

    assert.equal(seen.mirrorId, mirrorId);
    await assert.rejects(a.engine.finishMirror(groupId, mirrorId), Failure);
    assert.equal(await a.engine.inspectMirror(groupId), undefined);
    assert.deepEqual(await asHost(a, served, 'data', (v) => tagsOf(v, [0])), [9]);
    await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
  });

  test('a mirror whose source died is lost, and only another one may begin', async () => {
    const { a, b } = both();
    const group = await mirrored(both());
    const { groupId } = group;

    await a.killDataPlane(groupId);
    const served = await a.engine.serve(groupId, { hosts: [HOST] });
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 5));

    assert.equal((await failed(a, groupId)).mirrorId, group.mirrorId);
    await assert.rejects(a.engine.startMirror(startOf(both(), group)), Failure);
    await a.engine.stopMirror(groupId);
    const next = await replicate(a, b, groupId, group.basePointId);
    const { mirrorId } = await mirrorOn(both(), group, next.pointId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1], 6));
    await assertStandby(b, groupId, mirrorId, [5, 6]);
  });

  test('points are sealed, sent and merged beneath a mirror, and its standby stays whole', async () => {
    const { a, b } = both();
    const { groupId, served, mirrorId, basePointId } = await mirrored(both());
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0, 1], 2));
    const second = await replicate(a, b, groupId, basePointId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [1, 2], 3));
    const third = await replicate(a, b, groupId, second.pointId);
    const limit = { bytesPerSecond: undefined };
    await a.engine.forgetPoints(groupId, [basePointId, second.pointId], limit);
    const { kept } = await b.engine.forgetPoints(groupId, [basePointId, second.pointId], limit);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [3], 4));

    assert.deepEqual(kept, [basePointId]);
    assert.equal((await level(a, groupId)).mirrorId, mirrorId);
    await assertSame(a, b, groupId, third.pointId);
    await assertStandby(b, groupId, mirrorId, [2, 3, 3, 4]);
  });

  test('hosts that come back under a mirror are mirrored, too', async () => {
    const { a, b } = both();
    const { groupId, mirrorId } = await mirrored(both());

    await a.engine.fence(groupId);
    const served = await a.engine.serve(groupId, { hosts: [HOST] });
    await asHost(a, served, 'data', (v) => writeBlocks(v, [2], 7));

    await assertStandby(b, groupId, mirrorId, [0, 0, 7]);
  });

  test('a mirror that is stopped leaves hosts alone with their volumes', async () => {
    const { a, b } = both();
    const { groupId, served, mirrorId } = await mirrored(both());

    await a.engine.stopMirror(groupId);
    await a.engine.stopMirror(groupId);
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 8));

    assert.equal(await a.engine.inspectMirror(groupId), undefined);
    await assertStandby(b, groupId, mirrorId, [0]);
  });

  test('a standby stands on the newest point only, and another mirror takes its place', async () => {
    const { a, b } = both();
    const group = await mirrored(both());
    const { groupId, volumes, basePointId } = group;
    const peerId = a.siteId;
    await assert.rejects(
      b.engine.openStandby({
        groupId,
        mirrorId: newMirror(),
        basePointId: newPoint(),
        peerId,
        volumes,
      }),
      refusal('point_missing'),
    );
    await a.engine.stopMirror(groupId);

    const { mirrorId } = await mirrorOn(both(), group, basePointId);

    const lost = group.mirrorId;
    await assert.rejects(b.engine.keepStandby(groupId, lost, newPoint()), refusal('point_missing'));
    await b.engine.dropStandby(groupId);
    await b.engine.dropStandby(groupId);
    await assert.rejects(
      b.engine.keepStandby(groupId, mirrorId, newPoint()),
      refusal('point_missing'),
    );
    await a.engine.stopMirror(groupId);
  });
}

/** A group with a first point at both sites, and a mirror that is level. */
async function mirrored(sites: ContractSites): Promise<Mirrored> {
  const group = await servedGroup(sites.a);
  const { pointId } = await replicate(sites.a, sites.b, group.groupId);
  return mirrorOn(sites, group, pointId);
}

async function mirrorOn(
  sites: ContractSites,
  group: TestGroup,
  basePointId: PointId,
): Promise<Mirrored> {
  const { groupId, volumes } = group;
  const mirrorId = newMirror();
  const peerId = sites.a.siteId;
  const target = await sites.b.engine.openStandby({
    groupId,
    mirrorId,
    basePointId,
    peerId,
    volumes,
  });
  const mirror = { ...group, mirrorId, basePointId, target };
  await sites.a.engine.startMirror(startOf(sites, mirror));
  await level(sites.a, groupId);
  return mirror;
}

function startOf(
  { b }: ContractSites,
  { groupId, mirrorId, basePointId, target }: Mirrored,
): Parameters<ContractSite['engine']['startMirror']>[0] {
  const reconnectSeconds = RECONNECT_SECONDS;
  return { groupId, mirrorId, basePointId, peerId: b.siteId, target, reconnectSeconds };
}

function compared(
  { a, b }: ContractSites,
  { groupId, mirrorId }: Mirrored,
  afterPointId: PointId | undefined,
): ReturnType<ContractSite['engine']['compareMirror']> {
  const watch = { signal: new AbortController().signal, onProgress: () => undefined };
  const request = { groupId, mirrorId, peerId: b.siteId, afterPointId };
  return a.engine.compareMirror(request, watch);
}

const level = (site: ContractSite, groupId: GroupId): Promise<MirrorInspection> =>
  seenAs(site, groupId, 'level');

const failed = (site: ContractSite, groupId: GroupId): Promise<MirrorInspection> =>
  seenAs(site, groupId, 'failed');

async function seenAs(
  { engine }: ContractSite,
  groupId: GroupId,
  state: MirrorInspection['state'],
): Promise<MirrorInspection> {
  const giveUpAt = performance.now() + LEVEL_LIMIT_MS;
  for (;;) {
    const seen = await engine.inspectMirror(groupId);
    if (seen?.state === state) return seen;
    assert.ok(performance.now() < giveUpAt, `wanted a mirror that is ${state}: ${seen?.state}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

/** A host that does not ask for durability; what it was answered for is at the other site all the same. */
async function writeWithoutFlush(
  volume: Parameters<typeof writeBlocks>[0],
  numbers: readonly number[],
  tag: number,
): Promise<void> {
  for (const number of numbers) await volume.write(number * block(tag).length, block(tag));
}

/** The standby becomes a point, a present stands on it, and its first blocks hold these tags. */
async function assertStandby(
  site: ContractSite,
  groupId: GroupId,
  mirrorId: MirrorId,
  tags: readonly number[],
): Promise<void> {
  const pointId = newPoint();
  await site.engine.keepStandby(groupId, mirrorId, pointId);
  await site.engine.promote(groupId, pointId);
  const served = await site.engine.serve(groupId, { hosts: [HOST] });
  const blocks = tags.map((_, index) => index);
  assert.deepEqual(await asHost(site, served, 'data', (v) => tagsOf(v, blocks)), tags);
}
