import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyCut, verifyWrites } from './verify-writes.ts';
import type { VolumeImage } from './verify-writes.ts';
import { longestGap } from './write-gaps.ts';
import { WriteLog } from './write-log.ts';

const labels = ['data', 'journal'];
const flushable = { flushable: true };

function acknowledgedWrite(log: WriteLog, volume: number, block: number): number {
  const sequence = log.issue(volume, block);
  log.acknowledge(sequence, flushable);
  return sequence;
}

/** Images of the two volumes: block to sequence. */
function images(data: Record<number, number>, journal: Record<number, number>): VolumeImage[] {
  return [data, journal].map(
    (blocks) => new Map(Object.entries(blocks).map(([block, s]) => [Number(block), s])),
  );
}

test('an acknowledged write that is missing is lost, a flushed one is lost twice', () => {
  const log = new WriteLog(2);
  const flushed = acknowledgedWrite(log, 0, 5);
  log.beginFlush(0)();
  const later = acknowledgedWrite(log, 0, 5);

  const whole = verifyWrites(log, labels, images({ 5: later }, {}), 'acknowledged');
  const behind = verifyWrites(log, labels, images({ 5: flushed }, {}), 'acknowledged');
  const behindButFlushed = verifyWrites(log, labels, images({ 5: flushed }, {}), 'flushed');
  const empty = verifyWrites(log, labels, images({}, {}), 'flushed');

  assert.equal(whole.ok, true);
  assert.equal(whole.newestSequence, later);
  assert.deepEqual([behind.ok, behind.lost, behind.lostFlushed], [false, 1, 0]);
  assert.deepEqual(behind.examples, [{ label: 'data', block: 5, wanted: later, seen: flushed }]);
  assert.equal(behindButFlushed.ok, true);
  assert.deepEqual([empty.ok, empty.lost, empty.lostFlushed], [false, 1, 1]);
});

test('a write in doubt may be there or not', () => {
  const log = new WriteLog(2);
  const first = acknowledgedWrite(log, 0, 5);
  const doubtful = log.issue(0, 5);
  log.doubt(doubtful);

  assert.equal(verifyWrites(log, labels, images({ 5: first }, {}), 'acknowledged').ok, true);
  assert.equal(verifyWrites(log, labels, images({ 5: doubtful }, {}), 'acknowledged').ok, true);
  assert.deepEqual(log.blocks(0).get(5)?.inDoubt, [doubtful]);
});

test('a torn block is never right', () => {
  const log = new WriteLog(1);
  log.doubt(log.issue(0, 5));

  const result = verifyWrites(log, labels, [new Map([[5, 'torn'] as const])], 'flushed');

  assert.deepEqual([result.ok, result.torn], [false, 1]);
});

test('a flush covers what was acknowledged before it was issued, over its own connection', () => {
  const log = new WriteLog(1);
  const covered = acknowledgedWrite(log, 0, 1);
  const answered = log.beginFlush(0);
  acknowledgedWrite(log, 0, 2);
  answered();
  assert.equal(log.blocks(0).get(1)?.lastFlushed, covered);
  assert.equal(log.blocks(0).get(2)?.lastFlushed, 0);

  log.forgetUnflushed(0);
  log.beginFlush(0)();
  assert.equal(log.blocks(0).get(2)?.lastFlushed, 0);

  log.acknowledge(log.issue(0, 3), { flushable: false });
  log.beginFlush(0)();
  assert.equal(log.blocks(0).get(3)?.lastFlushed, 0);
});

test('an image with a write must have what was acknowledged before it, on every volume', () => {
  const log = new WriteLog(2);
  const x = acknowledgedWrite(log, 0, 1);
  const y = acknowledgedWrite(log, 1, 1);

  const cut = verifyCut(log, images({}, { 1: y }), {});

  assert.ok(!cut.consistent);
  assert.deepEqual(
    [cut.why, cut.write.sequence, cut.present?.sequence],
    ['missing_before_present', x, y],
  );
  assert.equal(verifyCut(log, images({ 1: x }, {}), {}).consistent, true);
  assert.equal(verifyCut(log, images({}, {}), {}).consistent, true);
  assert.deepEqual(verifyCut(log, images({ 1: x }, { 1: y }), {}), {
    consistent: true,
    newestSequence: y,
  });
});

test('writes in flight together have no order in an image', () => {
  const log = new WriteLog(2);
  const x = log.issue(0, 1);
  const y = log.issue(1, 1);
  log.acknowledge(x, flushable);
  log.acknowledge(y, flushable);

  assert.equal(verifyCut(log, images({}, { 1: y }), {}).consistent, true);
  assert.equal(verifyCut(log, images({ 1: x }, {}), {}).consistent, true);
});

test("a newer write on a missing write's block stands for it", () => {
  const log = new WriteLog(2);
  acknowledgedWrite(log, 0, 1);
  const y = acknowledgedWrite(log, 1, 1);
  const newer = log.issue(0, 1);

  assert.equal(verifyCut(log, images({ 1: newer }, { 1: y }), {}).consistent, true);
});

test('marks around an instant bound what a point holds', () => {
  const log = new WriteLog(2);
  const before = acknowledgedWrite(log, 0, 1);
  const after = log.mark();
  const between = acknowledgedWrite(log, 0, 2);
  const end = log.mark();
  const late = acknowledgedWrite(log, 0, 3);
  const bounds = { after, before: end };
  const whyOf = (data: Record<number, number>): string => {
    const cut = verifyCut(log, images(data, {}), bounds);
    return cut.consistent ? 'consistent' : cut.why;
  };

  assert.equal(whyOf({ 1: before }), 'consistent');
  assert.equal(whyOf({ 1: before, 2: between }), 'consistent');
  assert.equal(whyOf({}), 'missing');
  assert.equal(whyOf({ 1: before, 2: between, 3: late }), 'too_new');
});

test('the longest gap is found between two instants, for all volumes or one', (t) => {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const log = new WriteLog(2);
  const writeAt = (ms: number, volume: number): void => {
    now = ms;
    acknowledgedWrite(log, volume, ms);
  };
  writeAt(1010, 0);
  writeAt(1050, 0);
  writeAt(1060, 1);
  writeAt(1100, 0);
  now = 1120;

  assert.deepEqual(longestGap(log), { durationMs: 40, fromMs: 1010, toMs: 1050 });
  assert.deepEqual(longestGap(log, { volume: 1 }), { durationMs: 60, fromMs: 1000, toMs: 1060 });
  assert.equal(longestGap(log, { sinceMs: 1055, untilMs: 1058 }).durationMs, 10);
  assert.equal(longestGap(log, { sinceMs: 1101 }).durationMs, 20);
  log.close();
  now = 9999;
  assert.equal(longestGap(log, { sinceMs: 1101 }).durationMs, 20);
});
