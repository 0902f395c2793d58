import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cycleIsDue,
  MIN_CYCLE_INTERVAL_MS,
  nextCycleAt,
  PARKED_RETRY_MS,
  warmEnough,
} from './cycle-plan.ts';
import { newId } from './ids.ts';
import { newestCommon, nextUnsent } from './recovery-point.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import type { CycleReport, ReplicationSession } from './replication-session.ts';
import { BATCH_POINTS, expendable, overdue } from './retention-plan.ts';

const groupId = newId<RecoveryPoint['groupId']>();

function point(sequence: number, common: boolean, expiring = false): RecoveryPoint {
  return {
    id: newId(),
    groupId,
    sequence,
    epoch: 1,
    sealedAt: sequence * 1000,
    volumes: [],
    commonAt: common ? sequence * 1000 + 1 : undefined,
    expiring,
  };
}

function session(change: Partial<ReplicationSession> = {}): ReplicationSession {
  return {
    id: newId(),
    groupId,
    peerId: newId(),
    role: 'source',
    rpoSeconds: 60,
    bytesPerSecond: undefined,
    retainedPoints: 4,
    sync: undefined,
    state: 'ok',
    stateSince: 0,
    parkedBecause: undefined,
    pause: undefined,
    line: 1,
    cycle: undefined,
    lastCycle: undefined,
    createdAt: 0,
    ...change,
  };
}

const lasting = (durationMs: number): CycleReport => ({
  pointId: newId(),
  kind: 'delta',
  why: '',
  sealedAt: 0,
  completedAt: durationMs,
  durationMs,
  sentBytes: 0,
  restarts: 0,
});

test('the first cycle is due at once', () => {
  assert.equal(nextCycleAt(session({ createdAt: 5 }), []), 5);
});

test('a cycle that takes as long as the last completes before the point before is older than the RPO', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 5, max: 86_400 }),
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      (rpo, part) => {
        const durationMs = Math.round(rpo * 1000 * part);
        const last = point(7, true);
        const subject = session({ rpoSeconds: rpo, lastCycle: lasting(durationMs) });

        const startsAt = nextCycleAt(subject, [last]);

        const paced = startsAt === last.sealedAt + MIN_CYCLE_INTERVAL_MS;
        assert.ok(paced || startsAt + durationMs - last.sealedAt <= rpo * 1000);
      },
    ),
  );
});

test('cycles never follow each other faster than the shortest interval', () => {
  const last = point(7, true);

  const startsAt = nextCycleAt(session({ rpoSeconds: 5, lastCycle: lasting(60_000) }), [last]);

  assert.equal(startsAt, last.sealedAt + MIN_CYCLE_INTERVAL_MS);
});

test('a parked session is tried again after a while', () => {
  const parked = session({ state: 'system_paused', stateSince: 100 });

  assert.equal(nextCycleAt(parked, [point(1, true)]), 100 + PARKED_RETRY_MS);
});

test('a session that begins, also on a copy that was kept, or goes on has its cycle at once', () => {
  for (const state of ['initializing', 'resuming', 'reprotecting'] as const) {
    const waited = session({ rpoSeconds: 3600, state, stateSince: 100 });

    assert.equal(nextCycleAt(waited, [point(1, true)]), 100);
  }
});

test('warm-up cycles end when little is left, and always after a few', () => {
  assert.equal(warmEnough(1, undefined), false);
  assert.equal(warmEnough(1, 1024 ** 3), false);
  assert.equal(warmEnough(1, 4096), true);
  assert.equal(warmEnough(4, 1024 ** 3), true);
});

test('the point that is sent next is the oldest that the destination does not have', () => {
  const points = [point(3, false), point(1, true), point(2, false)];

  assert.equal(nextUnsent(points)?.sequence, 2);
  assert.equal(nextUnsent([point(1, true)]), undefined);
});

test('a destination that has nothing gets the newest point, not the whole history', () => {
  assert.equal(nextUnsent([point(1, false), point(3, false), point(2, false)])?.sequence, 3);
});

test('points of a history that the other site has nothing of are never sent to it', () => {
  assert.equal(nextUnsent([point(-1, false), point(0, false)]), undefined);
  assert.equal(nextUnsent([point(0, false), point(7, false)])?.sequence, 7);
});

const history = fc
  .array(fc.record({ common: fc.boolean(), expiring: fc.boolean() }), { maxLength: 40 })
  .map((rows) => rows.map(({ common, expiring }, i) => point(i + 1, common, expiring)));

test('no plan lets go of the newest common point or of anything newer', () => {
  fc.assert(
    fc.property(
      history,
      fc.constantFrom('source', 'destination'),
      fc.integer({ min: 1, max: 8 }),
      (points, role, retainedPoints) => {
        const common = newestCommon(points);

        const gone = expendable(session({ role, retainedPoints }), points);

        assert.ok(gone.every((p) => common !== undefined && p.sequence < common.sequence));
      },
    ),
  );
});

test('both sites keep as many of the newest points as the session says', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 8 }),
      (count, retainedPoints) => {
        const points = Array.from({ length: count }, (_, i) => point(i + 1, true));

        const gone = expendable(session({ role: 'destination', retainedPoints }), points);

        assert.ok(count - gone.length >= Math.min(count, retainedPoints));
      },
    ),
  );
});

test('points go in batches, and a batch that was begun is finished', () => {
  const few = Array.from({ length: BATCH_POINTS }, (_, i) => point(i + 1, true));
  const enough = [...few, point(BATCH_POINTS + 1, true)];
  const begun = [point(1, true, true), point(2, true)];

  assert.deepEqual(expendable(session({ retainedPoints: 1 }), few), []);
  assert.equal(expendable(session({ retainedPoints: 1 }), enough).length, BATCH_POINTS);
  assert.deepEqual(
    expendable(session({ retainedPoints: 1 }), begun).map((p) => p.sequence),
    [1],
  );
});

test('with the default retention no volume ever has 16 layers', () => {
  let points: readonly RecoveryPoint[] = [];
  let longest = 0;
  for (let sequence = 1; sequence <= 200; sequence += 1) {
    points = [...points, point(sequence, true)];
    // Plus the layer that is received or written.
    longest = Math.max(longest, points.length + 1);
    const gone = new Set(expendable(session({ role: 'destination', retainedPoints: 8 }), points));
    points = points.filter((p) => !gone.has(p));
  }

  assert.ok(longest < 16, `${longest} layers`);
});

test('where nothing was merged for long, the next cycle waits for it, and not again for what is kept', () => {
  const many = Array.from({ length: 13 }, (_, i) => point(i + 1, true));
  const kept = many.map((p) => ({ ...p, expiring: p.sequence <= 9 }));

  assert.deepEqual(overdue(session(), many.slice(1)), []);
  assert.deepEqual(overdue(session(), many), many.slice(0, 9));
  assert.deepEqual(overdue(session(), kept), []);
});

test('a cycle is due where it would count from an instant that is still to come', () => {
  const points = [point(100, true)];
  assert.equal(cycleIsDue(session(), points, 50_000), true);
  assert.equal(cycleIsDue(session(), points, 101_000), false);
  const parked = session({ state: 'system_paused', stateSince: 100_000 });
  assert.equal(cycleIsDue(parked, points, 50_000), true);
  assert.equal(cycleIsDue(parked, points, 101_000), false);
});
