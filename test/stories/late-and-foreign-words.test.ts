/** Words about a group that do not count: those of an earlier epoch, and those of a third site. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { newId } from '../../src/domain/ids.ts';
import type { GroupId, PointId, SagaId, SessionId, VolumeId } from '../../src/domain/ids.ts';
import { firstOwnership } from '../../src/domain/ownership.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import type { ReasonCode } from '../../src/domain/refusal.ts';
import type { GroupOffer } from '../../src/ports/peer.ts';
import { needSession, offerOf } from '../../src/sagas/offer.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';
import { pictureOf } from '../sagas/picture.ts';

const MIB = 1024 * 1024;

interface Protected extends MemoryPair {
  readonly groupId: GroupId;
  readonly volumeId: VolumeId;
  readonly sessionId: SessionId;
  /** Paris's, of epoch 1. */
  readonly offer: GroupOffer;
}

type Word = (from: MemorySite, to: MemorySite, group: Protected, epoch: number) => Promise<unknown>;

const words: Readonly<Record<string, Word>> = {
  'an offer': (from, to, { offer }, epoch) =>
    from.ports.peer.offerGroup(to.id, { ...offer, ownership: { ...offer.ownership, epoch } }),
  'a point to be received': (from, to, { offer }, epoch) =>
    from.ports.peer.receivePoint(to.id, {
      offer: { ...offer, ownership: { ...offer.ownership, epoch } },
      pointId: newId<PointId>(),
      basePointId: undefined,
      volumes: [],
    }),
  'the completion of a point': (from, to, { groupId }, epoch) =>
    from.ports.peer.completePoint(to.id, {
      groupId,
      epoch,
      pointId: newId<PointId>(),
      sequence: 9,
      sealedAt: 0,
      toldAt: 0,
      volumes: [],
      place: '',
      surpasses: undefined,
    }),
  'the end of its session': (from, to, { groupId, sessionId }, epoch) =>
    from.ports.peer.endSession(to.id, { groupId, sessionId, epoch, discardCopy: true }),
  'the lock of a handover': (from, to, { groupId }, epoch) =>
    from.ports.peer.prepareHandover(to.id, { groupId, epoch, sagaId: newId<SagaId>() }),
  'the growth of a volume': (from, to, { groupId, volumeId }, epoch) =>
    from.ports.peer.resizeVolume(to.id, { groupId, epoch, volumeId, sizeBytes: 2 * MIB }),
};

for (const [name, say] of Object.entries(words)) {
  test(`${name} that comes after the group has changed hands changes nothing`, async (t) => {
    const group = await orders(t);
    const { paris, lyon, groupId } = group;
    // There and back: paris holds it again and lyon receives, two epochs later.
    await done(paris, paris.app.handOverGroup({ groupId, reverse: true }));
    await done(lyon, lyon.app.synchronizeGroup({ groupId }));
    await done(lyon, lyon.app.handOverGroup({ groupId, reverse: true }));
    const before = await pictureOf(group);

    await assert.rejects(say(paris, lyon, group, 1), refusal('stale_epoch'));

    assert.deepEqual(await pictureOf(group), before);
  });

  test(`${name} of a third site changes nothing`, async (t) => {
    const group = await orders(t);
    const { lyon } = group;
    const nice = await group.addSite('nice');
    const { token } = await lyon.app.invitePeer();
    await nice.app.joinPeer({ token });
    const before = await pictureOf(group);

    await assert.rejects(say(nice, lyon, group, 1), (error) =>
      ['peer_untrusted', 'already_protected'].some((code) => refusal(code as ReasonCode)(error)),
    );

    assert.deepEqual(await pictureOf(group), before);
  });
}

test('a third site that says it holds a group is not believed, and is told nothing of it', async (t) => {
  const group = await orders(t);
  const { paris, groupId } = group;
  const nice = await group.addSite('nice');
  const { token } = await paris.app.invitePeer();
  await nice.app.joinPeer({ token });
  const ownership = { ...firstOwnership(nice.id), epoch: 9, forced: true };
  const dataPlane = 'running' as const;
  const nothing = { operation: undefined, instance: undefined, sync: undefined };
  const claim = { groupId, ownership, dataPlane, ...nothing };
  const before = await pictureOf(group);

  const beat = { siteId: nice.id, at: 0, groups: [claim] };
  const answer = await nice.ports.peer.heartbeat(paris.id, beat);

  assert.deepEqual(answer.groups, []);
  assert.deepEqual(await pictureOf(group), before);
});

/** Group `orders` of one volume at paris, replicated to lyon once. */
async function orders(t: TestContext): Promise<Protected> {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  const made = await paris.app.createVolume({ name: 'data', sizeBytes: MIB, groupId });
  await done(paris, Promise.resolve(made));
  const peerId = lyon.id;
  await done(paris, paris.app.protectGroup({ groupId, peerId, rpoSeconds: 60 }));
  await done(paris, paris.app.synchronizeGroup({ groupId }));
  const session = await paris.ports.store.read((tx) => needSession(tx, groupId));
  const offer = await paris.ports.store.read((tx) => offerOf(tx, session));
  return { ...pair, groupId, volumeId: made.volumeId, sessionId: session.id, offer };
}

async function done(site: MemorySite, job: Promise<{ readonly jobId: SagaId }>): Promise<void> {
  const { state, outcome } = await site.ended((await job).jobId);
  assert.equal(state, 'done', outcome?.message ?? '');
}

function refusal(code: ReasonCode): (error: unknown) => boolean {
  return (error) => error instanceof Refusal && error.reason.code === code;
}

test('a word of a session that its source has ended begins no session, and takes no point', async (t) => {
  const { paris, lyon, groupId, offer } = await orders(t);
  await done(paris, paris.app.synchronizeGroup({ groupId }));
  await done(paris, paris.app.unprotectGroup({ groupId, discardCopy: false }));
  const before = await pictureOf({ paris, lyon } as MemoryPair);

  const late = { offer, pointId: newId<PointId>(), basePointId: undefined, volumes: [] };
  await assert.rejects(
    paris.ports.peer.receivePoint(lyon.id, late),
    (error: unknown) => error instanceof Refusal && error.reason.code === 'wrong_state',
  );

  assert.deepEqual(await pictureOf({ paris, lyon } as MemoryPair), before);
});
