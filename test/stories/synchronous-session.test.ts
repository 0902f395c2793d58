import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { DataConditionState } from '../../src/domain/data-condition.ts';

import { newId } from '../../src/domain/ids.ts';
import type { GroupId, PointId, SagaId, VolumeId } from '../../src/domain/ids.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';
import { lookAfter } from '../support/memory-watches.ts';
import type { ModeSettings } from '../../src/app/session-mode.ts';
import type { SessionView } from '../../src/app/views.ts';

const MIB = 1024 * 1024;
const ROUNDS_LIMIT = 5000;

interface Orders extends MemoryPair {
  readonly groupId: GroupId;
  readonly volumeId: VolumeId;
}

/** Group `orders` of one volume at paris, replicated to lyon; both sites look after their groups. */
async function orders(t: TestContext, settings: ModeSettings = { mode: 'sync' }): Promise<Orders> {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  const { jobId, volumeId } = await paris.app.createVolume({
    name: 'data',
    sizeBytes: MIB,
    groupId,
  });
  await done(paris, jobId);
  for (const site of [paris, lyon]) lookAfter(t, site);
  const wanted = { groupId, peerId: lyon.id, rpoSeconds: 3600, ...settings };
  await done(paris, (await paris.app.protectGroup(wanted)).jobId);
  return { ...pair, groupId, volumeId };
}

async function done(site: MemorySite, jobId: SagaId): Promise<void> {
  const { state, outcome } = await site.ended(jobId);
  assert.equal(state, 'done', outcome?.message ?? 'it was undone');
}

async function sessionAt(site: MemorySite, groupId: GroupId): Promise<SessionView> {
  const { session } = await site.app.showGroup(groupId);
  assert.ok(session);
  return session;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < ROUNDS_LIMIT; round += 1) {
    if (await holds()) return;
    await turn();
  }
  assert.fail(`wanted ${what}`);
}

function becomes(site: MemorySite, groupId: GroupId, state: DataConditionState): Promise<void> {
  return until(`${state} at ${site.name}`, async () => {
    return (await sessionAt(site, groupId)).sync?.condition.state === state;
  });
}

async function failOver(site: MemorySite, groupId: GroupId): Promise<number | undefined> {
  const { confirmation } = await site.app.preflightFailover({ groupId });
  const { jobId, loss } = await site.app.failOverGroup({ groupId, confirmation });
  await done(site, jobId);
  return loss.completeUpTo;
}

function readTag(site: MemorySite, { groupId, volumeId }: Orders, block: number): number {
  return site.engine.read(groupId, volumeId, block)[0] ?? 0;
}

/** From now on neither hears of the other, and no block passes. */
function part({ paris, lyon, network }: Orders): void {
  paris.trouble.down = true;
  lyon.trouble.down = true;
  network.cut();
}

function meetAgain({ paris, lyon, network }: Orders): void {
  paris.trouble.down = false;
  lyon.trouble.down = false;
  network.mend();
}

test('a synchronous session comes into sync by itself, and both sites know', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId } = world;

  await becomes(paris, groupId, 'in_sync');
  await becomes(lyon, groupId, 'in_sync');

  assert.ok((await sessionAt(lyon, groupId)).sync?.completeUpTo);
});

test('a failover of a group in sync loses no write that was acknowledged', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  for (let block = 0; block < 20; block += 1)
    paris.engine.write(groupId, volumeId, block, block + 1);
  part(world);

  const completeUpTo = await failOver(lyon, groupId);

  assert.ok(completeUpTo);
  for (let block = 0; block < 20; block += 1) assert.equal(readTag(lyon, world, block), block + 1);
  const [point] = (await lyon.app.listPoints(groupId)).toReversed();
  assert.equal(point?.sealedAt, completeUpTo);
});

test('after a loss the session is fractured, and a failover says up to when it is complete', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  paris.engine.write(groupId, volumeId, 0, 1);
  part(world);
  paris.engine.write(groupId, volumeId, 1, 2);
  await becomes(paris, groupId, 'fractured');
  const { sync } = await sessionAt(paris, groupId);

  const completeUpTo = await failOver(lyon, groupId);

  assert.ok(completeUpTo !== undefined && completeUpTo <= (sync?.condition.since ?? 0));
  assert.deepEqual([readTag(lyon, world, 0), readTag(lyon, world, 1)], [1, 0]);
});

test('a failover tells that nothing came later where hosts are held, and not where they go on', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId } = world;
  const sessionId = (await sessionAt(paris, groupId)).id;
  const tells = async (): Promise<boolean> =>
    (await lyon.app.preflightFailover({ groupId })).nothingAfter;
  await becomes(lyon, groupId, 'in_sync');
  assert.equal(await tells(), false);

  await paris.app.changeSession({ sessionId, onLoss: 'hold' });
  await until('it tells so', tells);
  assert.equal((await sessionAt(lyon, groupId)).sync?.condition.state, 'in_sync');
  await paris.app.releaseHosts({ sessionId, by: 'the harness' });
  await until('it tells so no more', async () => !(await tells()));
  await becomes(lyon, groupId, 'in_sync');
  await until('it tells so again', tells);
  part(world);

  assert.equal(await tells(), true);
});

test('a standby that a handover made a point, and then nobody heard of it, is what a failover stands on', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  paris.engine.write(groupId, volumeId, 0, 1);
  await becomes(lyon, groupId, 'in_sync');
  const { mirrorId } = lyon.engine.held(groupId)?.standby?.request ?? {};
  assert.ok(mirrorId);
  part(world);

  const kept = newId<PointId>();
  await lyon.engine.keepStandby(groupId, mirrorId, kept);
  await failOver(lyon, groupId);

  assert.equal(readTag(lyon, world, 0), 1);
  assert.equal((await lyon.app.showGroup(groupId)).ownership.history.pointId, kept);
});

test('a session that was fractured comes back into sync by a delta, and loses nothing then', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  part(world);
  paris.engine.write(groupId, volumeId, 1, 2);
  await becomes(paris, groupId, 'fractured');
  paris.engine.write(groupId, volumeId, 2, 3);

  meetAgain(world);
  await becomes(paris, groupId, 'in_sync');
  paris.engine.write(groupId, volumeId, 3, 4);
  part(world);
  assert.equal((await sessionAt(paris, groupId)).lastCycle?.kind, 'delta');
  await failOver(lyon, groupId);

  assert.deepEqual(
    [1, 2, 3].map((block) => readTag(lyon, world, block)),
    [2, 3, 4],
  );
});

test('a return whose copies differ is seen before the session is in sync, and is put right', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  part(world);
  paris.engine.write(groupId, volumeId, 1, 2);
  await becomes(paris, groupId, 'fractured');
  spoilNextMirror(lyon, world);

  meetAgain(world);
  await becomes(paris, groupId, 'in_sync');
  await becomes(lyon, groupId, 'in_sync');

  assert.ok(paris.logged.some(({ event }) => event === 'mirror_differs'));
  part(world);
  await failOver(lyon, groupId);
  assert.equal(readTag(lyon, world, 1), 2);
});

/** The standby that is opened next loses what it was given, once. */
function spoilNextMirror({ engine }: MemorySite, { groupId, volumeId }: Orders): void {
  const open = engine.openStandby.bind(engine);
  engine.openStandby = async (request) => {
    const target = await open(request);
    engine.openStandby = open;
    const { content } = engine.held(groupId)?.standby ?? assert.fail('no standby');
    const volume = content.get(volumeId) ?? assert.fail('no volume');
    content.set(volumeId, { ...volume, blocks: new Map() });
    return target;
  };
}

test('a point that comes after the loss takes the place of the standby', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  paris.engine.write(groupId, volumeId, 0, 1);
  lyon.engine.crashDataPlane(groupId);
  paris.engine.write(groupId, volumeId, 0, 9);
  await becomes(paris, groupId, 'fractured');
  await becomes(paris, groupId, 'in_sync');
  part(world);

  await failOver(lyon, groupId);

  assert.equal(readTag(lyon, world, 0), 9);
});

test('a group in sync is handed over without a transfer, and replicates back in sync', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  paris.engine.write(groupId, volumeId, 5, 7);
  const before = (await sessionAt(paris, groupId)).lastCycle;

  await done(paris, (await paris.app.handOverGroup({ groupId, reverse: true })).jobId);

  assert.deepEqual((await sessionAt(paris, groupId)).lastCycle, before);
  assert.equal(readTag(lyon, world, 5), 7);
  await becomes(lyon, groupId, 'in_sync');
  await becomes(paris, groupId, 'in_sync');
  lyon.engine.write(groupId, volumeId, 6, 8);
  part(world);
  await failOver(paris, groupId);
  assert.deepEqual(
    [5, 6].map((block) => readTag(paris, world, block)),
    [7, 8],
  );
});

test('a handover whose mirror fails at the last moment sends what is missing', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  paris.engine.write(groupId, volumeId, 5, 7);
  lyon.engine.crashDataPlane(groupId);

  await done(paris, (await paris.app.handOverGroup({ groupId, reverse: true })).jobId);

  assert.equal(readTag(lyon, world, 5), 7);
});

test('a session changes between both modes while hosts write, without a full copy', async (t) => {
  const world = await orders(t, {});
  const { paris, lyon, groupId, volumeId } = world;
  await until(
    'a first point',
    async () => (await sessionAt(paris, groupId)).newestPoint !== undefined,
  );
  const { id: sessionId } = await sessionAt(paris, groupId);
  paris.engine.write(groupId, volumeId, 0, 1);

  await paris.app.changeSession({ sessionId, mode: 'sync' });
  await becomes(paris, groupId, 'in_sync');
  paris.engine.write(groupId, volumeId, 1, 2);
  await paris.app.changeSession({ sessionId, mode: 'async' });
  paris.engine.write(groupId, volumeId, 2, 3);
  await until('an asynchronous session', async () => {
    const [here, there] = [await sessionAt(paris, groupId), await sessionAt(lyon, groupId)];
    return here.sync === undefined && there.sync?.completeUpTo === undefined;
  });

  assert.equal((await sessionAt(paris, groupId)).lastCycle?.kind, 'delta');
  assert.equal(await paris.engine.inspectMirror(groupId), undefined);
  part(world);
  await failOver(lyon, groupId);
  assert.deepEqual(
    [0, 1].map((block) => readTag(lyon, world, block)),
    [1, 2],
  );
});

test('a paused session mirrors nothing, and says so before', async (t) => {
  const world = await orders(t);
  const { paris, groupId } = world;
  await becomes(paris, groupId, 'in_sync');
  const { id: sessionId } = await sessionAt(paris, groupId);

  await paris.app.pauseSession({ sessionId, by: 'admin' });
  await becomes(paris, groupId, 'fractured');
  await until('no mirror', async () => (await paris.engine.inspectMirror(groupId)) === undefined);
  await paris.app.resumeSession({ sessionId });

  await becomes(paris, groupId, 'in_sync');
});

test('a source whose data plane died opens to hosts only once the session is fractured', async (t) => {
  const world = await orders(t);
  const { paris, groupId } = world;
  await becomes(paris, groupId, 'in_sync');
  const serve = paris.engine.serve.bind(paris.engine);
  const seen: unknown[] = [];
  paris.engine.serve = async (id, access) => {
    seen.push((await sessionAt(paris, groupId)).sync?.condition.state);
    return serve(id, access);
  };

  paris.engine.crashDataPlane(groupId);
  await until('it is served again', async () => seen.length > 0);

  assert.deepEqual(seen[0], 'fractured');
  await becomes(paris, groupId, 'in_sync');
});

test('heartbeats that are missing fracture a session whose mirror is well, and their return mends it', async (t) => {
  const world = await orders(t);
  const { paris, lyon, groupId } = world;
  await becomes(paris, groupId, 'in_sync');
  const before = (await sessionAt(paris, groupId)).sync?.mirrorId;

  paris.trouble.down = true;
  lyon.trouble.down = true;
  await becomes(paris, groupId, 'fractured');
  meetAgain(world);
  await becomes(paris, groupId, 'in_sync');

  assert.equal((await sessionAt(paris, groupId)).sync?.mirrorId, before);
});

test('a session that holds keeps its hosts waiting, and nothing is missing at a failover', async (t) => {
  const world = await orders(t, { mode: 'sync', onLoss: 'hold' });
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  await becomes(lyon, groupId, 'in_sync');
  paris.engine.write(groupId, volumeId, 0, 1);
  part(world);

  assert.throws(() => paris.engine.write(groupId, volumeId, 0, 2), /waits/);
  await becomes(paris, groupId, 'fractured');
  assert.throws(() => paris.engine.write(groupId, volumeId, 1, 2), /waits/);
  await failOver(lyon, groupId);

  assert.deepEqual([readTag(lyon, world, 0), readTag(lyon, world, 1)], [1, 0]);
});

test('hosts that are held go on with the link, by the same mirror', async (t) => {
  const world = await orders(t, { mode: 'sync', onLoss: 'hold' });
  const { paris, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  const before = (await sessionAt(paris, groupId)).sync?.mirrorId;
  part(world);
  assert.throws(() => paris.engine.write(groupId, volumeId, 0, 2), /waits/);
  await becomes(paris, groupId, 'fractured');

  meetAgain(world);
  await becomes(paris, groupId, 'in_sync');
  paris.engine.write(groupId, volumeId, 0, 3);

  assert.equal((await sessionAt(paris, groupId)).sync?.mirrorId, before);
});

test('hosts that are released go on alone, once the session is fractured, and are held again later', async (t) => {
  const world = await orders(t, { mode: 'sync', onLoss: 'hold' });
  const { paris, lyon, groupId, volumeId } = world;
  await becomes(paris, groupId, 'in_sync');
  part(world);
  assert.throws(() => paris.engine.write(groupId, volumeId, 0, 2), /waits/);
  const { id: sessionId } = await sessionAt(paris, groupId);

  await paris.app.releaseHosts({ sessionId, by: 'admin' });
  const { sync } = await sessionAt(paris, groupId);
  assert.match(sync?.condition.why ?? '', /not heard|released/);
  assert.equal(sync?.condition.state, 'fractured');
  await until('hosts are served again', async () => served(paris, groupId) === 1);
  paris.engine.write(groupId, volumeId, 0, 5);
  meetAgain(world);
  await becomes(paris, groupId, 'in_sync');
  await becomes(lyon, groupId, 'in_sync');

  part(world);
  assert.throws(() => paris.engine.write(groupId, volumeId, 1, 6), /waits/);
  await failOver(lyon, groupId);
  assert.equal(readTag(lyon, world, 0), 5);
});

for (const when of ['in sync', 'fractured'] as const) {
  test(`a source that holds and whose data plane died while ${when} lets no host in before both ends are compared`, async (t) => {
    const world = await orders(t, { mode: 'sync', onLoss: 'hold' });
    const { paris, groupId } = world;
    const { host } = await paris.app.createHost({ name: 'app1' });
    await paris.app.mapHost({ groupId, hostId: host.id });
    await becomes(paris, groupId, 'in_sync');
    if (when === 'fractured') {
      part(world);
      await becomes(paris, groupId, 'fractured');
    }
    const serve = paris.engine.serve.bind(paris.engine);
    const seen: [hosts: readonly string[], unproven: boolean][] = [];
    paris.engine.serve = async (id, access) => {
      const { sync } = await sessionAt(paris, groupId);
      seen.push([access.hosts, sync?.unproven !== undefined]);
      return serve(id, access);
    };

    paris.engine.crashDataPlane(groupId);
    await until('it is served again', async () => seen.length > 0);
    meetAgain(world);
    await until('hosts are let in again', async () => seen.some(([hosts]) => hosts.length === 1));

    assert.deepEqual(
      seen.filter(([hosts, unproven]) => unproven !== (hosts.length === 0)),
      [],
    );
    assert.deepEqual(seen[0]?.[0], []);
    await becomes(paris, groupId, 'in_sync');
  });
}

function served({ engine }: MemorySite, groupId: GroupId): number {
  return engine.held(groupId)?.plane?.served?.volumeIds.size ?? 0;
}

test('what a synchronous session cannot be is refused in words', async (t) => {
  const { paris, groupId } = await orders(t, {});
  const { id: sessionId } = await sessionAt(paris, groupId);
  const change = (settings: ModeSettings): Promise<unknown> =>
    Promise.resolve().then(() => paris.app.changeSession({ sessionId, ...settings }));
  const refused = (code: string) => (error: unknown) =>
    error instanceof Refusal && error.reason.code === code;

  await assert.rejects(change({ mode: 'sync', stallSeconds: 11 }), refused('invalid'));
  await assert.rejects(change({ mode: 'sync', stallSeconds: 1.5 }), refused('invalid'));
  await assert.rejects(change({ stallSeconds: 5 }), refused('invalid'));
  await assert.rejects(change({ onLoss: 'hold' }), refused('invalid'));
  await assert.rejects(
    Promise.resolve().then(() => paris.app.releaseHosts({ sessionId, by: 'admin' })),
    refused('wrong_state'),
  );
  assert.equal((await sessionAt(paris, groupId)).sync, undefined);
});
