/** What the import watch makes of an import, over a data plane in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CreateImport } from '../../src/app/create-import.ts';
import type { ImportView } from '../../src/app/import-views.ts';
import { applyPolicies } from '../../src/app/apply-policies.ts';
import { CONCURRENT_IMPORTS } from '../../src/domain/import-session.ts';
import { newId } from '../../src/domain/ids.ts';
import type { ImportId, PolicyId } from '../../src/domain/ids.ts';
import { Failure } from '../../src/domain/refusal.ts';

import { MIB, begin, onSource, refusedAs, stateOf, watch, world, write } from './world.ts';

test('an import waits in ready, in step with every write, until it is cut over by hand', async (t) => {
  const w = await world(t);
  const importId = await begin(w);
  await watch(w);
  await write(w, 2, 2);
  assert.equal(await stateOf(w.paris, importId), 'ready');
  assert.equal(onSource(w, 2), 2);

  const { jobId } = await w.paris.app.cutOverImport({ importId });
  await w.paris.ended(jobId);
  await write(w, 3, 3);

  const session = await w.paris.app.showImport(importId);
  assert.equal(session.state, 'completed');
  assert.ok(session.comparison?.hash !== undefined);
  assert.equal(onSource(w, 3), undefined);
  const [volume] = await w.paris.app.listVolumes();
  assert.equal(volume?.state, 'ready');
  assert.equal(volume.group.importing, undefined);
});

test('an import that is ready is copied whole, whatever hosts write at that moment', async (t) => {
  const w = await world(t);
  const { importer } = w.paris;
  const inspect = importer.inspect.bind(importer);
  importer.inspect = async (groupId) => {
    const seen = await inspect(groupId);
    return seen.copy === 'in_step' ? { ...seen, copiedBytes: seen.totalBytes - 4096 } : seen;
  };
  const importId = await begin(w);
  await watch(w);

  const { state, progress } = await w.paris.app.showImport(importId);

  assert.deepEqual([state, progress?.copiedBytes, progress?.totalBytes], ['ready', MIB, MIB]);
});

test('an automatic cut-over and the replication after it need nobody', async (t) => {
  const w = await world(t);
  const protect = { peerId: w.lyon.id, rpoSeconds: 60 };
  const importId = await begin(w, { automaticCutover: true, protect });

  await watch(w);

  assert.equal(await stateOf(w.paris, importId), 'completed');
  const [session] = await w.paris.app.listSessions();
  assert.equal(session?.groupName, 'data');
});

test('a cancelled import leaves its host on the source, and can be made again once it is deleted', async (t) => {
  const w = await world(t);
  const importId = await begin(w);
  await watch(w);
  await w.paris.ended((await w.paris.app.cancelImport({ importId, force: false })).jobId);

  await write(w, 5, 5);

  assert.equal(onSource(w, 5), 5);
  const { state, left, groupId } = await w.paris.app.showImport(importId);
  assert.equal(state, 'cancelled');
  assert.match(left ?? '', /hosts go on with the source/);
  await assert.rejects(w.paris.app.deleteImport({ importId }), refusedAs('in_use'));
  const [host] = await w.paris.app.listHosts();
  await w.paris.app.unmapHost({ groupId, hostId: host!.id });
  await w.paris.ended((await w.paris.app.deleteImport({ importId })).jobId);
  assert.deepEqual(await w.paris.app.listVolumes(), []);
  const again = await begin(w);
  await watch(w);
  assert.equal(await stateOf(w.paris, again), 'ready');
});

test('a copy whose data plane died begins again, and says so', async (t) => {
  const w = await world(t);
  const importId = await begin(w);
  await watch(w);
  const { groupId } = await w.paris.app.showImport(importId);

  w.paris.engine.crashDataPlane(groupId);
  await watch(w);

  const session = await w.paris.app.showImport(importId);
  assert.equal(session.state, 'ready');
  assert.equal(session.restarts, 1);
  assert.match(session.restartedBecause ?? '', /not in step any more/);
});

test('copies that differ are never cut over: the import wants to be cancelled, and says where', async (t) => {
  const w = await world(t);
  const importId = await begin(w, { automaticCutover: true });
  await watch(w, 2);
  // A host that was not told to move writes the source itself.
  await w.paris.importer.inspect((await w.paris.app.showImport(importId)).groupId);
  w.paris.source.addVolume('disk1', MIB, [[1, 9]]);

  await watch(w);

  const session = await w.paris.app.showImport(importId);
  assert.equal(session.state, 'cancel_required');
  assert.match(session.trouble ?? '', /differ in 1 range\(s\), the first in volume data at 4096/);
  await assert.rejects(w.paris.app.cutOverImport({ importId }), refusedAs('wrong_state'));
});

test('a source that goes away makes a cancel necessary, and the forced one says what is left', async (t) => {
  const w = await world(t);
  const importId = await begin(w);
  await watch(w);
  w.paris.source.isReachable = false;
  await watch(w);
  assert.equal(await stateOf(w.paris, importId), 'cancel_required');

  await w.paris.ended((await w.paris.app.cancelImport({ importId, force: true })).jobId);

  const { state, left } = await w.paris.app.showImport(importId);
  assert.equal(state, 'cancelled');
  assert.match(left ?? '', /disconnected .* the source has every write that was answered/);
  assert.deepEqual(await w.paris.engine.groups(), []);
});

test('a cancel is not given up for a data plane that did not answer once', async (t) => {
  const w = await world(t);
  const importId = await begin(w);
  await watch(w);
  const { importer } = w.paris;
  const abandon = importer.abandon.bind(importer);
  importer.abandon = (groupId) => {
    importer.abandon = abandon;
    return Promise.reject(new Failure(`group ${groupId}: the monitor was closed`));
  };

  await w.paris.ended((await w.paris.app.cancelImport({ importId, force: false })).jobId);

  assert.equal(await stateOf(w.paris, importId), 'cancelled');
});

test('a policy assigned during an import takes effect when it is complete, and holds nobody up before', async (t) => {
  const w = await world(t);
  const { app, ports } = w.paris;
  const importId = await begin(w);
  await watch(w);
  const rule = await app.createRule({ name: 'minutes', peerId: w.lyon.id, rpoSeconds: 300 });
  const policy = await app.createPolicy({ name: 'gold', ruleId: rule.id });
  const { groupId } = await app.showImport(importId);

  assert.equal(await app.assignPolicy({ groupId, policyId: policy.id }), undefined);
  await applyPolicies(ports);
  assert.deepEqual(await app.listSessions(), []);
  await w.paris.ended((await app.cutOverImport({ importId })).jobId);
  await applyPolicies(ports);

  const [session] = await app.listSessions();
  assert.deepEqual([session?.groupId, session?.rpoSeconds], [groupId, 300]);
});

test('only so many imports copy at once; the others are queued and follow', async (t) => {
  const w = await world(t);
  w.paris.importer.isSlow = true;
  const ids: ImportId[] = [];
  for (let n = 0; n <= CONCURRENT_IMPORTS; n += 1) {
    w.paris.source.addVolume(`d${n}`, MIB, []);
    ids.push(await begin(w, { volumes: [{ locator: `d${n}`, name: `v${n}` }] }));
  }
  await watch(w, 3);
  const last = ids.at(-1)!;
  assert.equal(await stateOf(w.paris, last), 'queued');

  await w.paris.ended((await w.paris.app.cancelImport({ importId: ids[0]!, force: false })).jobId);
  await watch(w, 3);

  assert.equal(await stateOf(w.paris, last), 'copying');
});

test('a scheduled import waits for its time, which can be changed until then', async (t) => {
  const w = await world(t);
  const scheduledAt = w.clock.now() + 60_000;
  const importId = await begin(w, { scheduledAt });
  await watch(w, 2);
  assert.equal(await stateOf(w.paris, importId), 'scheduled');

  await w.paris.app.rescheduleImport({ importId, scheduledAt: undefined });
  await watch(w);

  assert.equal(await stateOf(w.paris, importId), 'ready');
  const later = w.paris.app.rescheduleImport({ importId, scheduledAt });
  await assert.rejects(later, refusedAs('wrong_state'));
});

test('with hosts that have to move first, nothing is copied until it is said that they have', async (t) => {
  const w = await world(t);
  const importId = await begin(w, { waitForHosts: true });
  await watch(w);
  assert.equal(await stateOf(w.paris, importId), 'mirror_enabled');
  const hosts = async (): Promise<readonly string[]> =>
    (await w.paris.app.listVolumes())[0]?.group.hosts ?? [];
  assert.deepEqual(await hosts(), []);

  await w.paris.app.enableImport({ importId });
  await watch(w, 2);
  assert.deepEqual(await hosts(), ['app1']);
  assert.equal(await stateOf(w.paris, importId), 'ready_to_start_copy');
  await w.paris.app.startImportCopy({ importId });
  await watch(w);

  assert.equal(await stateOf(w.paris, importId), 'ready');
});

test('a paused copy stands still, its host goes on, and resuming goes on where it was', async (t) => {
  const w = await world(t);
  w.paris.importer.isSlow = true;
  const importId = await begin(w);
  await watch(w, 3);
  await w.paris.app.pauseImport({ importId });
  await watch(w, 2);
  w.paris.importer.isSlow = false;
  await watch(w, 2);
  assert.equal(await stateOf(w.paris, importId), 'paused');
  await write(w, 7, 7);
  assert.equal(onSource(w, 7), 7);

  await w.paris.app.resumeImport({ importId });
  await watch(w);

  const session: ImportView = await w.paris.app.showImport(importId);
  assert.deepEqual([session.state, session.restarts], ['ready', 0]);
});

test('a group that is imported is changed by nothing else until it is cut over', async (t) => {
  const w = await world(t);
  const importId = await begin(w, {
    group: 'orders',
    volumes: ['disk1', 'disk2'].map((locator) => ({ locator, name: locator })),
  });
  await watch(w);
  const { groupId, volumes } = await w.paris.app.showImport(importId);
  const volumeId = volumes[0]!.volumeId;
  const attempts = [
    w.paris.app.deleteVolume({ volumeId }),
    w.paris.app.resizeVolume({ volumeId, sizeBytes: 2 * MIB }),
    w.paris.app.removeVolume({ groupId, volumeId }),
    w.paris.app.createVolume({ name: 'late', sizeBytes: MIB, groupId }),
    w.paris.app.protectGroup({ groupId, peerId: w.lyon.id, rpoSeconds: 60 }),
  ];
  for (const attempt of attempts) await assert.rejects(attempt, refusedAs('in_use'));

  await w.paris.ended((await w.paris.app.cutOverImport({ importId })).jobId);

  await w.paris.ended(
    (await w.paris.app.protectGroup({ groupId, peerId: w.lyon.id, rpoSeconds: 60 })).jobId,
  );
  assert.equal((await w.paris.app.listSessions()).length, 1);
});

test('what an import could not do is refused before anything is made', async (t) => {
  const w = await world(t);
  const one = { locator: 'disk1', name: 'data' };
  const wrong: readonly (readonly [Partial<CreateImport>, code: string])[] = [
    [{ volumes: [] }, 'invalid'],
    [{ volumes: [one, { ...one, locator: 'disk2' }], group: 'g' }, 'invalid'],
    [{ volumes: [one, { name: 'log', locator: 'disk2' }] }, 'invalid'],
    [{ volumes: [{ ...one, locator: 'gone' }] }, 'source_unreachable'],
    [{ volumes: [{ ...one, format: 'qcow2' }] }, 'invalid'],
    [{ volumes: [{ ...one, readOnly: true }], waitForHosts: true }, 'unsupported'],
    [{ hosts: ['nobody'] }, 'not_found'],
    [{ bytesPerSecond: 5 }, 'invalid'],
    [{ protect: { peerId: w.lyon.id, rpoSeconds: 1 } }, 'invalid'],
    [{ policyId: newId<PolicyId>() }, 'not_found'],
    [{ policyId: newId<PolicyId>(), protect: { peerId: w.lyon.id, rpoSeconds: 60 } }, 'invalid'],
  ];
  for (const [request, code] of wrong) {
    await assert.rejects(begin(w, request), refusedAs(code), JSON.stringify(request));
  }
  assert.deepEqual(await w.paris.app.listGroups(), []);
  await begin(w);
  await assert.rejects(begin(w, { name: 'data' }), refusedAs('already_exists'));
  const { sourceId } = w;
  await assert.rejects(w.paris.app.removeSource({ sourceId }), refusedAs('in_use'));
});
