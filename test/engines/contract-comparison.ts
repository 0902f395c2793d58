/** Two sites without a point in common find out what differs. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { PointId } from '../../src/domain/ids.ts';
import { ZEROS } from '../../src/ports/engine-comparison.ts';
import type { DigestRanges, SendDifference } from '../../src/ports/engine-comparison.ts';
import { LinkFailure } from '../../src/ports/engine.ts';
import type { SendWatch } from '../../src/ports/engine.ts';
import type { BothSites, ContractSite, ContractSites } from './contract-sites.ts';
import {
  BLOCK_BYTES,
  HOST,
  MIB,
  PAUSE_LIMIT_MS,
  asHost,
  assertSame,
  block,
  newFork,
  newPoint,
  newVolume,
  refusal,
  replicate,
  servedGroup,
  watch,
  writeBlocks,
} from './contract-group.ts';
import type { TestGroup } from './contract-group.ts';

const BLOCKS_PER_MIB = MIB / BLOCK_BYTES;

interface Diverged extends TestGroup {
  /** The newest point of the destination, which the source has not. */
  readonly there: PointId;
  readonly here: PointId;
}

/** Both sites have the group with points of their own; three ranges of `data` differ. */
async function diverged({ a, b }: ContractSites): Promise<Diverged> {
  const group = await servedGroup(a);
  const { groupId, served } = group;
  const numbers = Array.from({ length: 20 }, (_, n) => n * BLOCKS_PER_MIB);
  await asHost(a, served, 'data', (v) => writeBlocks(v, numbers, 1));
  await asHost(a, served, 'log', (v) => writeBlocks(v, [3], 1));
  const { pointId: there } = await replicate(a, b, groupId);
  await asHost(a, served, 'data', async (v) => {
    await writeBlocks(v, [5 * BLOCKS_PER_MIB + 1, 7 * BLOCKS_PER_MIB], 2);
    // Written over, and zeroed: the one travels, and the other, too.
    await v.write(9 * MIB, Buffer.alloc(BLOCK_BYTES));
    await v.flush();
  });
  const here = newPoint();
  await a.engine.sealPoint(groupId, here, PAUSE_LIMIT_MS);
  await a.engine.forgetPoints(groupId, [there], { bytesPerSecond: undefined });
  return { ...group, there, here };
}

/** Opens a place on the destination's newest point. @returns how to send what differs to it */
async function difference(
  { a, b }: ContractSites,
  { groupId, volumes, there, here }: Diverged,
  more: Partial<SendDifference> = {},
): Promise<SendDifference> {
  const place = { groupId, pointId: here, basePointId: there, peerId: a.siteId, volumes };
  const target = await b.engine.receivePoint(place);
  return {
    groupId,
    pointId: here,
    peerId: b.siteId,
    target,
    rangeBytes: MIB,
    bytesPerSecond: undefined,
    digestsThere: (where) => b.engine.digestRanges({ ...where, groupId, pointId: there }),
    ...more,
  };
}

function rangesOf(
  { engine }: ContractSite,
  { groupId, volumes, here }: Diverged,
  more: Partial<DigestRanges> = {},
) {
  const { volumeId } = volumes[0]!;
  return engine.digestRanges({
    ...{ groupId, pointId: here, volumeId, rangeBytes: MIB, firstRange: 0, ranges: 64 },
    ...more,
  });
}

export function comparisonContract(both: BothSites): void {
  test('digests tell each range of a volume at a point', async () => {
    const { a } = both();
    const found = await diverged(both());

    const { sizeBytes, digests } = await rangesOf(a, found);
    const part = await rangesOf(a, found, { firstRange: 5, ranges: 3 });
    const beyond = await rangesOf(a, found, { firstRange: 60, ranges: 10 });

    assert.deepEqual([sizeBytes, digests.length], [64 * MIB, 64]);
    const range = Buffer.alloc(MIB);
    range.set(block(1), 0);
    range.set(block(2), BLOCK_BYTES);
    assert.equal(digests[5], createHash('sha256').update(range).digest('hex'));
    assert.deepEqual([digests[9], digests[20]], [ZEROS, ZEROS]);
    assert.deepEqual(part.digests, digests.slice(5, 8));
    assert.deepEqual(beyond.digests, digests.slice(60));
  });

  test('digests of what is not there, or of impossible ranges, are refused', async () => {
    const { a } = both();
    const found = await diverged(both());
    const ask = (more: Partial<DigestRanges>): Promise<unknown> => rangesOf(a, found, more);

    await assert.rejects(ask({ pointId: newPoint() }), refusal('point_missing'));
    await assert.rejects(ask({ volumeId: newVolume('x').volumeId }), refusal('not_found'));
    await assert.rejects(ask({ rangeBytes: MIB + 1 }), refusal('invalid'));
    await assert.rejects(ask({ rangeBytes: 4096 }), refusal('invalid'));
    await assert.rejects(ask({ ranges: 100_000 }), refusal('invalid'));
    await assert.rejects(ask({ firstRange: -1 }), refusal('invalid'));
  });

  test('without a common point only the ranges that differ travel', async () => {
    const { a, b } = both();
    const found = await diverged(both());
    const { groupId, here, served } = found;
    const request = await difference(both(), found);

    const sent = await a.engine.sendDifference(request, watch);
    await a.restartControl();
    assert.deepEqual(await a.engine.sendDifference(request, watch), sent);
    await b.engine.completePoint(groupId, here, request.target.instance);

    assert.deepEqual(sent, { comparedBytes: 128 * MIB, sentBytes: 3 * MIB, restarted: false });
    await assertSame(a, b, groupId, here);
    // From here on there is a common point.
    await asHost(a, served, 'data', (v) => writeBlocks(v, [0], 3));
    const next = await replicate(a, b, groupId, here);
    assert.equal(next.sent.sentBytes, BLOCK_BYTES);
    await assertSame(a, b, groupId, next.pointId);
  });

  test('a volume that has grown or is new is compared, too', async () => {
    const { a, b } = both();
    const found = await diverged(both());
    const { groupId, volumes } = found;
    const late = newVolume('late', 8 * MIB);
    await a.engine.createVolume(groupId, late);
    await a.engine.resizeVolume(groupId, volumes[0]!.volumeId, 70 * MIB + 512);
    const served = await a.engine.serve(groupId, { hosts: [HOST] });
    await asHost(a, served, 'late', (v) => writeBlocks(v, [1], 1));
    await asHost(a, served, 'data', (v) => writeBlocks(v, [69 * BLOCKS_PER_MIB], 1));
    const here = newPoint();
    const sealed = await a.engine.sealPoint(groupId, here, PAUSE_LIMIT_MS);
    const grown = { ...found, here, volumes: sealed.volumes };
    const { there } = found;
    const request = await difference(both(), grown, {
      digestsThere: async (where) =>
        where.volumeId === late.volumeId
          ? undefined
          : b.engine.digestRanges({ ...where, groupId, pointId: there }),
    });

    const { sentBytes } = await a.engine.sendDifference(request, watch);
    await b.engine.completePoint(groupId, here, request.target.instance);

    assert.equal(sentBytes, 5 * MIB);
    await assertSame(a, b, groupId, here);
  });

  test('a comparison whose place is gone begins again, and says so', async () => {
    const { a, b } = both();
    const found = await diverged(both());
    const request = await difference(both(), found);
    const { reached, ended } = startComparison(a, request);
    await reached;

    await b.killDataPlane(found.groupId);
    const failure = await ended;
    const again = await difference(both(), found);
    const sent = await a.engine.sendDifference(again, watch);
    await b.engine.completePoint(found.groupId, found.here, again.target.instance);

    assert.ok(failure instanceof LinkFailure, String(failure));
    assert.equal(sent.restarted, true);
    assert.ok(sent.comparedBytes > 128 * MIB, `${sent.comparedBytes}`);
    await assertSame(a, b, found.groupId, found.here);
  });

  test('a comparison that was interrupted goes on where it was', async () => {
    const { a, b } = both();
    const found = await diverged(both());
    const abort = new AbortController();
    const request = await difference(both(), found);
    const { reached, ended } = startComparison(a, request, abort.signal);
    await reached;
    const why = new Error('enough');
    abort.abort(why);
    assert.equal(await ended, why);
    await a.restartControl();

    const sent = await a.engine.sendDifference(request, watch);
    await b.engine.completePoint(found.groupId, found.here, request.target.instance);

    assert.deepEqual(sent, { comparedBytes: 128 * MIB, sentBytes: 3 * MIB, restarted: false });
    await assertSame(a, b, found.groupId, found.here);
    await b.engine.demote(found.groupId, found.there, newFork());
  });

  test('a limit may be changed when nothing is sent, too', async () => {
    const { a, b } = both();
    const { groupId } = await servedGroup(a);
    await a.engine.limitSend(groupId, MIB);
    await a.engine.limitLink(b.siteId, 1024 * MIB);
    const { pointId } = await replicate(a, b, groupId);
    await a.engine.limitLink(b.siteId, undefined);
    await assertSame(a, b, groupId, pointId);
  });
}

/** So slow that something can happen between the first range that differs and the second. */
function startComparison(
  { engine }: ContractSite,
  request: SendDifference,
  signal: AbortSignal = watch.signal,
): { readonly reached: Promise<void>; readonly ended: Promise<unknown> } {
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  const onProgress: SendWatch['onProgress'] = ({ sentBytes }) => {
    if (sentBytes >= 6 * MIB && sentBytes < 9 * MIB) resolve();
  };
  const slow = { ...request, bytesPerSecond: MIB / 8 };
  const sending = engine.sendDifference(slow, { onProgress, signal });
  const ended = sending.then(
    () => new Error('it was over too soon'),
    (cause: unknown) => cause,
  );
  return { reached, ended };
}
