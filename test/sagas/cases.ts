/** One or more ways to start each saga, on two sites that have been prepared for it. */
import assert from 'node:assert/strict';
import type { ImportView } from '../../src/app/import-views.ts';
import type { GroupId, ImportId, SagaId } from '../../src/domain/ids.ts';
import { followSource } from '../../src/app/follow-source.ts';
import { beatFor, meetPeer } from '../../src/app/meet-peer.ts';
import { keepImports } from '../../src/app/keep-imports.ts';
import { keepMirror, noteFact } from '../../src/app/keep-mirror.ts';
import { forgetPoints } from '../../src/sagas/forget-points.ts';
import { setAsidePresent } from '../../src/app/set-aside-present.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';
import type { Picture, SitePicture } from './picture.ts';

export interface SagaCase {
  readonly kind: string;
  readonly name: string;
  readonly at: 'paris' | 'lyon';
  /** Everything up to the request. */
  readonly prepare: (pair: MemoryPair) => Promise<void>;
  readonly start: (pair: MemoryPair) => Promise<SagaId>;
  /** What an undone run leaves besides what was there before. */
  readonly undone?: (before: Picture) => Picture;
  /** What does not matter of a run that was done. */
  readonly blurDone?: (picture: Picture) => Picture;
  /** What does not matter of an undone run. */
  readonly blur?: (picture: Picture) => Picture;
  /** The other site serves on until it hears of it. */
  readonly isForced?: boolean;
}

const MIB = 1024 * 1024;

async function done(site: MemorySite, job: Promise<{ readonly jobId: SagaId }>): Promise<void> {
  const { state, outcome } = await site.ended((await job).jobId);
  assert.equal(state, 'done', outcome?.message ?? '');
}

async function groupNamed(site: MemorySite, name: string): Promise<GroupId> {
  const found = (await site.app.listGroups()).find((group) => group.name === name);
  assert.ok(found, `${site.name} has no group ${name}`);
  return found.id;
}

async function volumeNamed(site: MemorySite, name: string) {
  const found = (await site.app.listVolumes()).find((volume) => volume.name === name);
  assert.ok(found, `${site.name} has no volume ${name}`);
  return found;
}

async function write(site: MemorySite, name: string, block: number, fill: number): Promise<void> {
  const { id, groupId } = await volumeNamed(site, name);
  site.engine.write(groupId, id, block, fill);
}

/** A volume that stands alone, with data. */
async function alone({ paris }: MemoryPair): Promise<void> {
  await done(paris, paris.app.createVolume({ name: 'alone', sizeBytes: MIB }));
  await write(paris, 'alone', 1, 1);
}

/** Group `orders` of two volumes with data, mapped to a host. */
async function orders({ paris }: MemoryPair): Promise<void> {
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  for (const name of ['data', 'log']) {
    await done(paris, paris.app.createVolume({ name, sizeBytes: MIB, groupId }));
    await write(paris, name, 1, 1);
  }
  const { host } = await paris.app.createHost({ name: 'app1' });
  await paris.app.mapHost({ groupId, hostId: host.id });
}

/** Replicated to Lyon; the first copy is not made yet. */
async function protectedOrders(pair: MemoryPair): Promise<void> {
  const { paris, lyon } = pair;
  await orders(pair);
  const groupId = await groupNamed(paris, 'orders');
  await done(paris, paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
}

/** Replicated to Lyon, with a write that is not there yet. */
async function copiedOrders(pair: MemoryPair): Promise<void> {
  const { paris } = pair;
  await protectedOrders(pair);
  await sync(paris);
  await write(paris, 'data', 2, 2);
}

async function sync(site: MemorySite): Promise<void> {
  await done(site, site.app.synchronizeGroup({ groupId: await groupNamed(site, 'orders') }));
}

/** Each write of Paris's hosts is at both sites, both have recorded it, and no point has the last. */
async function ordersInSync(pair: MemoryPair): Promise<void> {
  const { paris, lyon, clock } = pair;
  await copiedOrders(pair);
  const [{ id: sessionId } = assert.fail('no session')] = await paris.app.listSessions();
  await paris.app.changeSession({ sessionId, mode: 'sync' });
  const session = () => paris.ports.store.read((tx) => tx.sessions.need(sessionId));
  await keepMirror(paris.ports, await session(), 'absent');
  await write(paris, 'data', 3, 3);
  const levelled = await session();
  const { mirrorId } = levelled.sync ?? {};
  assert.ok(mirrorId, 'a mirror has begun');
  const level = { mirrorId, at: clock.now() };
  const tell = async (): Promise<void> => {
    const plane = { dataPlane: 'running', instance: undefined, level } as const;
    await meetPeer(lyon.ports, await beatFor(paris.ports, lyon.id, () => plane));
  };
  await tell();
  await noteFact(paris.ports, levelled, { fact: 'levelled', why: 'every write is at both sites' });
  await tell();
}

/** Lyon has taken the group by force; Paris, which served on meanwhile, does not know. */
async function takenByForce(pair: MemoryPair, commitAfterSeconds?: number): Promise<void> {
  await copiedOrders(pair);
  await take(pair, commitAfterSeconds);
}

async function take({ lyon }: MemoryPair, commitAfterSeconds?: number): Promise<void> {
  const groupId = await groupNamed(lyon, 'orders');
  const { confirmation } = await lyon.app.preflightFailover({ groupId });
  const request = { groupId, confirmation, commitAfterSeconds };
  await done(lyon, lyon.app.failOverGroup(request));
}

/** Lyon has taken it for an hour and written; Paris has set aside what it had, if that was anything. */
async function provisional(pair: MemoryPair, parisWrote: boolean): Promise<void> {
  await copiedOrders(pair);
  if (!parisWrote) await sync(pair.paris);
  await take(pair, 3600);
  await write(pair.lyon, 'data', 3, 3);
  await hearOfIt(pair);
  assert.equal((await pair.paris.ended(await setAside(pair))).state, 'done');
}

/** Lyon has taken it, on a point that Paris has let go of; each has written since. */
async function nothingInCommon(pair: MemoryPair): Promise<void> {
  const { paris, lyon } = pair;
  await copiedOrders(pair);
  await sync(paris);
  await write(paris, 'data', 4, 4);
  const groupId = await groupNamed(paris, 'orders');
  const [session] = await paris.app.listSessions();
  const [oldest] = await paris.app.listPoints(groupId);
  await forgetPoints(paris.ports, session!, (_session, points) => points.slice(0, 1));
  const request = { groupId, pointId: oldest!.id };
  const { confirmation } = await lyon.app.preflightFailover(request);
  await done(lyon, lyon.app.failOverGroup({ ...request, confirmation }));
  await write(lyon, 'data', 3, 3);
  await hearOfIt(pair);
}

async function nothingInCommonSetAside(pair: MemoryPair): Promise<void> {
  await nothingInCommon(pair);
  assert.equal((await pair.paris.ended(await setAside(pair))).state, 'done');
}

async function hearOfIt({ paris, lyon }: MemoryPair): Promise<void> {
  const beat = await beatFor(lyon.ports, paris.id, () => ({
    dataPlane: 'running',
    instance: undefined,
  }));
  await meetPeer(paris.ports, beat);
}

async function setAside({ paris }: MemoryPair): Promise<SagaId> {
  const groupId = await groupNamed(paris, 'orders');
  await setAsidePresent(paris.ports, { groupId });
  const { operation } = await paris.app.showGroup(groupId);
  assert.ok(operation, 'nothing is set aside');
  return operation;
}

/** A policy of Paris's that replicates to Lyon. */
async function gold({ paris, lyon }: MemoryPair): Promise<void> {
  const rule = { name: 'half-minute', peerId: lyon.id, rpoSeconds: 30 };
  const { id: ruleId } = await paris.app.createRule(rule);
  await paris.app.createPolicy({ name: 'gold', ruleId });
}

async function assignGold({ app }: MemorySite): Promise<SagaId> {
  const [groups, [policy]] = await Promise.all([app.listGroups(), app.listPolicies()]);
  const group = groups.find(({ name }) => name === 'orders');
  assert.ok(group && policy);
  const job = await app.assignPolicy({ groupId: group.id, policyId: policy.id });
  assert.ok(job, 'a replication begins');
  return job.jobId;
}

/** A volume of a foreign system, on its way in; the copy stands still until somebody looks. */
async function importing({ paris }: MemoryPair): Promise<ImportId> {
  paris.source.addVolume('disk1', MIB, [[1, 1]]);
  const { id: sourceId } = await paris.app.addSource({
    name: 'old',
    endpoint: { kind: 'nbd', host: 'old-array', port: 10_809 },
  });
  const { host } = await paris.app.createHost({ name: 'app1' });
  const { importId } = await paris.app.createImport({
    sourceId,
    volumes: [{ locator: 'disk1', name: 'data' }],
    hosts: [host.name],
  });
  return importId;
}

/** The job that the next look of the import watch starts. */
async function startedByWatch({ paris }: MemoryPair, kind: string): Promise<SagaId> {
  await keepImports(paris.ports, new Map());
  const started = (await paris.app.listJobs({ kind }))[0];
  assert.ok(started, `no ${kind} was started`);
  return started.id;
}

async function copying(pair: MemoryPair): Promise<void> {
  await importing(pair);
  const { state } = await pair.paris.ended(await startedByWatch(pair, 'open-import'));
  assert.equal(state, 'done');
  await keepImports(pair.paris.ports, new Map());
  await write(pair.paris, 'data', 2, 2);
}

async function readyToCutOver(pair: MemoryPair): Promise<void> {
  await copying(pair);
  await pair.paris.ended(await startedByWatch(pair, 'compare-import'));
  await write(pair.paris, 'data', 3, 3);
  assert.equal((await onlyImport(pair)).state, 'ready');
}

async function onlyImport({ paris }: MemoryPair): Promise<ImportView> {
  const [session] = await paris.app.listImports();
  assert.ok(session);
  return session;
}

/** Lyon tests its copy of the group, and has written on the test. */
async function tested(pair: MemoryPair): Promise<void> {
  const { lyon } = pair;
  await copiedOrders(pair);
  const groupId = await groupNamed(lyon, 'orders');
  const test = await lyon.app.startFailoverTest({ groupId });
  await done(lyon, Promise.resolve(test));
  const { opened } = await lyon.app.showCopy(test.copyId);
  const host = lyon.engine.attach(opened?.address?.port ?? 0, 'data', 'app1');
  host.write(9, new Uint8Array(4096).fill(9));
  host.leave();
}

async function cloned(pair: MemoryPair): Promise<void> {
  const { lyon } = pair;
  await copiedOrders(pair);
  const groupId = await groupNamed(lyon, 'orders');
  await done(lyon, lyon.app.cloneGroup({ groupId, name: 'look', writable: true }));
  await sync(pair.paris);
}

async function onlyCopy({ app }: MemorySite) {
  const [copy] = await app.listCopies({});
  assert.ok(copy, 'there is a copy');
  return copy;
}

/** Paris went back to its first point; what it wrote since is a fork. Lyon has not heard of it. */
async function restored(pair: MemoryPair): Promise<void> {
  const { paris } = pair;
  await copiedOrders(pair);
  await sync(paris);
  const groupId = await groupNamed(paris, 'orders');
  const to = { pointId: (await paris.app.listPoints(groupId))[0]!.id };
  const { confirmation } = await paris.app.preflightRestore({ groupId, to });
  await done(paris, paris.app.restoreGroup({ groupId, to, confirmation }));
}

const jobOf = async (job: Promise<{ readonly jobId: SagaId }>): Promise<SagaId> =>
  (await job).jobId;

/** A cycle that did not get through parks its session, until the next one. */
const parked = (before: Picture): Picture => ({
  ...before,
  paris: withSession(before.paris, { state: 'system_paused', parked: true }),
});

/** Its own session there does not matter yet: the next offer says how it is. */
const withoutSessionsOf =
  (name: 'paris' | 'lyon') =>
  (picture: Picture): Picture => ({ ...picture, [name]: { ...picture[name], sessions: [] } });

/** Whether the mirror goes on or another one is begun is for the next look at it. */
const withoutMirrors = ({ paris, lyon }: Picture): Picture => ({
  paris: withoutMirror(paris),
  lyon: withoutMirror(lyon),
});

function withoutMirror(site: SitePicture): SitePicture {
  const held = site.held.map((one) => ({ ...one, mirroring: false, standingBy: false }));
  return { ...withSession(site, { condition: undefined }), held };
}

function withSession(
  site: SitePicture,
  change: Partial<SitePicture['sessions'][number]>,
): SitePicture {
  return { ...site, sessions: site.sessions.map((session) => ({ ...session, ...change })) };
}

export const cases: readonly SagaCase[] = [
  {
    kind: 'create-volume',
    name: 'a volume that stands alone',
    at: 'paris',
    prepare: async () => undefined,
    start: ({ paris }) => jobOf(paris.app.createVolume({ name: 'alone', sizeBytes: MIB })),
  },
  {
    kind: 'create-volume',
    name: 'a volume of a replicated group',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.createVolume({ name: 'late', sizeBytes: MIB, groupId }));
    },
  },
  {
    kind: 'delete-volume',
    name: 'a volume that stands alone',
    at: 'paris',
    prepare: alone,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'alone');
      return jobOf(paris.app.deleteVolume({ volumeId }));
    },
  },
  {
    kind: 'delete-volume',
    name: 'a volume of a replicated group',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'log');
      return jobOf(paris.app.deleteVolume({ volumeId }));
    },
  },
  {
    kind: 'resize-volume',
    name: 'a volume that stands alone',
    at: 'paris',
    prepare: alone,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'alone');
      return jobOf(paris.app.resizeVolume({ volumeId, sizeBytes: 2 * MIB }));
    },
  },
  {
    kind: 'resize-volume',
    name: 'a volume of a replicated group',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'data');
      return jobOf(paris.app.resizeVolume({ volumeId, sizeBytes: 2 * MIB }));
    },
  },
  {
    kind: 'move-volume',
    name: 'into a group that is replicated',
    at: 'paris',
    prepare: async (pair) => {
      await alone(pair);
      await copiedOrders(pair);
    },
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'alone');
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.addVolume({ groupId, volumeId }));
    },
  },
  {
    kind: 'move-volume',
    name: 'out of a group that is replicated',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'log');
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.removeVolume({ groupId, volumeId }));
    },
  },
  {
    kind: 'move-volume',
    name: 'one out of a group that is replicated, another into it',
    at: 'paris',
    prepare: async (pair) => {
      await alone(pair);
      await copiedOrders(pair);
    },
    start: async ({ paris }) => {
      const [{ id: joins }, { id: leaves }] = await Promise.all([
        volumeNamed(paris, 'alone'),
        volumeNamed(paris, 'log'),
      ]);
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.changeMembers({ groupId, add: [joins], remove: [leaves] }));
    },
  },
  {
    kind: 'move-volume',
    name: 'both out of a group that is replicated',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const volumes = await Promise.all(['data', 'log'].map((name) => volumeNamed(paris, name)));
      const groupId = await groupNamed(paris, 'orders');
      const remove = volumes.map(({ id }) => id);
      return jobOf(paris.app.changeMembers({ groupId, add: [], remove }));
    },
  },
  {
    kind: 'delete-group',
    name: 'an empty group',
    at: 'paris',
    prepare: async ({ paris }) => void (await paris.app.createGroup({ name: 'orders' })),
    start: async ({ paris }) =>
      jobOf(paris.app.deleteGroup({ groupId: await groupNamed(paris, 'orders') })),
  },
  {
    kind: 'delete-group',
    name: 'a copy that nothing feeds any more',
    at: 'lyon',
    prepare: async (pair) => {
      await copiedOrders(pair);
      const groupId = await groupNamed(pair.paris, 'orders');
      await done(pair.paris, pair.paris.app.unprotectGroup({ groupId, discardCopy: false }));
    },
    start: async ({ lyon }) =>
      jobOf(lyon.app.deleteGroup({ groupId: await groupNamed(lyon, 'orders') })),
  },
  {
    kind: 'protect',
    name: 'a group that was never copied',
    at: 'paris',
    prepare: orders,
    start: async ({ paris, lyon }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
    },
  },
  {
    kind: 'protect',
    name: 'a group whose copy was kept',
    at: 'paris',
    prepare: async (pair) => {
      await copiedOrders(pair);
      const groupId = await groupNamed(pair.paris, 'orders');
      await done(pair.paris, pair.paris.app.unprotectGroup({ groupId, discardCopy: false }));
    },
    start: async ({ paris, lyon }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
    },
  },
  {
    kind: 'protect',
    name: 'by a policy',
    at: 'paris',
    prepare: async (pair) => {
      await orders(pair);
      await gold(pair);
    },
    start: async ({ paris }) => assignGold(paris),
  },
  {
    kind: 'unprotect',
    name: 'with the policy that protected it',
    at: 'paris',
    prepare: async (pair) => {
      const { paris } = pair;
      await orders(pair);
      await gold(pair);
      assert.equal((await paris.ended(await assignGold(paris))).state, 'done');
      await sync(paris);
    },
    start: async ({ paris }) => {
      const job = await paris.app.unassignPolicy({ groupId: await groupNamed(paris, 'orders') });
      assert.ok(job, 'a session ends');
      return job.jobId;
    },
  },
  ...[true, false].map((discardCopy): SagaCase => ({
    kind: 'unprotect',
    name: discardCopy ? 'and discard the copy' : 'and keep the copy',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.unprotectGroup({ groupId, discardCopy }));
    },
  })),
  {
    kind: 'forget-session',
    name: 'at a destination whose source is gone',
    at: 'lyon',
    prepare: copiedOrders,
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      return jobOf(lyon.app.unprotectGroup({ groupId, discardCopy: false, force: true }));
    },
  },
  {
    kind: 'replicate',
    name: 'the first copy',
    at: 'paris',
    prepare: protectedOrders,
    start: async ({ paris }) =>
      jobOf(paris.app.synchronizeGroup({ groupId: await groupNamed(paris, 'orders') })),
    undone: parked,
    // It may be complete there without the source's having heard of it.
    blur: (picture) => ({ ...picture, lyon: { ...picture.lyon, sessions: [], held: [] } }),
  },
  {
    kind: 'replicate',
    name: 'what has changed',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) =>
      jobOf(paris.app.synchronizeGroup({ groupId: await groupNamed(paris, 'orders') })),
    undone: parked,
  },
  ...[true, false].map((reverse): SagaCase => ({
    kind: 'handover',
    name: reverse ? 'and replicate back' : 'and wait for reprotect',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) =>
      jobOf(paris.app.handOverGroup({ groupId: await groupNamed(paris, 'orders'), reverse })),
  })),
  ...[true, false].map((reverse): SagaCase => ({
    kind: 'handover',
    name: `of a group in sync ${reverse ? 'and replicate back' : 'and wait for reprotect'}`,
    at: 'paris',
    prepare: ordersInSync,
    start: async ({ paris }) =>
      jobOf(paris.app.handOverGroup({ groupId: await groupNamed(paris, 'orders'), reverse })),
    blur: withoutMirrors,
  })),
  {
    kind: 'failover',
    name: 'on what a mirror has filled',
    at: 'lyon',
    isForced: true,
    prepare: ordersInSync,
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const { confirmation } = await lyon.app.preflightFailover({ groupId });
      return jobOf(lyon.app.failOverGroup({ groupId, confirmation }));
    },
  },
  {
    kind: 'failover',
    name: 'on the newest point',
    at: 'lyon',
    isForced: true,
    prepare: copiedOrders,
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const { confirmation } = await lyon.app.preflightFailover({ groupId });
      return jobOf(lyon.app.failOverGroup({ groupId, confirmation }));
    },
  },
  {
    kind: 'failover',
    name: 'on an older point, so that the newer one becomes a fork',
    at: 'lyon',
    isForced: true,
    prepare: async (pair) => {
      await copiedOrders(pair);
      await sync(pair.paris);
    },
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const [oldest] = await lyon.app.listPoints(groupId);
      const request = { groupId, pointId: oldest!.id };
      const { confirmation } = await lyon.app.preflightFailover(request);
      return jobOf(lyon.app.failOverGroup({ ...request, confirmation }));
    },
  },
  {
    kind: 'set-aside',
    name: 'at a site that lost a group with writes of its own',
    at: 'paris',
    prepare: async (pair) => {
      await takenByForce(pair);
      await hearOfIt(pair);
    },
    start: setAside,
    undone: (before) => ({ ...before, paris: withSession(before.paris, { parked: true }) }),
  },
  {
    kind: 'set-aside',
    name: 'where the sites have no point in common',
    at: 'paris',
    prepare: nothingInCommon,
    start: setAside,
    undone: (before) => ({ ...before, paris: withSession(before.paris, { parked: true }) }),
  },
  {
    kind: 'reprotect',
    name: 'where the sites have no point in common',
    at: 'lyon',
    prepare: nothingInCommonSetAside,
    start: async ({ lyon }) =>
      jobOf(lyon.app.reprotectGroup({ groupId: await groupNamed(lyon, 'orders') })),
    blur: withoutSessionsOf('paris'),
  },
  {
    kind: 'replicate',
    name: 'by hashes, where the sites have no point in common',
    at: 'lyon',
    prepare: async (pair) => {
      await nothingInCommonSetAside(pair);
      const groupId = await groupNamed(pair.lyon, 'orders');
      await done(pair.lyon, pair.lyon.app.reprotectGroup({ groupId }));
    },
    start: async ({ lyon }) =>
      jobOf(lyon.app.synchronizeGroup({ groupId: await groupNamed(lyon, 'orders') })),
    undone: (before) => ({
      ...before,
      lyon: withSession(before.lyon, { state: 'system_paused', parked: true }),
    }),
    // It may be complete there without the source's having heard of it.
    blur: (picture) => ({ ...picture, paris: { ...picture.paris, sessions: [] } }),
  },
  ...[true, false].map((parisWrote): SagaCase => ({
    kind: 'roll-back',
    name: parisWrote ? 'to a site with writes of its own' : 'to a site that had written no more',
    at: 'lyon',
    prepare: (pair) => provisional(pair, parisWrote),
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const { confirmation } = await lyon.app.preflightRollback({ groupId });
      return jobOf(lyon.app.rollBackFailover({ groupId, confirmation }));
    },
  })),
  {
    kind: 'reprotect',
    name: 'after a failover',
    at: 'lyon',
    prepare: async (pair) => {
      await takenByForce(pair);
      await hearOfIt(pair);
      const { state } = await pair.paris.ended(await setAside(pair));
      assert.equal(state, 'done');
    },
    start: async ({ lyon }) =>
      jobOf(lyon.app.reprotectGroup({ groupId: await groupNamed(lyon, 'orders') })),
    blur: withoutSessionsOf('paris'),
  },
  {
    kind: 'reprotect',
    name: 'after a handover that did not reverse',
    at: 'lyon',
    prepare: async (pair) => {
      await copiedOrders(pair);
      const groupId = await groupNamed(pair.paris, 'orders');
      await done(pair.paris, pair.paris.app.handOverGroup({ groupId, reverse: false }));
    },
    start: async ({ lyon }) =>
      jobOf(lyon.app.reprotectGroup({ groupId: await groupNamed(lyon, 'orders') })),
    blur: withoutSessionsOf('paris'),
  },
  {
    kind: 'open-import',
    name: 'a volume of a foreign system',
    at: 'paris',
    prepare: async (pair) => void (await importing(pair)),
    start: (pair) => startedByWatch(pair, 'open-import'),
    undone: (before) => ({
      ...before,
      paris: { ...before.paris, groups: [], volumes: [], imports: ['data failed '] },
    }),
  },
  {
    kind: 'compare-import',
    name: 'copies that are in step, under a host',
    at: 'paris',
    prepare: copying,
    start: (pair) => startedByWatch(pair, 'compare-import'),
  },
  {
    kind: 'examine-import',
    name: 'a source that cannot be read in places',
    at: 'paris',
    prepare: async (pair) => {
      pair.paris.source.unreadable.set('disk1', [5]);
      await copying(pair);
    },
    start: (pair) => startedByWatch(pair, 'examine-import'),
    undone: (before) => ({
      ...before,
      paris: { ...before.paris, imports: ['data cancel_required '] },
    }),
  },
  {
    kind: 'cut-over-import',
    name: 'copies that are in step and compared',
    at: 'paris',
    prepare: readyToCutOver,
    start: async (pair) =>
      jobOf(pair.paris.app.cutOverImport({ importId: (await onlyImport(pair)).id })),
    undone: (before) => ({
      ...before,
      paris: { ...before.paris, imports: ['data copying compared'] },
    }),
  },
  ...[false, true].map((force): SagaCase => ({
    kind: 'cancel-import',
    name: force ? 'although nobody answers' : 'with a host that goes on with the source',
    at: 'paris',
    prepare: readyToCutOver,
    start: async (pair) =>
      jobOf(pair.paris.app.cancelImport({ importId: (await onlyImport(pair)).id, force })),
  })),
  {
    kind: 'cancel-import',
    name: 'before it was opened',
    at: 'paris',
    prepare: async (pair) => void (await importing(pair)),
    start: async (pair) =>
      jobOf(pair.paris.app.cancelImport({ importId: (await onlyImport(pair)).id, force: false })),
  },
  {
    kind: 'forget-import',
    name: 'that was cancelled and that hosts have left',
    at: 'paris',
    prepare: async (pair) => {
      await readyToCutOver(pair);
      const { id: importId, groupId } = await onlyImport(pair);
      await done(pair.paris, pair.paris.app.cancelImport({ importId, force: false }));
      const [host] = await pair.paris.app.listHosts();
      await pair.paris.app.unmapHost({ groupId, hostId: host!.id });
    },
    start: async (pair) =>
      jobOf(pair.paris.app.deleteImport({ importId: (await onlyImport(pair)).id })),
  },
  {
    kind: 'drill',
    name: 'of a copy that is in order',
    at: 'lyon',
    prepare: copiedOrders,
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      return jobOf(lyon.app.runDrill({ groupId, operator: 'the harness' }));
    },
    // What the other site did not answer is not compared, and the report says so.
    blurDone: (picture) => {
      const { drills } = picture.lyon;
      const written = drills.map((line) => line.replace('not_possible', 'passed'));
      return { ...picture, lyon: { ...picture.lyon, drills: written } };
    },
  },
  {
    kind: 'open-copy',
    name: 'a failover test',
    at: 'lyon',
    prepare: copiedOrders,
    start: async ({ lyon }) =>
      jobOf(lyon.app.startFailoverTest({ groupId: await groupNamed(lyon, 'orders') })),
  },
  {
    kind: 'open-copy',
    name: 'a clone at the source, read-only',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.cloneGroup({ groupId, name: 'look', writable: false }));
    },
  },
  {
    kind: 'refresh-copy',
    name: 'of a clone on the newest point',
    at: 'lyon',
    prepare: cloned,
    start: async ({ lyon }) => jobOf(lyon.app.refreshClone({ copyId: (await onlyCopy(lyon)).id })),
  },
  ...[true, false].map((keep): SagaCase => ({
    kind: 'close-copy',
    name: keep ? 'of a test, and keep what it wrote' : 'of a test, and discard what it wrote',
    at: 'lyon',
    prepare: tested,
    start: async ({ lyon }) =>
      jobOf(lyon.app.stopFailoverTest({ groupId: await groupNamed(lyon, 'orders'), keep })),
    // The list of the other site is told when it answers.
    blurDone: (picture) => ({ ...picture, paris: { ...picture.paris, forks: [] } }),
  })),
  {
    kind: 'failover',
    name: 'on what a test has written',
    at: 'lyon',
    isForced: true,
    prepare: tested,
    start: async ({ lyon }) => {
      const request = { groupId: await groupNamed(lyon, 'orders'), useTestCopy: true };
      const { confirmation } = await lyon.app.preflightFailover(request);
      return jobOf(lyon.app.failOverGroup({ ...request, confirmation }));
    },
  },
  {
    kind: 'failover',
    name: 'back at the old source, on the fork of what it had written',
    at: 'paris',
    isForced: true,
    prepare: async (pair) => {
      await takenByForce(pair);
      await hearOfIt(pair);
      assert.equal((await pair.paris.ended(await setAside(pair))).state, 'done');
    },
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      const [fork] = await paris.app.listForks({ groupId });
      const request = { groupId, forkId: fork!.id, force: true };
      const { confirmation } = await paris.app.preflightFailover(request);
      return jobOf(paris.app.failOverGroup({ ...request, confirmation }));
    },
  },
  {
    kind: 'go-back',
    name: 'to an older point',
    at: 'paris',
    prepare: async (pair) => {
      await copiedOrders(pair);
      await sync(pair.paris);
    },
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      const to = { pointId: (await paris.app.listPoints(groupId))[0]!.id };
      const { confirmation } = await paris.app.preflightRestore({ groupId, to });
      return jobOf(paris.app.restoreGroup({ groupId, to, confirmation }));
    },
  },
  {
    kind: 'go-back',
    name: 'to what a restore set aside',
    at: 'paris',
    prepare: restored,
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      const to = { forkId: (await paris.app.listForks({ groupId }))[0]!.id };
      const { confirmation } = await paris.app.preflightRestore({ groupId, to });
      return jobOf(paris.app.restoreGroup({ groupId, to, confirmation }));
    },
  },
  {
    kind: 'follow-line',
    name: 'before the first cycle after a restore',
    at: 'lyon',
    prepare: restored,
    start: async ({ paris, lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const [here] = await lyon.app.listSessions();
      const [there] = await paris.app.listSessions();
      const [base] = await paris.app.listPoints(groupId);
      void followSource(lyon.ports, here!, there!.line, base!.id).catch(() => undefined);
      for (;;) {
        const [job] = await lyon.app.listJobs({ groupId, kind: 'follow-line' });
        if (job !== undefined) return job.id;
      }
    },
  },
];
