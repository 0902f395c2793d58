/** Failover tests, clones, restores and forks on two sites in memory: what is promised of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { countDownCopies, keepCopiesOpen } from '../../src/app/copies.ts';
import { forgetExpendablePoints } from '../../src/app/forget-points.ts';
import { countDownForks } from '../../src/app/forks.ts';
import { beatFor, meetPeer } from '../../src/app/meet-peer.ts';
import { setAsidePresent } from '../../src/app/set-aside-present.ts';
import type { CopyId, GroupId, SagaId } from '../../src/domain/ids.ts';
import { FORK_TERM_MS } from '../../src/domain/fork.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import type { ReasonCode } from '../../src/domain/refusal.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';

const MIB = 1024 * 1024;
const HOUR_MS = 60 * 60 * 1000;

test('hosts write on a test while cycles go on beneath, and nothing is left of it afterwards', async (t) => {
  const { paris, lyon, groupId, sync, write } = await orders(t);
  await write(1, 1);
  await sync();
  const { copyId } = await opened(lyon, lyon.app.startFailoverTest({ groupId }));
  const host = await attach(lyon, copyId);
  host.write(1, block(9));

  await write(2, 2);
  assert.equal(await sync(), 'done');
  await write(3, 3);

  assert.deepEqual([host.read(1)[0], host.read(2)[0]], [9, 0]);
  assert.equal((await lyon.app.listPoints(groupId)).length, 2);
  await ended(lyon, lyon.app.stopFailoverTest({ groupId }));
  const { copies, forks } = await lyon.engine.inspect(groupId);
  assert.deepEqual([copies, forks, await lyon.app.listCopies({})], [[], [], []]);
  assert.equal(await sync(), 'done');
  assert.equal(paris.engine.read(groupId, await dataOf(paris, groupId), 1)[0], 1);
});

test('a test is refused at the source, twice, and where there is no such point or host', async (t) => {
  const { paris, lyon, groupId, sync } = await orders(t);
  await sync();

  await refused(paris.app.startFailoverTest({ groupId }), 'wrong_state');
  await refused(lyon.app.startFailoverTest({ groupId, hosts: ['nobody'] }), 'not_found');
  await refused(lyon.app.startFailoverTest({ groupId, termSeconds: 1 }), 'invalid');
  await refused(lyon.app.stopFailoverTest({ groupId }), 'not_found');
  await opened(lyon, lyon.app.startFailoverTest({ groupId }));
  await refused(lyon.app.startFailoverTest({ groupId }), 'already_exists');
  assert.equal((await lyon.app.listCopies({})).length, 1);
});

test('while a test runs there is no handover to its site, no failover without it, no change of members', async (t) => {
  const { paris, lyon, groupId, sync } = await orders(t);
  await sync();
  await opened(lyon, lyon.app.startFailoverTest({ groupId }));

  const { jobId } = await paris.app.handOverGroup({ groupId, reverse: true });
  const handover = await paris.ended(jobId);
  assert.deepEqual([handover.state, handover.outcome?.reason?.code], ['undone', 'in_use']);
  const { blockedBy } = await lyon.app.preflightFailover({ groupId });
  assert.match(blockedBy.join(), /failover test orders-test/);
  await ended(paris, paris.app.createVolume({ name: 'late', sizeBytes: MIB, groupId }));
  assert.equal(await sync(), 'undone');
  assert.equal((await lyon.app.showGroup(groupId)).volumeIds.length, 1);

  await ended(lyon, lyon.app.stopFailoverTest({ groupId }));
  assert.equal(await sync(), 'done');
  assert.equal((await lyon.app.showGroup(groupId)).volumeIds.length, 2);
});

test('a failover with the test copy serves what the test wrote, and the newer points become a fork', async (t) => {
  const { lyon, groupId, sync, write } = await orders(t);
  await write(1, 1);
  await sync();
  const { copyId } = await opened(lyon, lyon.app.startFailoverTest({ groupId }));
  (await attach(lyon, copyId)).write(1, block(9));
  await write(2, 2);
  await sync();

  const request = { groupId, useTestCopy: true };
  const { confirmation } = await lyon.app.preflightFailover(request);
  await ended(lyon, lyon.app.failOverGroup({ ...request, confirmation }));

  const data = await dataOf(lyon, groupId);
  const seen = [1, 2].map((n) => lyon.engine.read(groupId, data, n)[0]);
  assert.deepEqual(seen, [9, 0]);
  assert.equal((await lyon.app.listForks({ groupId })).length, 1);
  assert.deepEqual(await lyon.app.listCopies({}), []);
});

test('what a test wrote is kept as a fork where that is asked', async (t) => {
  const { lyon, groupId, sync } = await orders(t);
  await sync();
  const { copyId } = await opened(lyon, lyon.app.startFailoverTest({ groupId }));
  (await attach(lyon, copyId)).write(1, block(9));

  await ended(lyon, lyon.app.stopFailoverTest({ groupId, keep: true }));

  const [fork] = await lyon.app.listForks({ groupId });
  assert.equal(fork?.origin, 'failover_test');
  const mount = { groupId, name: 'look', of: { forkId: fork.id }, writable: false };
  const mounted = await opened(lyon, lyon.app.cloneGroup(mount));
  assert.equal((await attach(lyon, mounted.copyId)).read(1)[0], 9);
});

test('a test outlives its data plane and its control process, and ends by its term, not by the clock', async (t) => {
  const { lyon, groupId, sync, clock } = await orders(t);
  await sync();
  const { copyId } = await opened(
    lyon,
    lyon.app.startFailoverTest({ groupId, termSeconds: 2 * 3600 }),
  );
  (await attach(lyon, copyId)).write(1, block(9));

  lyon.engine.crashCopy(groupId, copyId);
  await lyon.restart();
  await keepCopiesOpen(lyon.ports);
  assert.equal((await attach(lyon, copyId)).read(1)[0], 9);

  clock.setForward(3 * HOUR_MS);
  await countDownCopies(lyon.ports, 60_000);
  assert.equal((await lyon.app.listCopies({}))[0]?.state, 'open');
  await countDownCopies(lyon.ports, 2 * HOUR_MS);
  await allEnded(lyon);
  assert.deepEqual((await lyon.engine.inspect(groupId)).copies, []);
});

test('a fork is kept for its whole term, whatever the clock says meanwhile', async (t) => {
  const { paris, groupId, sync, write, clock } = await orders(t);
  await sync();
  await write(1, 1);
  await restoreOldest(paris, groupId);

  clock.setForward(30 * 24 * HOUR_MS);
  await countDownForks(paris.ports, HOUR_MS);
  const [fork] = await paris.app.listForks({ groupId });
  assert.ok(fork, 'a clock that is a month ahead ends nothing');
  assert.equal(fork.expiresAt, clock.now() + FORK_TERM_MS - HOUR_MS);

  await countDownForks(paris.ports, FORK_TERM_MS);
  assert.deepEqual(await paris.app.listForks({ groupId }), []);
  assert.deepEqual((await paris.engine.inspect(groupId)).forks, []);
});

test('a restore sets the present aside, the destination follows as a delta, and it can be undone', async (t) => {
  const { paris, lyon, groupId, sync, write } = await orders(t);
  await write(1, 1);
  await sync();
  await write(1, 2);
  await sync();
  await write(1, 3);
  const data = await dataOf(paris, groupId);

  await restoreOldest(paris, groupId);
  assert.equal(paris.engine.read(groupId, data, 1)[0], 1);
  assert.equal(await sync(), 'done');

  const [session] = await paris.app.listSessions();
  assert.equal(session?.lastCycle?.kind, 'delta');
  await sameAtBoth(paris, lyon, groupId);
  assert.equal((await lyon.app.listForks({ groupId })).length, 1);

  const [fork] = await paris.app.listForks({ groupId });
  await restore(paris, groupId, { forkId: fork!.id });
  assert.equal(paris.engine.read(groupId, data, 1)[0], 3);
  assert.equal(await sync(), 'done');
  await sameAtBoth(paris, lyon, groupId);
  assert.equal((await paris.app.listForks({ groupId })).length, 1);
});

test('where the destination let go of the point, a restore is followed by a comparison of all bytes', async (t) => {
  const { paris, lyon, groupId, sync, write } = await orders(t);
  for (let n = 1; n <= 12; n += 1) {
    await write(1, n);
    await sync();
  }
  const [oldest] = await paris.app.listPoints(groupId);
  await forgetExpendablePoints(lyon.ports);
  assert.ok(!(await lyon.app.listPoints(groupId)).some(({ id }) => id === oldest!.id));
  await restoreOldest(paris, groupId);

  assert.equal(await sync(), 'done');

  const [session] = await paris.app.listSessions();
  assert.match(session?.lastCycle?.why ?? '', /no point in common: .* bytes were compared/);
  await sameAtBoth(paris, lyon, groupId);
  await write(2, 2);
  assert.equal(await sync(), 'done');
  assert.match((await paris.app.listSessions())[0]?.lastCycle?.why ?? '', /changes since point/);
  const { confirmation } = await lyon.app.preflightFailover({ groupId });
  await ended(lyon, lyon.app.failOverGroup({ groupId, confirmation }));
  const data = await dataOf(lyon, groupId);
  const seen = [1, 2].map((n) => lyon.engine.read(groupId, data, n)[0]);
  assert.deepEqual(seen, [1, 2]);
});

test('a point that is there complete is not sent again where the source has forgotten that it was', async (t) => {
  const { paris, lyon, groupId, sync, write } = await orders(t);
  await write(1, 1);
  await sync();
  await write(1, 2);
  paris.trouble.lostAfter.add('completePoint');
  assert.equal(await sync(), 'undone');
  paris.trouble.lostAfter.clear();
  const held = paris.engine.held(groupId);
  assert.ok(held?.sent);
  held.sent = undefined;

  assert.equal(await sync(), 'done');

  assert.equal((await paris.app.listSessions())[0]?.lastCycle?.sentBytes, 0);
  await sameAtBoth(paris, lyon, groupId);
});

test('a restore needs the confirmation, the holder, and a point of the volumes that the group has', async (t) => {
  const { paris, lyon, groupId, sync } = await orders(t);
  await sync();
  const [point] = await paris.app.listPoints(groupId);
  const to = { pointId: point!.id };

  await refused(paris.app.restoreGroup({ groupId, to }), 'confirmation_needed');
  await refused(lyon.app.restoreGroup({ groupId, to }), 'not_holder');
  await ended(paris, paris.app.createVolume({ name: 'late', sizeBytes: MIB, groupId }));
  await refused(paris.app.restoreGroup({ groupId, to }), 'unsupported');
});

test('after a failover the old site goes back with its own writes, and the other keeps what it wrote', async (t) => {
  const pair = await orders(t);
  const { paris, lyon, groupId, sync, write, hear } = pair;
  await write(1, 1);
  await sync();
  await write(1, 2);
  const taken = await lyon.app.preflightFailover({ groupId });
  await ended(lyon, lyon.app.failOverGroup({ groupId, confirmation: taken.confirmation }));
  lyon.engine.write(groupId, await dataOf(lyon, groupId), 5, 5);
  await hear(lyon, paris);
  const [lost] = await paris.app.listForks({ groupId });

  const request = { groupId, forkId: lost!.id, force: true };
  await refused(paris.app.failOverGroup({ ...request, force: false }), 'wrong_state');
  const { confirmation } = await paris.app.preflightFailover(request);
  await ended(paris, paris.app.failOverGroup({ ...request, confirmation }));
  await hear(paris, lyon);

  assert.equal(paris.engine.read(groupId, await dataOf(paris, groupId), 1)[0], 2);
  const kept = (await lyon.app.listForks({ groupId })).filter((fork) => fork.siteId === lyon.id);
  assert.equal(kept.length, 1);
  assert.equal((await paris.app.showGroup(groupId)).ownership.epoch, 3);
});

test('a clone keeps what it shows while the group goes on, is refreshed, and holds its volumes', async (t) => {
  const { paris, lyon, groupId, sync, write } = await orders(t);
  await write(1, 1);
  await sync();
  const asked = { groupId, name: 'look', writable: true };
  const { copyId } = await opened(lyon, lyon.app.cloneGroup(asked));
  (await attach(lyon, copyId)).write(2, block(8));
  for (let n = 2; n <= 12; n += 1) {
    await write(1, n);
    await sync();
  }

  const before = await attach(lyon, copyId);
  assert.deepEqual([before.read(1)[0], before.read(2)[0]], [1, 8]);
  await refused(lyon.app.cloneGroup(asked), 'already_exists');
  await ended(lyon, lyon.app.refreshClone({ copyId }));
  const after = await attach(lyon, copyId);
  assert.deepEqual([after.read(1)[0], after.read(2)[0]], [12, 0]);

  const there = await opened(paris, paris.app.cloneGroup({ ...asked, name: 'there' }));
  const volumeId = await dataOf(paris, groupId);
  await refused(paris.app.removeVolume({ groupId, volumeId }), 'in_use');
  await ended(paris, paris.app.discardCopy({ copyId: there.copyId }));
});

interface Orders extends MemoryPair {
  readonly groupId: GroupId;
  readonly write: (block: number, fill: number) => Promise<void>;
  /** @returns how the cycle ended */
  readonly sync: () => Promise<string>;
  readonly hear: (from: MemorySite, at: MemorySite) => Promise<void>;
}

/** Group `orders` of one volume, mapped to a host at both sites, replicated from Paris to Lyon. */
async function orders(t: TestContext): Promise<Orders> {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  await ended(paris, paris.app.createVolume({ name: 'data', sizeBytes: MIB, groupId }));
  const { host } = await paris.app.createHost({ name: 'app1' });
  await lyon.app.createHost({ name: 'app1' });
  await paris.app.mapHost({ groupId, hostId: host.id });
  await ended(paris, paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
  return {
    ...pair,
    groupId,
    write: async (n, fill) => {
      paris.engine.write(groupId, await dataOf(paris, groupId), n, fill);
    },
    sync: async () => {
      const { jobId } = await paris.app.synchronizeGroup({ groupId });
      return (await paris.ended(jobId)).state;
    },
    hear: async (from, at) => {
      const plane = { dataPlane: 'running', instance: undefined } as const;
      await meetPeer(at.ports, await beatFor(from.ports, at.id, () => plane));
      await setAsidePresent(at.ports, { groupId });
      await allEnded(at);
    },
  };
}

async function ended(site: MemorySite, job: Promise<{ readonly jobId: SagaId }>): Promise<void> {
  const { state, outcome } = await site.ended((await job).jobId);
  assert.equal(state, 'done', outcome?.message ?? '');
}

async function opened<Answer extends { readonly jobId: SagaId; readonly copyId: CopyId }>(
  site: MemorySite,
  job: Promise<Answer>,
): Promise<Answer> {
  await ended(site, job);
  return job;
}

async function allEnded(site: MemorySite): Promise<void> {
  for (const { id } of await site.app.listJobs({})) await site.ended(id);
}

async function dataOf({ app }: MemorySite, groupId: GroupId) {
  const found = (await app.showGroup(groupId)).volumes.find(({ name }) => name === 'data');
  assert.ok(found);
  return found.id;
}

async function attach(site: MemorySite, copyId: CopyId) {
  const { opened: seen } = await site.app.showCopy(copyId);
  assert.equal(seen?.dataPlane, 'running');
  return site.engine.attach(seen.address?.port ?? 0, 'data', 'app1');
}

const block = (fill: number): Uint8Array => new Uint8Array(4096).fill(fill);

async function restore(
  site: MemorySite,
  groupId: GroupId,
  to: Parameters<MemorySite['app']['restoreGroup']>[0]['to'],
): Promise<void> {
  const { confirmation } = await site.app.preflightRestore({ groupId, to });
  await ended(site, site.app.restoreGroup({ groupId, to, confirmation }));
}

async function restoreOldest(site: MemorySite, groupId: GroupId): Promise<void> {
  const [oldest] = await site.app.listPoints(groupId);
  await restore(site, groupId, { pointId: oldest!.id });
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
