import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failoverBasis } from './failover-basis.ts';
import { newId } from './ids.ts';
import type { GroupId, MirrorId } from './ids.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import type { ReplicationSession } from './replication-session.ts';
import { newSynchrony } from './synchrony.ts';
import type { Synchrony } from './synchrony.ts';

const groupId = newId<GroupId>();
const mirrorId = newId<MirrorId>();

function point(sequence: number, expiring = false): RecoveryPoint {
  const at = { sealedAt: sequence * 1000, commonAt: sequence * 1000 + 1, expiring };
  return { id: newId(), groupId, sequence, epoch: 1, volumes: [], ...at };
}

function destination(sync: Partial<Synchrony> | undefined): ReplicationSession {
  return {
    id: newId(),
    groupId,
    peerId: newId(),
    role: 'destination',
    rpoSeconds: 60,
    bytesPerSecond: undefined,
    retainedPoints: 4,
    line: 1,
    sync: sync && { ...newSynchrony(3, 'it is new', 0), ...sync },
    state: 'ok',
    stateSince: 0,
    parkedBecause: undefined,
    pause: undefined,
    cycle: undefined,
    lastCycle: undefined,
    createdAt: 0,
  };
}

test('a failover of an asynchronous group stands on its newest complete point', () => {
  const points = [point(1), point(2), point(3, true)];

  const basis = failoverBasis(destination(undefined), points, undefined);

  assert.deepEqual([basis?.point.sequence, basis?.standby], [2, undefined]);
  assert.equal(basis?.completeUpTo, 2000);
});

test('a standby that is complete is what a failover stands on, also after the copies parted', () => {
  const points = [point(1), point(2)];
  for (const state of ['in_sync', 'fractured', 'catching_up'] as const) {
    const condition = { state, since: 0, why: '' };
    const session = destination({ mirrorId, completeUpTo: 1500, condition });

    const basis = failoverBasis(session, points, undefined);

    assert.equal(basis?.standby?.mirrorId, mirrorId);
    assert.deepEqual([basis.completeUpTo, basis.point.sealedAt], [1500, 1500]);
    assert.deepEqual([basis.point.id, basis.point.sequence], [basis.standby.pointId, 3]);
  }
});

test('a standby that was never said to be complete, or is surpassed, is nothing to stand on', () => {
  const points = [point(1), point(2)];

  for (const sync of [{ mirrorId }, { completeUpTo: 9000 }, {}]) {
    const basis = failoverBasis(destination(sync), points, undefined);
    assert.deepEqual([basis?.point.sequence, basis?.standby], [2, undefined]);
  }
});

test('a failover to a named point keeps the standby beside it', () => {
  const points = [point(1), point(2)];
  const session = destination({ mirrorId, completeUpTo: 5000 });

  const basis = failoverBasis(session, points, points[0]?.id);

  assert.equal(basis?.point.sequence, 1);
  assert.equal(basis.standby?.mirrorId, mirrorId);
  assert.equal(basis.completeUpTo, 1000);
  assert.equal(failoverBasis(session, points, newId()), undefined);
  assert.equal(failoverBasis(session, [], undefined), undefined);
});
