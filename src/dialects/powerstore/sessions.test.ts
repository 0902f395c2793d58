import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  act,
  cycleEnded,
  hear,
  protectedGroup,
  refused,
  sessionAt,
} from '../../../test/support/powerstore-session.ts';
import type { Json } from '../../../test/support/powerstore-session.ts';
import type { GroupId } from '../../domain/ids.ts';

test('a policy that is assigned makes one session, which each site shows from its side', async (t) => {
  const world = await protectedGroup(t);
  const { here, there, paris, lyon, groupId, ruleId } = world;

  assert.deepEqual(await sessionAt(here, world), {
    state: 'OK',
    role: 'Source',
    resource_type: 'volume_group',
    local_resource_id: groupId,
    remote_system_id: lyon.id,
    replication_rule_id: ruleId,
  });
  const other = await sessionAt(there, world);
  assert.equal(other['role'], 'Destination');
  assert.equal(other['remote_system_id'], paris.id);
  const { rows } = await there.call(
    'GET',
    'policy?select=name,is_replica,managed_by_l10n,replication_rules(rpo,is_replica)',
  );
  assert.deepEqual(rows, [
    {
      name: 'gold',
      is_replica: true,
      managed_by_l10n: 'Managed by Replication',
      replication_rules: [{ rpo: 'Five_Minutes', is_replica: true }],
    },
  ]);
});

test('paused at either side it rests at both, and resumed it is what it was', async (t) => {
  const world = await protectedGroup(t);
  const { here, there } = world;

  for (const [pauses, resumes] of [
    [here, there],
    [there, here],
  ] as const) {
    assert.equal((await act(pauses, world, 'pause')).status, 204);
    assert.equal((await sessionAt(here, world))['state'], 'Paused');
    assert.equal((await sessionAt(there, world))['state'], 'Paused');
    await refused(world, 422, () => act(here, world, 'sync'));

    assert.equal((await act(resumes, world, 'resume')).status, 204);
    assert.equal((await sessionAt(here, world))['state'], 'OK');
  }
});

test('paused while the other site is out of reach, it is paused here only and is not resumed', async (t) => {
  const world = await protectedGroup(t);
  const { here, there, paris, lyon } = world;
  paris.trouble.down = true;
  lyon.trouble.down = true;

  assert.equal((await act(here, world, 'pause')).status, 204);
  assert.equal((await sessionAt(here, world))['state'], 'Paused');
  assert.equal((await sessionAt(there, world))['state'], 'OK');

  paris.trouble.down = false;
  lyon.trouble.down = false;
  await refused(world, 422, () => act(here, world, 'resume'));
  assert.equal((await act(here, world, 'pause')).status, 204);
  assert.equal((await sessionAt(there, world))['state'], 'Paused');
  assert.equal((await act(here, world, 'resume')).status, 204);
});

test('what a pause is refused for: a state that has none, an unknown session, a body', async (t) => {
  const world = await protectedGroup(t);
  const { here } = world;

  await refused(world, 422, () => act(here, world, 'resume'));
  const unknown = crypto.randomUUID();
  const answer = await refused(world, 404, () =>
    here.call('POST', `replication_session/${unknown}/pause`),
  );
  assert.equal(answer.code, '0xE04040020009');
  await refused(world, 404, () => here.call('POST', 'replication_session/nonsense/resume'));
  await refused(world, 400, () => act(here, world, 'pause', { force: true }));
  await refused(world, 400, () => act(here, world, 'resume', [1]));
});

test('a planned failover leaves both sides Failed_Over, and reprotect copies the other way', async (t) => {
  const world = await protectedGroup(t);
  const { here, there } = world;

  assert.equal((await act(here, world, 'failover')).status, 204);
  assert.deepEqual(
    [(await sessionAt(here, world))['role'], (await sessionAt(there, world))['role']],
    ['Destination', 'Source'],
  );
  assert.equal((await sessionAt(here, world))['state'], 'Failed_Over');
  assert.equal((await sessionAt(there, world))['state'], 'Failed_Over');
  await refused(world, 422, () => act(here, world, 'reprotect'));
  await refused(world, 422, () => act(here, world, 'pause'));

  assert.equal((await act(there, world, 'reprotect')).status, 204);
  assert.equal((await act(there, world, 'sync')).status, 204);
  await cycleEnded(there);
  assert.equal((await sessionAt(there, world))['state'], 'OK');
  assert.equal((await sessionAt(there, world))['role'], 'Source');
});

test('with reverse a planned failover replicates back by itself', async (t) => {
  const world = await protectedGroup(t);

  const { status } = await act(world.here, world, 'failover', { is_planned: true, reverse: true });

  assert.equal(status, 204);
  assert.equal((await sessionAt(world.there, world))['state'], 'OK');
  assert.equal((await sessionAt(world.there, world))['role'], 'Source');
  assert.equal((await sessionAt(world.here, world))['role'], 'Destination');
});

test('an unplanned failover is asked at the destination, and undone by force at the old source', async (t) => {
  const world = await protectedGroup(t);
  const { here, there } = world;
  await refused(world, 400, () => act(there, world, 'failover'));
  await refused(world, 422, () => act(here, world, 'failover', { is_planned: false }));

  assert.equal((await act(there, world, 'failover', { is_planned: false })).status, 204);
  await hear(world);
  assert.equal((await sessionAt(there, world))['state'], 'Failed_Over');
  assert.equal((await sessionAt(here, world))['role'], 'Destination');

  const again = await refused(world, 422, () =>
    act(there, world, 'failover', { is_planned: false }),
  );
  assert.equal(again.code, '0xE0201005000C');
  const unforced = await refused(world, 422, () =>
    act(here, world, 'failover', { is_planned: false }),
  );
  assert.equal(unforced.code, '0xE0201005000C');
});

test('a failover stands on the snapshot that is named', async (t) => {
  const world = await protectedGroup(t);
  const { there, lyon, groupId } = world;
  const { rows } = await there.call(
    'GET',
    `volume_group?select=id,name,volumes(id,type)&protection_data->>source_id=eq.${groupId}&type=eq.Snapshot`,
  );
  assert.equal(rows.length, 1);
  const [set] = rows;
  const members = (set?.['volumes'] ?? []) as readonly { readonly id: string }[];
  const [member] = members;
  assert.ok(member);
  const unknown = { is_planned: false, failover_snapshot_id: crypto.randomUUID() };
  await refused(world, 404, () => act(there, world, 'failover', unknown));

  const named = { is_planned: false, failover_snapshot_id: member.id };
  assert.equal((await act(there, world, 'failover', named)).status, 204);

  assert.equal((await lyon.app.showGroup(groupId as GroupId)).standsOn, set?.['id']);
});

test('what goes with one kind of failover only is refused with the other', async (t) => {
  const world = await protectedGroup(t);
  const { here, there } = world;
  const named = { failover_snapshot_id: crypto.randomUUID() };

  await refused(world, 400, () => act(here, world, 'failover', { force: true }));
  await refused(world, 400, () => act(here, world, 'failover', named));
  await refused(world, 400, () =>
    act(there, world, 'failover', { is_planned: false, reverse: true }),
  );
  await refused(world, 400, () => act(here, world, 'failover', { use_test_copy: true }));
  await refused(world, 422, () =>
    act(there, world, 'failover', { is_planned: false, use_test_copy: true }),
  );
  await refused(world, 400, () => act(here, world, 'failover', { is_planned: 'yes' }));
});

test('with is_async the answer is a job, which ends COMPLETED or FAILED with the reason', async (t) => {
  const world = await protectedGroup(t);
  const { there, lyon } = world;
  const path = `replication_session/${world.sessionId}/failover?is_async=True`;

  const { status, body } = await there.call('POST', path, { is_planned: false, force: false });
  assert.equal(status, 202);
  const jobId = String(body['id']);
  for (const { id } of await lyon.app.listJobs({ kind: 'failover' })) await lyon.ended(id);

  const job = await there.call(
    'GET',
    `job/${jobId}?select=resource_action,resource_type,resource_id,state,response_body`,
  );
  assert.deepEqual(job.body, {
    resource_action: 'failover',
    resource_type: 'replication_session',
    resource_id: world.sessionId,
    state: 'COMPLETED',
    response_body: null,
  });
});

test('a policy that is taken away ends the session, and leaves a job that tells it', async (t) => {
  const world = await protectedGroup(t);
  const { here, there, groupId, sessionId, policyId, ruleId } = world;
  await refused(world, 422, () => here.call('DELETE', `policy/${policyId}`));
  await refused(world, 422, () => here.call('DELETE', `replication_rule/${ruleId}`));
  await refused(world, 422, () => here.call('DELETE', `volume_group/${groupId}`));
  const read = { name: 'other' };
  await refused(world, 422, () => there.call('PATCH', `policy/${policyId}`, read));

  const taken = await here.call('PATCH', `volume_group/${groupId}`, { protection_policy_id: '' });
  assert.equal(taken.status, 204);

  assert.equal((await here.call('GET', `replication_session/${sessionId}`)).status, 404);
  assert.equal((await there.call('GET', `replication_session/${sessionId}`)).status, 404);
  const query = `resource_type=eq.replication_session&resource_action=eq.delete&resource_id=eq.${sessionId}&state=eq.COMPLETED`;
  assert.equal((await here.call('GET', `job?${query}`)).rows.length, 1);
  const copy = await there.call('GET', `volume_group/${groupId}?select=is_replication_destination`);
  assert.equal(copy.body['is_replication_destination'], true);
  assert.equal((await here.call('DELETE', `policy/${policyId}`)).status, 204);
  assert.equal((await here.call('DELETE', `replication_rule/${ruleId}`)).status, 204);
});

test('a long pause tells how much has added up', async (t) => {
  const world = await protectedGroup(t);
  const { here, paris, sessionId } = world;
  assert.equal((await act(here, world, 'pause')).status, 204);
  const [volume] = await paris.app.listVolumes();
  assert.ok(volume);
  paris.engine.write(volume.groupId, volume.id, 3, 3);

  const { status, rows } = await here.call('POST', 'metrics/generate', {
    entity: 'copy_metrics_by_replication_session',
    entity_id: sessionId,
  });

  assert.equal(status, 200);
  assert.ok(Number(rows[0]?.['data_remaining']) > 0);
});

test('a failover test runs beside the replication, and what it wrote goes or is kept', async (t) => {
  const world = await protectedGroup(t);
  const { here, there, paris } = world;
  const [volume] = await paris.app.listVolumes();
  assert.ok(volume);
  await refused(world, 422, () => act(here, world, 'start_failover_test'));
  await refused(world, 422, () => act(there, world, 'stop_failover_test'));
  await refused(world, 404, () =>
    act(there, world, 'start_failover_test', { snapshot_id: crypto.randomUUID() }),
  );

  assert.equal((await act(there, world, 'start_failover_test')).status, 204);
  const shown = 'select=failover_test_in_progress,state';
  const running = await there.call('GET', `replication_session/${world.sessionId}?${shown}`);
  assert.deepEqual(running.body, { failover_test_in_progress: true, state: 'OK' });
  await refused(world, 422, () => act(there, world, 'start_failover_test'));
  await refused(world, 422, () => act(there, world, 'failover', { is_planned: false }));
  assert.equal((await act(here, world, 'sync')).status, 204);
  await cycleEnded(here);

  const keep = { create_end_of_test_snapshot: true, force: true };
  const stopped = await act(there, world, 'stop_failover_test', keep);
  assert.equal(stopped.status, 200);
  const kept = await there.call(
    'GET',
    `volume_group/${String(stopped.body['snapshot_id'])}?select=type,protection_data`,
  );
  assert.equal(kept.body['type'], 'Snapshot');
  assert.notEqual((kept.body['protection_data'] as Json)['expiration_timestamp'], null);

  assert.equal((await act(there, world, 'start_failover_test')).status, 204);
  assert.equal((await act(there, world, 'stop_failover_test')).status, 204);
  await refused(world, 422, () => act(there, world, 'stop_failover_test'));
});

test('a failover can stand on what the test wrote', async (t) => {
  const world = await protectedGroup(t);
  const { there } = world;
  const path = `replication_session/${world.sessionId}/start_failover_test?is_async=true`;
  const started = await there.call('POST', path);
  assert.equal(started.status, 202);
  for (const { id } of await world.lyon.app.listJobs({ kind: 'open-copy' })) {
    await world.lyon.ended(id);
  }
  const job = await there.call(
    'GET',
    `job/${String(started.body['id'])}?select=state,resource_action`,
  );
  assert.deepEqual(job.body, { state: 'COMPLETED', resource_action: 'start_failover_test' });

  const promote = { is_planned: false, use_test_copy: true };
  assert.equal((await act(there, world, 'failover', promote)).status, 204);

  assert.equal((await sessionAt(there, world))['role'], 'Source');
});
