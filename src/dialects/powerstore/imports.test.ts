import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookAfter } from '../../../test/support/memory-watches.ts';
import {
  act,
  becomes,
  begin,
  foreignSystem,
  onSource,
  putInto,
  refused,
  shown,
  volumeIdOf,
  writeAsHost,
} from '../../../test/support/powerstore-import.ts';
import type { Json } from '../../../test/support/powerstore-import.ts';
import { applyPolicies } from '../../app/apply-policies.ts';
import type { ImportId, SagaId } from '../../domain/ids.ts';

const MIB = 1024 * 1024;

test('a foreign system is a remote system, and what it has is discovered and named', async (t) => {
  const world = await foreignSystem(t);
  const { here, systemId } = world;

  const system = await here.call(
    'GET',
    `remote_system/${systemId}?select=name,type,state,management_address,management_port,data_connection_type,capabilities,import_universal_volumes(wwn,name,size,importable_criteria)`,
  );
  assert.deepEqual(system.body, {
    name: 'old',
    type: 'Universal',
    state: 'OK',
    management_address: 'old-array',
    management_port: 10_809,
    data_connection_type: 'TCP',
    capabilities: ['Block_Agentless_Import', 'Block_Nondisruptive_Import'],
    import_universal_volumes: ['disk1', 'disk2'].map((disk) => ({
      wwn: disk,
      name: disk,
      size: MIB,
      importable_criteria: 'Ready_For_Agentless_Import',
    })),
  });
  const id = await volumeIdOf(world, 'disk1');
  assert.equal(
    (await here.call('PATCH', `import_universal_volume/${id}`, { name: 'data' })).status,
    204,
  );
  const again = await here.call('POST', `remote_system/name:old/discover`);
  assert.equal(again.status, 204);
  const named = await here.call('GET', 'import_universal_volume/name:data?select=id,wwn');
  assert.deepEqual(named.body, { id, wwn: 'disk1' });
});

test('a volume comes in while its host writes, waits to be cut over, and is a volume then', async (t) => {
  const world = await foreignSystem(t);
  lookAfter(t, world.paris);
  const { here, systemId } = world;

  const id = await begin(world);
  const ready = await becomes(world, id, 'Ready_For_Cutover');
  await writeAsHost(world, 2, 2);

  assert.equal(onSource(world, 2), 2);
  assert.equal(ready['state_l10n'], 'Ready For Cutover');
  assert.equal(ready['type'], 'Non_Disruptive');
  assert.equal(ready['remote_system_id'], systemId);
  assert.equal(ready['source_resource_id'], await volumeIdOf(world, 'disk1'));
  assert.equal(ready['destination_resource_type'], 'volume');
  assert.equal(ready['progress_percentage'], 100);
  assert.equal(ready['error'], null);
  const criteria = await here.call('GET', 'import_universal_volume?select=importable_criteria');
  assert.deepEqual(
    criteria.rows.map((row) => row['importable_criteria']),
    ['In_Progress', 'Ready_For_Agentless_Import'],
  );
  await refused(world, 422, () => here.call('DELETE', `import_session/${id}`));
  await refused(world, 422, () => here.call('DELETE', `remote_system/${systemId}`));

  assert.equal((await act(world, id, 'cutover')).status, 204);
  await writeAsHost(world, 3, 3);

  assert.equal(onSource(world, 3), undefined);
  const done = await shown(world, id);
  assert.equal(done['state'], 'Import_Completed');
  assert.equal(done['progress_percentage'], null);
  const volume = await here.call(
    'GET',
    `volume/${String(done['destination_resource_id'])}?select=name,state,size`,
  );
  assert.deepEqual(volume.body, { name: 'disk1', state: 'Ready', size: MIB });
  const jobs = await here.call(
    'GET',
    'job?resource_type=eq.import_session&select=resource_action,resource_id,resource_name,state',
  );
  assert.deepEqual(jobs.rows, [
    { resource_action: 'cutover', resource_id: id, resource_name: 'move', state: 'COMPLETED' },
  ]);
  assert.equal((await here.call('DELETE', `import_session/${id}`)).status, 204);
  await refused(world, 404, () => here.call('GET', `import_session/${id}`));
  assert.equal((await here.call('DELETE', `remote_system/${systemId}`)).status, 204);
});

test('an agentless import lets the host move first, and copies when it is told to', async (t) => {
  const world = await foreignSystem(t);
  lookAfter(t, world.paris);

  const id = await begin(world, { type: 'Agentless' });
  const enabled = await becomes(world, id, 'Mirror_Enabled');
  assert.equal(enabled['state_l10n'], 'Ready To Enable Destination Volume');
  assert.equal(enabled['progress_percentage'], 0);
  await refused(world, 422, () => act(world, id, 'start_copy'));
  assert.equal((await act(world, id, 'enable_destination_volume')).status, 204);
  assert.equal((await shown(world, id))['state'], 'Ready_To_Start_Copy');
  const [volume] = await world.paris.app.listVolumes();
  assert.deepEqual(volume?.group.hosts, ['app1']);
  assert.equal((await act(world, id, 'start_copy')).status, 204);
  await becomes(world, id, 'Ready_For_Cutover');
});

test('a copy that is paused stands still while its host goes on, and is resumed', async (t) => {
  const world = await foreignSystem(t);
  lookAfter(t, world.paris);
  world.paris.importer.isSlow = true;
  const id = await begin(world);
  const copying = await becomes(world, id, 'Copy_In_Progress');
  assert.equal(copying['progress_percentage'], 0);

  assert.equal((await act(world, id, 'pause')).status, 204);
  world.paris.importer.isSlow = false;
  await writeAsHost(world, 7, 7);

  assert.equal((await shown(world, id))['state'], 'Paused');
  assert.equal(onSource(world, 7), 7);
  await refused(world, 422, () => act(world, id, 'cutover'));
  assert.equal((await act(world, id, 'resume')).status, 204);
  await becomes(world, id, 'Ready_For_Cutover');
});

for (const [what, resource] of [
  ['volume', { source_resource_id: 'name:disk1' }],
  ['volume_group', { source_resource_id: 'name:both' }],
] as const) {
  test(`the policy of an import takes effect on the new ${what} when it is complete`, async (t) => {
    const world = await foreignSystem(t);
    lookAfter(t, world.paris);
    const { here, lyon } = world;
    const rule = { name: 'five', rpo: 'Five_Minutes', remote_system_id: 'name:lyon' };
    await here.made('replication_rule', rule);
    const rules = { replication_rule_ids: ['name:five'], snapshot_rule_ids: null };
    const policyId = await here.made('policy', { name: 'gold', ...rules });
    await here.made('import_universal_consistency_group', {
      name: 'both',
      remote_system_id: world.systemId,
      import_universal_volume_ids: [await volumeIdOf(world, 'disk2')],
    });

    const id = await begin(world, { ...resource, protection_policy_id: 'name:gold' });
    const ready = await becomes(world, id, 'Ready_For_Cutover');

    assert.equal(ready['protection_policy_id'], policyId);
    assert.deepEqual(await lyon.app.listSessions(), []);
    const inUse = await here.call('DELETE', `policy/${policyId}`);
    assert.equal(inUse.status, 422);
    assert.equal((await act(world, id, 'cutover')).status, 204);
    await applyPolicies(world.paris.ports);
    const { destination_resource_id: made } = await shown(world, id);
    const { body } = await here.call('GET', `${what}/${String(made)}?select=protection_policy_id`);
    assert.deepEqual(body, { protection_policy_id: policyId });
    const { rows } = await here.call(
      'GET',
      `replication_session?local_resource_id=eq.${String(made)}`,
    );
    assert.equal(rows.length, 1);
  });
}

test('an automatic cut-over needs nobody', async (t) => {
  const world = await foreignSystem(t);
  lookAfter(t, world.paris);

  const id = await begin(world, { automatic_cutover: true });

  await becomes(world, id, 'Import_Completed');
});

test('cancelled, the host goes on with the source; the record goes when it has left', async (t) => {
  const world = await foreignSystem(t);
  lookAfter(t, world.paris);
  const { here, paris } = world;
  const id = await begin(world);
  const { destination_resource_id: volumeId } = await becomes(world, id, 'Ready_For_Cutover');

  assert.equal((await act(world, id, 'cancel')).status, 204);
  await writeAsHost(world, 5, 5);

  assert.equal((await shown(world, id))['state'], 'Cancelled');
  assert.equal(onSource(world, 5), 5);
  await refused(world, 422, () => here.call('DELETE', `import_session/${id}`));
  const detach = { host_id: 'name:app1' };
  assert.equal((await here.call('POST', `volume/${String(volumeId)}/detach`, detach)).status, 204);
  assert.equal((await here.call('DELETE', `import_session/${id}`)).status, 204);
  assert.deepEqual(await paris.app.listVolumes(), []);
});

test('a source that is gone wants a cancel; by force it ends, and says why it had to', async (t) => {
  const world = await foreignSystem(t);
  lookAfter(t, world.paris);
  const id = await begin(world);
  await becomes(world, id, 'Ready_For_Cutover');
  world.paris.source.isReachable = false;

  const lost = await becomes(world, id, 'Cancel_Required');
  assert.match(JSON.stringify(lost['error']), /"0x[0-9A-F]{12}".*the source does not answer/);
  assert.equal(lost['progress_percentage'], null);
  await refused(world, 422, () => act(world, id, 'cutover'));
  assert.equal((await act(world, id, 'cancel', { force: true })).status, 204);

  const cancelled = await shown(world, id);
  assert.equal(cancelled['state'], 'Cancelled');
  assert.equal(cancelled['destination_resource_id'], null);
});

test('a cut-over whose copies are not in step any more is a failed operation, not a done one', async (t) => {
  const world = await foreignSystem(t);
  const { paris } = world;
  const id = await begin(world);
  await putInto(world, id, 'ready');
  const before = await shown(world, id);

  const answer = await act(world, id, 'cutover');

  assert.equal(answer.status, 422);
  assert.match(answer.sentence ?? '', /not in step|imports nothing/);
  assert.equal(before['state'], 'Ready_For_Cutover');
  assert.equal((await paris.app.showImport(id as ImportId)).state, 'copying');
});

for (const [action, trouble] of [
  ['cutover', 'volume disk1 could not be switched'],
  ['cancel', 'the data plane does not answer'],
] as const) {
  test(`the job of a ${action} that did not come about has failed, with what its caller would have heard`, async (t) => {
    const world = await foreignSystem(t);
    lookAfter(t, world.paris);
    const { here, paris } = world;
    const id = await begin(world);
    await becomes(world, id, 'Ready_For_Cutover');
    const { importer } = paris;
    importer.isSlow = true;
    if (action === 'cutover') importer.cutOverTrouble = trouble;
    else importer.abandonTrouble = trouble;

    const begun = await here.call('POST', `import_session/${id}/${action}?is_async=true`);
    assert.equal(begun.status, 202);
    const jobId = String(begun.body['id']);
    await paris.app.endOfJob(jobId as SagaId);

    const job = await here.call(
      'GET',
      `job/${jobId}?select=state,phase,response_status,response_body,resource_action,resource_id`,
    );
    const { response_body: body, ...rest } = job.body;
    assert.deepEqual(rest, {
      state: 'FAILED',
      phase: 'Failed',
      response_status: '422',
      resource_action: action,
      resource_id: id,
    });
    const { response_type: type, messages } = body as {
      readonly response_type: string;
      readonly messages: readonly Json[];
    };
    assert.equal(type, 'error_response');
    assert.deepEqual(
      messages.map(({ code, severity }) => [code, severity]),
      [['0xE02040010001', 'Error']],
    );
    assert.match(String(messages[0]?.['message_l10n']), new RegExp(trouble));
    if (action === 'cutover') {
      importer.isSlow = false;
      await becomes(world, id, 'Ready_For_Cutover');
    } else assert.equal((await shown(world, id))['state'], 'Cancel_Failed');
    assert.equal((await act(world, id, action)).status, 422, 'whoever waits is refused the same');
  });
}

test('volumes of a consistency group come in together, as a volume group', async (t) => {
  const world = await foreignSystem(t);
  lookAfter(t, world.paris);
  const { here, systemId } = world;
  const ids = [await volumeIdOf(world, 'disk1'), await volumeIdOf(world, 'disk2')];
  const path = 'import_universal_consistency_group';
  const groupId = await here.made(path, {
    name: 'orders',
    remote_system_id: systemId,
    import_universal_volume_ids: [ids[0]],
  });
  const twice = { name: 'more', remote_system_id: systemId, import_universal_volume_ids: [ids[0]] };
  await refused(world, 422, () => here.call('POST', path, twice));
  const added = { import_universal_volume_ids: [ids[1]] };
  assert.equal((await here.call('POST', `${path}/${groupId}/add_members`, added)).status, 204);

  const id = await begin(world, { source_resource_id: groupId, automatic_cutover: true });
  const running = await shown(world, id);
  assert.equal(running['source_resource_id'], groupId);
  assert.equal(running['destination_resource_type'], 'volume_group');
  await becomes(world, id, 'Import_Completed');

  const group = await here.call('GET', 'volume_group/name:orders?select=volumes(name)');
  assert.deepEqual(group.body['volumes'], [{ name: 'disk1' }, { name: 'disk2' }]);
  const criteria = await here.call('GET', `${path}/${groupId}?select=importable_criteria`);
  assert.equal(criteria.body['importable_criteria'], 'Imported');
});

test('a consistency group does not change while it is imported, and holds what fits only', async (t) => {
  const world = await foreignSystem(t);
  const { here, systemId } = world;
  const path = 'import_universal_consistency_group';
  const one = await volumeIdOf(world, 'disk1');
  const members = { import_universal_volume_ids: [one] };
  const groupId = await here.made(path, {
    name: 'orders',
    remote_system_id: systemId,
    ...members,
  });
  const other = { name: 'orders', remote_system_id: systemId };
  await refused(world, 400, () => here.call('POST', path, other));
  const nobody = { import_universal_volume_ids: [crypto.randomUUID()] };
  await refused(world, 404, () => here.call('POST', `${path}/${groupId}/add_members`, nobody));
  const stranger = { import_universal_volume_ids: [await volumeIdOf(world, 'disk2')] };
  await refused(world, 422, () => here.call('POST', `${path}/${groupId}/remove_members`, stranger));
  await begin(world, { source_resource_id: groupId });

  await refused(world, 422, () => here.call('POST', `${path}/${groupId}/remove_members`, members));
  await refused(world, 422, () => here.call('PATCH', `${path}/${groupId}`, { name: 'new' }));
  await refused(world, 422, () => here.call('DELETE', `${path}/${groupId}`));
});

test('a volume that was not discovered is imported by the name that its source gives it', async (t) => {
  const world = await foreignSystem(t);
  world.paris.source.addVolume('vol 3', MIB, []);

  const id = await begin(world, { source_resource_id: 'name:vol 3' });

  const { name } = (await world.paris.app.showImport(id as ImportId)).volumes[0] ?? {};
  assert.equal(name, 'move', 'it has the name of the session: its own is none here');
  const { rows } = await world.here.call('GET', 'import_universal_volume?select=wwn');
  assert.deepEqual(rows, [{ wwn: 'disk1' }, { wwn: 'disk2' }, { wwn: 'vol 3' }]);
});

test('a start that is scheduled may be changed until it has come', async (t) => {
  const world = await foreignSystem(t);
  const { here, clock } = world;
  const later = new Date(clock.now() + 3_600_000).toISOString();
  const id = await begin(world, { scheduled_timestamp: later });
  assert.equal((await shown(world, id))['state'], 'Scheduled');

  const muchLater = new Date(clock.now() + 7_200_000).toISOString().replace('Z', '+00:00');
  const path = `import_session/${id}`;
  assert.equal((await here.call('PATCH', path, { scheduled_timestamp: muchLater })).status, 204);
  assert.equal((await shown(world, id))['scheduled_timestamp'], muchLater);
  assert.equal((await here.call('PATCH', path, { scheduled_timestamp: null })).status, 204);
  assert.equal((await shown(world, id))['state'], 'Queued');
  await refused(world, 422, () => here.call('PATCH', path, { scheduled_timestamp: later }));
  await refused(world, 400, () => here.call('PATCH', path, { scheduled_timestamp: 'tomorrow' }));
});
