/** Failovers that are provisional for a term, on two sites in memory: what is promised of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { countDownWindows } from '../../src/app/decide-failover.ts';
import { countDownForks } from '../../src/app/forks.ts';
import { beatFor, exchangeBeats, meetPeer } from '../../src/app/meet-peer.ts';
import { setAsidePresent } from '../../src/app/set-aside-present.ts';
import { FORK_TERM_MS } from '../../src/domain/fork.ts';
import { newId } from '../../src/domain/ids.ts';
import type { ForkId, GroupId, SagaId } from '../../src/domain/ids.ts';
import { Failure, Refusal } from '../../src/domain/refusal.ts';
import type { ReasonCode } from '../../src/domain/refusal.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';

const MIB = 1024 * 1024;
const LIMIT_MS = 10_000;
const HOUR_MS = 60 * 60 * 1000;
const running = { dataPlane: 'running', instance: undefined } as const;

test('a rollback brings back what the old holder had, keeps what the new one wrote, and replicates on', async (t) => {
  const { paris, lyon, groupId, read, hear, rollBack } = await taken(t);
  const { ownership: before } = await paris.app.showGroup(groupId);
  await hear(lyon, paris);
  await rollBack();

  assert.deepEqual(await read(paris), [1, 2, 0]);
  const { ownership, heldHere, session } = await paris.app.showGroup(groupId);
  assert.deepEqual([heldHere, ownership.epoch, ownership.forced], [true, 3, false]);
  assert.deepEqual(ownership.history, before.history);
  assert.deepEqual([session?.role, session?.state], ['source', 'ok']);
  const forks = await lyon.app.listForks({ groupId });
  assert.deepEqual(
    forks.map(({ origin, siteId }) => [origin, siteId === lyon.id]),
    [['rollback', true]],
  );

  await ended(paris, paris.app.synchronizeGroup({ groupId }));
  assert.equal((await paris.app.showGroup(groupId)).session?.lastCycle?.kind, 'delta');
  await sameAtBoth(paris, lyon, groupId);
});

test('a host that was unmapped while a failover was provisional stays outside after the rollback', async (t) => {
  const { paris, lyon, groupId, hear, rollBack } = await taken(t);
  await hear(lyon, paris);
  const [host] = await lyon.app.listHosts();
  assert.ok(host);
  await lyon.app.unmapHost({ groupId, hostId: host.id });
  await rollBack();

  assert.deepEqual((await paris.app.showGroup(groupId)).hosts, []);
  const { address } = await paris.engine.inspect(groupId);
  assert.throws(() => paris.engine.attach(address?.port ?? 0, 'data', 'app1'), /app1/);
});

test('what the new holder wrote before a rollback can be mounted from the fork', async (t) => {
  const { paris, lyon, groupId, hear, rollBack } = await taken(t);
  await hear(lyon, paris);
  await rollBack();

  const [fork] = await lyon.app.listForks({ groupId });
  const of = { forkId: fork!.id };
  const mount = lyon.app.cloneGroup({ groupId, name: 'look', of, writable: false });
  await ended(lyon, mount);
  const { opened } = await lyon.app.showCopy((await mount).copyId);
  const host = lyon.engine.attach(opened?.address?.port ?? 0, 'data', 'app1');
  assert.deepEqual([host.read(1)[0], host.read(2)[0], host.read(3)[0]], [1, 0, 3]);
});

test('until the old holder has set its own history aside a rollback is undone, and hosts write on', async (t) => {
  const { paris, lyon, groupId, rollBack } = await taken(t);
  const { blockedBy } = await lyon.app.preflightRollback({ groupId });
  assert.match(blockedBy.join(), /has not set its own history aside yet/);

  paris.trouble.down = true;
  lyon.trouble.down = true;
  await assert.rejects(rollBack(), /undone/);

  assert.equal((await lyon.engine.inspect(groupId)).serving, true);
  const { window, ownership, operation } = await lyon.app.showGroup(groupId);
  assert.deepEqual([ownership.epoch, ownership.provisional, operation], [2, true, undefined]);
  assert.ok(window);
});

test('while a failover is provisional nothing else changes the group; once it is committed it does', async (t) => {
  const { paris, lyon, groupId, hear } = await taken(t);
  await hear(lyon, paris);
  const [volume] = (await lyon.app.showGroup(groupId)).volumes;
  const to = { pointId: (await lyon.app.listPoints(groupId))[0]!.id };
  const { confirmation } = await lyon.app.preflightRestore({ groupId, to });

  await refused(lyon.app.reprotectGroup({ groupId }), 'in_use');
  await refused(lyon.app.unprotectGroup({ groupId, discardCopy: false, force: true }), 'in_use');
  await refused(lyon.app.createVolume({ name: 'late', sizeBytes: MIB, groupId }), 'in_use');
  await refused(lyon.app.deleteVolume({ volumeId: volume!.id }), 'in_use');
  await refused(lyon.app.restoreGroup({ groupId, to, confirmation }), 'in_use');
  await refused(paris.app.commitFailover({ groupId }), 'not_holder');

  await lyon.app.commitFailover({ groupId });
  await hear(lyon, paris);
  for (const site of [lyon, paris]) {
    const { ownership, window } = await site.app.showGroup(groupId);
    assert.deepEqual([ownership.epoch, ownership.provisional, window], [2, undefined, undefined]);
  }
  await refused(lyon.app.commitFailover({ groupId }), 'wrong_state');
  await refused(lyon.app.rollBackFailover({ groupId }), 'wrong_state');
  await ended(lyon, lyon.app.reprotectGroup({ groupId }));
});

test('a term that passes commits the failover, by time that was counted and not by the clock', async (t) => {
  const { lyon, groupId, clock } = await taken(t);

  clock.setForward(30 * 24 * HOUR_MS);
  await countDownWindows(lyon.ports, HOUR_MS);
  const { window } = await lyon.app.showGroup(groupId);
  assert.equal(window?.endsAt, clock.now() + 3 * HOUR_MS);

  await countDownWindows(lyon.ports, 3 * HOUR_MS);
  assert.equal((await lyon.app.showGroup(groupId)).window, undefined);
  await refused(lyon.app.rollBackFailover({ groupId }), 'wrong_state');
});

test('what the old holder set aside outlives its term while it may be returned to, and then goes', async (t) => {
  const { paris, lyon, groupId, hear } = await taken(t);
  await hear(lyon, paris);
  const [fork] = await paris.app.listForks({ groupId });
  assert.ok(fork);

  await refused(paris.app.discardFork({ forkId: fork.id }), 'in_use');
  await countDownForks(paris.ports, FORK_TERM_MS);
  assert.equal((await paris.app.listForks({ groupId })).length, 1);

  await lyon.app.commitFailover({ groupId });
  await hear(lyon, paris);
  await countDownForks(paris.ports, 1);
  assert.deepEqual(await paris.app.listForks({ groupId }), []);
  assert.deepEqual((await paris.engine.inspect(groupId)).forks, []);
});

test('a fork that cannot be discarded keeps no other from its end, and is discarded when it can', async (t) => {
  const { paris, lyon, groupId, hear } = await taken(t);
  await hear(lyon, paris);
  await lyon.app.commitFailover({ groupId });
  await hear(lyon, paris);
  const [fork] = await paris.app.listForks({ groupId });
  assert.ok(fork);
  const other = { ...fork, id: newId<ForkId>(), siteId: lyon.id };
  await paris.ports.store.transaction((tx) => tx.forks.insert(other));
  const discardFork = paris.engine.discardFork.bind(paris.engine);
  paris.engine.discardFork = () => Promise.reject(new Failure('another stands on it'));

  await countDownForks(paris.ports, FORK_TERM_MS);
  assert.deepEqual(
    (await paris.app.listForks({ groupId })).map(({ id, leftMs }) => [id, leftMs]),
    [[fork.id, 0]],
  );

  paris.engine.discardFork = discardFork;
  await countDownForks(paris.ports, 1);
  assert.deepEqual(await paris.app.listForks({ groupId }), []);
});

test('a rollback needs the confirmation, and a term lies between a minute and three days', async (t) => {
  const { lyon, groupId } = await taken(t);
  await refused(lyon.app.rollBackFailover({ groupId }), 'confirmation_needed');

  const other = await orders(t);
  const request = { groupId: other.groupId };
  const { confirmation } = await other.lyon.app.preflightFailover(request);
  for (const commitAfterSeconds of [59, 72 * 3600 + 1, 60.5]) {
    const wrong = { ...request, confirmation, commitAfterSeconds };
    await refused(other.lyon.app.failOverGroup(wrong), 'invalid');
  }
  assert.equal((await other.lyon.app.showGroup(other.groupId)).ownership.epoch, 1);
});

test('a rollback whose other site went silent after it was given back is ended by a failover', async (t) => {
  const { paris, lyon, groupId, hear } = await taken(t);
  await hear(lyon, paris);
  lyon.trouble.lostBefore.add('returnGroup');
  const { confirmation } = await lyon.app.preflightRollback({ groupId });
  const { jobId } = await lyon.app.rollBackFailover({ groupId, confirmation });
  await passedPointOfNoReturn(lyon, jobId);

  const request = { groupId, force: true };
  const preflight = await lyon.app.preflightFailover(request);
  const again = lyon.app.failOverGroup({ ...request, confirmation: preflight.confirmation });
  await ended(lyon, again);
  await hear(lyon, paris);
  lyon.trouble.lostBefore.delete('returnGroup');
  assert.equal((await lyon.ended(jobId)).state, 'done');
  // The next heartbeat no longer names the rollback.
  await exchangeBeats(paris.ports, lyon.id, () => running);

  for (const site of [paris, lyon]) {
    const { ownership, operation } = await site.app.showGroup(groupId);
    assert.deepEqual([ownership.holder, ownership.epoch, operation], [lyon.id, 4, undefined]);
  }
  assert.equal((await lyon.engine.inspect(groupId)).serving, true);
});

test('a failover that ends an unanswered handover cannot be provisional: who would it go back to', async (t) => {
  const { paris, lyon, groupId } = await orders(t);
  paris.trouble.lostBefore.add('takeGroup');
  const { jobId } = await paris.app.handOverGroup({ groupId, to: lyon.id, reverse: true });
  await passedPointOfNoReturn(paris, jobId);
  const request = { groupId, force: true };
  const { confirmation } = await paris.app.preflightFailover(request);
  const provisional = { ...request, confirmation, commitAfterSeconds: 3600 };

  assert.match(
    (await paris.app.preflightFailover(provisional)).blockedBy.join(),
    /not answered this site's handover/,
  );
  await refused(paris.app.failOverGroup(provisional), 'invalid');
  await ended(paris, paris.app.failOverGroup({ ...request, confirmation }));

  assert.equal((await paris.app.showGroup(groupId)).ownership.holder, paris.id);
});

test('a rollback that is ended by a failover leaves the old holder closed, also where that has not heard of it', async (t) => {
  const { paris, lyon, groupId, hear } = await taken(t);
  await hear(lyon, paris);
  lyon.trouble.lostBefore.add('returnGroup');
  const { confirmation } = await lyon.app.preflightRollback({ groupId });
  const { jobId } = await lyon.app.rollBackFailover({ groupId, confirmation });
  await passedPointOfNoReturn(lyon, jobId);

  const request = { groupId, force: true };
  const preflight = await lyon.app.preflightFailover(request);
  const again = lyon.app.failOverGroup({ ...request, confirmation: preflight.confirmation });
  await ended(lyon, again);
  lyon.trouble.lostBefore.delete('returnGroup');
  assert.equal((await lyon.ended(jobId)).state, 'done');

  const { ownership } = await lyon.app.showGroup(groupId);
  assert.deepEqual([ownership.holder, ownership.epoch], [lyon.id, 4]);
  assert.equal((await lyon.engine.inspect(groupId)).serving, true);
  assert.equal((await paris.engine.inspect(groupId)).serving, false);
});

interface Orders extends MemoryPair {
  readonly groupId: GroupId;
  /** What blocks 1 to 3 are filled with. */
  readonly read: (at: MemorySite) => Promise<readonly (number | undefined)[]>;
  readonly hear: (from: MemorySite, at: MemorySite) => Promise<void>;
  readonly rollBack: () => Promise<void>;
}

/** Lyon has failed over for four hours: block 2 was written at Paris alone, block 3 at Lyon alone. */
async function taken(t: TestContext): Promise<Orders> {
  const pair = await orders(t);
  const { paris, lyon, groupId } = pair;
  paris.engine.write(groupId, await dataOf(paris, groupId), 2, 2);
  const { confirmation } = await lyon.app.preflightFailover({ groupId });
  const request = { groupId, confirmation, commitAfterSeconds: 4 * 3600 };
  await ended(lyon, lyon.app.failOverGroup(request));
  lyon.engine.write(groupId, await dataOf(lyon, groupId), 3, 3);
  return pair;
}

/** Group `orders` of one volume, replicated from Paris to Lyon with block 1 written. */
async function orders(t: TestContext): Promise<Orders> {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  await ended(paris, paris.app.createVolume({ name: 'data', sizeBytes: MIB, groupId }));
  const { host } = await paris.app.createHost({ name: 'app1' });
  await lyon.app.createHost({ name: 'app1' });
  await paris.app.mapHost({ groupId, hostId: host.id });
  await ended(paris, paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
  paris.engine.write(groupId, await dataOf(paris, groupId), 1, 1);
  await ended(paris, paris.app.synchronizeGroup({ groupId }));
  return {
    ...pair,
    groupId,
    read: async (at) => {
      const data = await dataOf(at, groupId);
      return [1, 2, 3].map((n) => at.engine.read(groupId, data, n)[0]);
    },
    hear: async (from, at) => {
      await meetPeer(at.ports, await beatFor(from.ports, at.id, () => running));
      if ((await at.engine.inspect(groupId)).hasPresent) {
        await setAsidePresent(at.ports, { groupId });
      }
      for (const { id } of await at.app.listJobs({})) await at.ended(id);
    },
    rollBack: async () => {
      const { confirmation } = await lyon.app.preflightRollback({ groupId });
      await ended(lyon, lyon.app.rollBackFailover({ groupId, confirmation }));
    },
  };
}

async function ended(site: MemorySite, job: Promise<{ readonly jobId: SagaId }>): Promise<void> {
  const { state, outcome } = await site.ended((await job).jobId);
  assert.equal(state, 'done', `${state}: ${outcome?.message ?? ''}`);
}

async function passedPointOfNoReturn({ app }: MemorySite, jobId: SagaId): Promise<void> {
  await waitUntil('the group is given back', LIMIT_MS, async () => {
    const { steps } = await app.showJob(jobId);
    return steps.find(({ name }) => name === 'point-of-no-return');
  });
}

async function dataOf({ app }: MemorySite, groupId: GroupId) {
  const found = (await app.showGroup(groupId)).volumes.find(({ name }) => name === 'data');
  assert.ok(found);
  return found.id;
}

async function sameAtBoth(one: MemorySite, other: MemorySite, groupId: GroupId): Promise<void> {
  const pointId = (await one.app.listPoints(groupId)).at(-1)!.id;
  const hashes = await Promise.all(
    [one, other].map(({ app }) => app.hashPoint({ groupId, pointId })),
  );
  assert.deepEqual(hashes[0], hashes[1]);
}

async function refused(asked: Promise<unknown>, code: ReasonCode): Promise<void> {
  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof Refusal, String(error));
    assert.equal(error.reason.code, code, error.message);
    return true;
  });
}
