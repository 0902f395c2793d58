/** Two sites in the states from which sagas start. */
import assert from 'node:assert/strict';
import type { CreateImport } from '../../src/app/create-import.ts';
import type { ImportView } from '../../src/app/import-views.ts';
import type { OnLoss } from '../../src/domain/synchrony.ts';
import type { GroupId, ImportId, SagaId } from '../../src/domain/ids.ts';
import { beatFor, meetPeer } from '../../src/app/meet-peer.ts';
import { keepImports, newMemory } from '../../src/app/keep-imports.ts';
import { keepMirror, noteFact } from '../../src/app/keep-mirror.ts';
import { forgetPoints } from '../../src/sagas/forget-points.ts';
import { setAsidePresent } from '../../src/app/set-aside-present.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';
import type { Picture, SitePicture } from './picture.ts';

export const MIB = 1024 * 1024;

export async function done(
  site: MemorySite,
  job: Promise<{ readonly jobId: SagaId }>,
): Promise<void> {
  const { state, outcome } = await site.ended((await job).jobId);
  assert.equal(state, 'done', outcome?.message ?? '');
}

export async function groupNamed(site: MemorySite, name: string): Promise<GroupId> {
  const found = (await site.app.listGroups()).find((group) => group.name === name);
  assert.ok(found, `${site.name} has no group ${name}`);
  return found.id;
}

export async function volumeNamed(site: MemorySite, name: string) {
  const found = (await site.app.listVolumes()).find((volume) => volume.name === name);
  assert.ok(found, `${site.name} has no volume ${name}`);
  return found;
}

async function write(site: MemorySite, name: string, block: number, fill: number): Promise<void> {
  const { id, groupId } = await volumeNamed(site, name);
  site.engine.write(groupId, id, block, fill);
}

/** A volume that stands alone, with data. */
export async function alone({ paris }: MemoryPair): Promise<void> {
  await done(paris, paris.app.createVolume({ name: 'alone', sizeBytes: MIB }));
  await write(paris, 'alone', 1, 1);
}

/** Group `orders` of two volumes with data, mapped to a host. */
export async function orders({ paris }: MemoryPair): Promise<void> {
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  for (const name of ['data', 'log']) {
    await done(paris, paris.app.createVolume({ name, sizeBytes: MIB, groupId }));
    await write(paris, name, 1, 1);
  }
  const { host } = await paris.app.createHost({ name: 'app1' });
  await paris.app.mapHost({ groupId, hostId: host.id });
}

/** Replicated to Lyon; the first copy is not made yet. */
export async function protectedOrders(pair: MemoryPair): Promise<void> {
  const { paris, lyon } = pair;
  await orders(pair);
  const groupId = await groupNamed(paris, 'orders');
  await done(paris, paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
}

/** Replicated to Lyon, with a write that is not there yet. */
export async function copiedOrders(pair: MemoryPair): Promise<void> {
  const { paris } = pair;
  await protectedOrders(pair);
  await sync(paris);
  await write(paris, 'data', 2, 2);
}

export async function sync(site: MemorySite): Promise<void> {
  await done(site, site.app.synchronizeGroup({ groupId: await groupNamed(site, 'orders') }));
}

/** Each write of Paris's hosts is at both sites, both have recorded it, and no point has the last. */
export async function ordersInSync(pair: MemoryPair, onLoss?: OnLoss): Promise<void> {
  const { paris, lyon, clock } = pair;
  await copiedOrders(pair);
  const [{ id: sessionId } = assert.fail('no session')] = await paris.app.listSessions();
  await paris.app.changeSession({ sessionId, mode: 'sync', ...(onLoss && { onLoss }) });
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
export async function takenByForce(pair: MemoryPair, commitAfterSeconds?: number): Promise<void> {
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
export async function provisional(pair: MemoryPair, parisWrote: boolean): Promise<void> {
  await copiedOrders(pair);
  if (!parisWrote) await sync(pair.paris);
  await take(pair, 3600);
  await write(pair.lyon, 'data', 3, 3);
  await hearOfIt(pair);
  assert.equal((await pair.paris.ended(await setAside(pair))).state, 'done');
}

/** Lyon has taken it, on a point that Paris has let go of; each has written since. */
export async function nothingInCommon(pair: MemoryPair): Promise<void> {
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

export async function nothingInCommonSetAside(pair: MemoryPair): Promise<void> {
  await nothingInCommon(pair);
  assert.equal((await pair.paris.ended(await setAside(pair))).state, 'done');
}

export async function hearOfIt({ paris, lyon }: MemoryPair): Promise<void> {
  const beat = await beatFor(lyon.ports, paris.id, () => ({
    dataPlane: 'running',
    instance: undefined,
  }));
  await meetPeer(paris.ports, beat);
}

export async function setAside({ paris }: MemoryPair): Promise<SagaId> {
  const groupId = await groupNamed(paris, 'orders');
  await setAsidePresent(paris.ports, { groupId });
  const { operation } = await paris.app.showGroup(groupId);
  assert.ok(operation, 'nothing is set aside');
  return operation;
}

/** A policy of Paris's that replicates to Lyon. */
export async function gold({ paris, lyon }: MemoryPair): Promise<void> {
  const rule = { name: 'half-minute', peerId: lyon.id, rpoSeconds: 30 };
  const { id: ruleId } = await paris.app.createRule(rule);
  await paris.app.createPolicy({ name: 'gold', ruleId });
}

export async function assignGold({ app }: MemorySite): Promise<SagaId> {
  const [groups, [policy]] = await Promise.all([app.listGroups(), app.listPolicies()]);
  const group = groups.find(({ name }) => name === 'orders');
  assert.ok(group && policy);
  const job = await app.assignPolicy({ groupId: group.id, policyId: policy.id });
  assert.ok(job, 'a replication begins');
  return job.jobId;
}

/** A volume of a foreign system, on its way in; the copy stands still until somebody looks. */
export async function importing(
  { paris }: MemoryPair,
  settings: Partial<CreateImport> = {},
): Promise<ImportId> {
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
    ...settings,
  });
  return importId;
}

/** The job that the next look of the import watch starts. */
export async function startedByWatch({ paris }: MemoryPair, kind: string): Promise<SagaId> {
  await keepImports(paris.ports, newMemory());
  const started = (await paris.app.listJobs({ kind }))[0];
  assert.ok(started, `no ${kind} was started`);
  return started.id;
}

export async function copying(
  pair: MemoryPair,
  settings: Partial<CreateImport> = {},
): Promise<void> {
  await importing(pair, settings);
  const { state } = await pair.paris.ended(await startedByWatch(pair, 'open-import'));
  assert.equal(state, 'done');
  await keepImports(pair.paris.ports, newMemory());
  await write(pair.paris, 'data', 2, 2);
}

export async function readyToCutOver(
  pair: MemoryPair,
  settings: Partial<CreateImport> = {},
): Promise<void> {
  await copying(pair, settings);
  await pair.paris.ended(await startedByWatch(pair, 'compare-import'));
  await write(pair.paris, 'data', 3, 3);
  assert.equal((await onlyImport(pair)).state, 'ready');
}

/** Cut over, its source has what hosts have written since. */
export async function keptCurrent(pair: MemoryPair): Promise<void> {
  await readyToCutOver(pair, { rollbackForSeconds: 3600 });
  const { paris } = pair;
  await done(paris, paris.app.cutOverImport({ importId: (await onlyImport(pair)).id }));
  await write(paris, 'data', 4, 4);
  for (let round = 0; round < 2; round += 1) await keepImports(paris.ports, newMemory());
  assert.equal((await onlyImport(pair)).rollback?.source, 'in_step');
}

export async function onlyImport({ paris }: MemoryPair): Promise<ImportView> {
  const [session] = await paris.app.listImports();
  assert.ok(session);
  return session;
}

/** Lyon tests its copy of the group, and has written on the test. */
export async function tested(pair: MemoryPair): Promise<void> {
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

export async function cloned(pair: MemoryPair): Promise<void> {
  const { lyon } = pair;
  await copiedOrders(pair);
  const groupId = await groupNamed(lyon, 'orders');
  await done(lyon, lyon.app.cloneGroup({ groupId, name: 'look', writable: true }));
  await sync(pair.paris);
}

export async function onlyCopy({ app }: MemorySite) {
  const [copy] = await app.listCopies({});
  assert.ok(copy, 'there is a copy');
  return copy;
}

/** Paris went back to its first point; what it wrote since is a fork. Lyon has not heard of it. */
export async function restored(pair: MemoryPair): Promise<void> {
  const { paris } = pair;
  await copiedOrders(pair);
  await sync(paris);
  const groupId = await groupNamed(paris, 'orders');
  const to = { pointId: (await paris.app.listPoints(groupId))[0]!.id };
  const { confirmation } = await paris.app.preflightRestore({ groupId, to });
  await done(paris, paris.app.restoreGroup({ groupId, to, confirmation }));
}

export const jobOf = async (job: Promise<{ readonly jobId: SagaId }>): Promise<SagaId> =>
  (await job).jobId;

/** A cycle that did not get through parks its session, until the next one. */
export const parked = (before: Picture): Picture => ({
  ...before,
  paris: withSession(before.paris, { state: 'system_paused', parked: true }),
});

/** Its own session there does not matter yet: the next offer says how it is. */
export const withoutSessionsOf =
  (name: 'paris' | 'lyon') =>
  (picture: Picture): Picture => ({ ...picture, [name]: { ...picture[name], sessions: [] } });

/** Whether the mirror goes on or another one is begun is for the next look at it. */
export const withoutMirrors = ({ paris, lyon }: Picture): Picture => ({
  paris: withoutMirror(paris),
  lyon: withoutMirror(lyon),
});

function withoutMirror(site: SitePicture): SitePicture {
  const held = site.held.map((one) => ({ ...one, mirroring: false, standingBy: false }));
  return { ...withSession(site, { condition: undefined }), held };
}

export function withSession(
  site: SitePicture,
  change: Partial<SitePicture['sessions'][number]>,
): SitePicture {
  return { ...site, sessions: site.sessions.map((session) => ({ ...session, ...change })) };
}
