/** Requests of two sites that cross: the one that was overtaken neither blocks nor undoes the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { beatFor, exchangeBeats } from '../../src/app/meet-peer.ts';
import { completePoint, endSession } from '../../src/app/receive-for-peer.ts';
import type { ModeSettings } from '../../src/app/session-mode.ts';
import { openStandby } from '../../src/app/stand-by.ts';
import { takeGroup } from '../../src/app/take-group.ts';
import { newId } from '../../src/domain/ids.ts';
import type {
  GroupId,
  MirrorId,
  PointId,
  SagaId,
  SessionId,
  VolumeId,
} from '../../src/domain/ids.ts';
import { newest } from '../../src/domain/recovery-point.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import type { ReasonCode } from '../../src/domain/refusal.ts';
import type { StandbyRequest } from '../../src/ports/peer.ts';
import { needSession, offerOf } from '../../src/sagas/offer.ts';
import { lockGroup } from '../../src/sagas/operation.ts';
import { saga, startSaga } from '../../src/sagas/saga.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';
import { unprotect } from '../support/unprotect.ts';

const MIB = 1024 * 1024;
/** A failover that does not get on. */
const waiting = saga<object>('failover').step('wait', {
  do: () => new Promise<void>(() => undefined),
});
const noPlanes = () => ({ dataPlane: 'stopped', instance: undefined }) as const;

interface Protected extends MemoryPair {
  readonly groupId: GroupId;
  readonly volumeIds: readonly VolumeId[];
}

test('a session whose end was never heard does not stand in the way of the next one', async (t) => {
  const { paris, lyon, groupId } = await orders(t);
  paris.trouble.lostBefore.add('endSession');
  const force = true;
  await done(paris, unprotect(paris.app, { groupId, discardCopy: false, force }));

  await done(paris, paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 60 }));

  await done(paris, paris.app.synchronizeGroup({ groupId }));
  assert.equal((await lyon.app.listSessions()).length, 1);
});

test('a late word that ends an earlier session leaves the copy to the one that runs', async (t) => {
  const { lyon, groupId } = await orders(t);
  const late = { groupId, sessionId: newId<SessionId>(), epoch: 1, discardCopy: true };

  await endSession(lyon.ports, late);

  assert.equal((await lyon.app.listPoints(groupId)).length, 1);
  assert.equal((await lyon.app.listSessions()).length, 1);
});

test('a site that was overtaken cannot end the session of the one that took the group', async (t) => {
  const { paris, lyon, groupId } = await orders(t);
  const [session] = await lyon.app.listSessions();
  assert.ok(session);
  await failOver(lyon, groupId);
  const end = { groupId, sessionId: session.id, epoch: 2, discardCopy: false };

  await assert.rejects(endSession(lyon.ports, end), refusal('not_holder'));

  assert.equal((await lyon.app.listSessions()).length, 1);
  assert.equal(paris.trouble.down, false);
});

test('a holder hears of a higher epoch also where the session has ended', async (t) => {
  const { paris, lyon, groupId } = await orders(t);
  await failOver(lyon, groupId);
  paris.trouble.down = true;
  await done(lyon, unprotect(lyon.app, { groupId, discardCopy: false, force: true }));
  paris.trouble.down = false;
  assert.deepEqual((await beatFor(lyon.ports, paris.id, noPlanes)).groups, []);

  await exchangeBeats(paris.ports, lyon.id, noPlanes);

  assert.equal((await paris.app.showGroup(groupId)).ownership.holder, lyon.id);
  assert.equal((await paris.engine.inspect(groupId)).serving, false);
});

test('a point that comes while a failover runs is refused', async (t) => {
  const { lyon, groupId } = await orders(t);
  const { store, clock } = lyon.ports;
  await store.transaction(async (tx) => {
    const sagaId = newId<SagaId>();
    const input = { sessionId: newId(), groupId, pointId: newId(), forkId: newId() } as const;
    await startSaga(tx, waiting, input, { sagaId, groupId, now: clock.now() });
    await lockGroup(tx, groupId, sagaId);
  });
  const point = {
    pointId: newId<PointId>(),
    sequence: 9,
    sealedAt: clock.now(),
    toldAt: clock.now(),
    volumes: [],
    place: '',
    surpasses: undefined,
  };

  await assert.rejects(
    completePoint(lyon.ports, { groupId, epoch: 1, ...point }),
    refusal('operation_running'),
  );
});

test('a late word that opens a standby leaves the destination to the mirror that came after it', async (t) => {
  const { paris, lyon, groupId } = await orders(t, { mode: 'sync' });
  const standby = async (): Promise<StandbyRequest> =>
    paris.ports.store.read(async (tx) => {
      const base = newest(await tx.points.where({ groupId }));
      assert.ok(base);
      const offer = await offerOf(tx, await needSession(tx, groupId));
      const { id: basePointId, volumes } = base;
      return { offer, mirrorId: newId<MirrorId>(), basePointId, volumes };
    });
  const early = await standby();
  await openStandby(lyon.ports, paris.id, early);
  await done(paris, paris.app.synchronizeGroup({ groupId }));
  const late = await standby();
  await openStandby(lyon.ports, paris.id, late);

  await assert.rejects(openStandby(lyon.ports, paris.id, early), refusal('busy'));

  const { session } = await lyon.app.showGroup(groupId);
  assert.equal(session?.sync?.mirrorId, late.mirrorId);
});

test('a group that was taken by force on another point is not handed over as well', async (t) => {
  const { paris, lyon, groupId } = await orders(t);
  await failOver(lyon, groupId);
  const [pointId, sagaId] = [newId<PointId>(), newId<SagaId>()];
  const take = { groupId, epoch: 2, pointId, sagaId, reverse: true };

  await assert.rejects(takeGroup(lyon.ports, paris.id, take), refusal('stale_epoch'));
});

test('a point that waits to be sent goes without a volume that has left the group', async (t) => {
  const { paris, groupId, volumeIds } = await orders(t);
  paris.trouble.lostBefore.add('receivePoint');
  const [volumeId = newId<VolumeId>()] = volumeIds;
  paris.engine.write(groupId, volumeId, 1, 7);
  const { jobId } = await paris.app.synchronizeGroup({ groupId });
  assert.equal((await paris.ended(jobId)).state, 'undone');

  await done(paris, paris.app.removeVolume({ groupId, volumeId }));

  const points = await paris.ports.store.read((tx) => tx.points.where({ groupId }));
  const listed = points.flatMap(({ volumes }) => volumes.map((v) => v.volumeId));
  assert.equal(listed.includes(volumeId), false);
  assert.ok(listed.length > 0);
});

/** Group `orders` of two volumes at paris, replicated to lyon once. */
async function orders(t: TestContext, settings: ModeSettings = {}): Promise<Protected> {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  const volumeIds: VolumeId[] = [];
  for (const name of ['data', 'log']) {
    const made = await paris.app.createVolume({ name, sizeBytes: MIB, groupId });
    await done(paris, Promise.resolve(made));
    volumeIds.push(made.volumeId);
  }
  const wanted = { groupId, peerId: lyon.id, rpoSeconds: 60, ...settings };
  await done(paris, paris.app.protectGroup(wanted));
  await done(paris, paris.app.synchronizeGroup({ groupId }));
  return { ...pair, groupId, volumeIds };
}

async function failOver(site: MemorySite, groupId: GroupId): Promise<void> {
  const { confirmation } = await site.app.preflightFailover({ groupId });
  await done(site, site.app.failOverGroup({ groupId, confirmation }));
}

async function done(site: MemorySite, job: Promise<{ readonly jobId: SagaId }>): Promise<void> {
  const { state, outcome } = await site.ended((await job).jobId);
  assert.equal(state, 'done', outcome?.message ?? '');
}

function refusal(code: ReasonCode): (error: unknown) => boolean {
  return (error) => error instanceof Refusal && error.reason.code === code;
}
