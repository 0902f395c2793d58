import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PowerStoreAnswer } from '../../../test/support/powerstore-api.ts';
import {
  begin,
  foreignSystem,
  putInto,
  refused,
  volumeIdOf,
} from '../../../test/support/powerstore-import.ts';
import type { ImportWorld, Json } from '../../../test/support/powerstore-import.ts';
import { importStates } from '../../domain/import-session.ts';
import type { ImportState } from '../../domain/import-session.ts';
import type { ImportId } from '../../domain/ids.ts';

const MIB = 1024 * 1024;

test('an import that cannot be is refused before anything is made', async (t) => {
  const world = await foreignSystem(t);
  const { here, systemId } = world;
  const disk = await volumeIdOf(world, 'disk1');
  const good = { name: 'move', remote_system_id: systemId, source_resource_id: disk };
  const uuid = crypto.randomUUID();
  const cases: readonly (readonly [Json, number])[] = [
    [{ name: undefined }, 400],
    [{ name: 'two words' }, 400],
    [{ remote_system_id: undefined }, 400],
    [{ remote_system_id: uuid }, 404],
    [{ remote_system_id: world.lyon.id }, 404],
    [{ source_resource_id: uuid }, 404],
    [{ source_resource_id: 'name:gone' }, 422],
    [{ type: 'Magic' }, 400],
    [{ color: 'red' }, 400],
    [{ host_ids: [uuid] }, 404],
    [{ host_group_ids: [uuid] }, 404],
    [{ scheduled_timestamp: 'soon' }, 400],
    [{ scheduled_timestamp: '2026-13-45T00:00:00Z' }, 400],
    [{ automatic_cutover: 'yes' }, 400],
    [{ protection_policy_id: uuid }, 404],
    [{ volume_group_id: uuid }, 422],
    [{ description: 'mine' }, 422],
    [{ consistency_group_member_host_ids: [{ volume_wwn: 'x', host_ids: [] }] }, 422],
  ];
  for (const [change, status] of cases) {
    await refused(world, status, () => here.call('POST', 'import_session', { ...good, ...change }));
  }
  await refused(world, 403, () => here.call('POST', 'import_session', good, 'viewer'));
  await here.made('import_session', good);
  await refused(world, 400, () => here.call('POST', 'import_session', good));
  const second = { ...good, name: 'another' };
  await refused(world, 422, () => here.call('POST', 'import_session', second));
});

test('a foreign system that cannot be is refused, and no answer repeats a secret', async (t) => {
  const world = await foreignSystem(t);
  const { here } = world;
  const good = { name: 'new', type: 'Universal', data_connection_type: 'TCP' };
  const at = { ...good, management_address: 'old-array' };
  const iscsi = { ...at, data_connection_type: 'iSCSI' };
  const chap = { initiator_session_username: 'me', initiator_session_password: 'hush-hush-hush' };
  const cases: readonly (readonly [Json, number])[] = [
    [good, 400],
    [{ ...at, name: undefined }, 400],
    [{ ...at, name: 'old' }, 400],
    [{ ...at, type: 'Unity' }, 422],
    [{ ...at, type: 'Unheard_Of' }, 400],
    [{ ...at, data_connection_type: 'FC' }, 422],
    [{ ...at, management_address: 'nobody' }, 422],
    [{ ...at, remote_username: 'root' }, 422],
    [{ ...at, description: 'mine' }, 422],
    [{ ...iscsi, session_chap_mode: 'Mutual', import_chap_info: chap }, 422],
    [{ ...iscsi, session_chap_mode: 'Single' }, 400],
    [{ ...iscsi, iscsi_addresses: ['a', 'b'] }, 422],
    [{ ...iscsi, import_chap_info: { ...chap, also: 1 } }, 400],
  ];
  for (const [body, status] of cases) {
    const { sentence } = await refused(world, status, () =>
      here.call('POST', 'remote_system', body),
    );
    assert.doesNotMatch(sentence ?? '', /hush/);
  }
  await refused(world, 403, () => here.call('POST', 'remote_system', at, 'storage_operator'));
  const uuid = crypto.randomUUID();
  await refused(world, 404, () => here.call('POST', `remote_system/${uuid}/discover`));
  await refused(world, 422, () => here.call('POST', `remote_system/name:lyon/discover`));
  world.paris.source.isReachable = false;
  await refused(world, 422, () => here.call('POST', `remote_system/name:old/discover`));
  const unanswered = await here.call('POST', `remote_system/name:old/verify`);
  assert.equal(unanswered.status, 422);
  const { body } = await here.call('GET', 'remote_system/name:old?select=state');
  assert.equal(body['state'], 'Management_Connection_Lost');
});

/** Where the vendor's manual allows each operation on the import of one volume. */
const allowed: Readonly<Record<string, readonly ImportState[]>> = {
  cutover: ['ready'],
  cancel: [
    'scheduled',
    'queued',
    'mirror_enabled',
    'ready_to_start_copy',
    'copying',
    'paused',
    'ready',
    'cancel_required',
    // Of a group in the manual; an import has one session here, whatever its members.
    'cancel_failed',
    // What `cleanup` does, too.
    'cleanup_required',
  ],
  cleanup: ['cleanup_required'],
  pause: ['copying'],
  resume: ['paused'],
  enable_destination_volume: ['mirror_enabled'],
  start_copy: ['ready_to_start_copy'],
  PATCH: ['scheduled'],
  // One that was rolled back, which the vendor has no word for, is a cancelled one.
  DELETE: ['completed', 'completed_with_errors', 'rolled_back', 'cancelled', 'failed'],
};

for (const [operation, states] of Object.entries(allowed)) {
  const method = operation === 'DELETE' || operation === 'PATCH' ? operation : 'POST';
  const pathOf = (id: string): string =>
    `import_session/${id}${method === 'POST' ? `/${operation}` : ''}`;

  test(`${operation} is taken of an import that is ${states.join(', ')}, and of no other`, async (t) => {
    const world = await foreignSystem(t);
    const { here } = world;
    const body = method === 'PATCH' ? { scheduled_timestamp: '2030-01-01T00:00:00Z' } : undefined;
    for (const state of importStates) {
      const id = await opened(world, state);
      const ask = (): Promise<PowerStoreAnswer> =>
        here.call(method, `${pathOf(id)}?is_async=true`, body);

      if (!states.includes(state)) {
        const { code } = await refused(world, 422, ask);
        assert.equal(code, '0xE02040010001', state);
        continue;
      }
      const { status, sentence } = await ask();
      assert.equal(status, 202, `${state}: ${sentence}`);
    }
  });

  test(`${operation} of an import that is not there is 404, and with an unknown property 400`, async (t) => {
    const world = await foreignSystem(t);
    const { here } = world;
    await refused(world, 404, () => here.call(method, pathOf(crypto.randomUUID())));
    const id = await begin(world);
    await refused(world, 400, () => here.call(method, pathOf(id), { now: true }));
  });
}

/** An import that is in a state, with its data plane in front of the source. */
async function opened(world: ImportWorld, state: ImportState): Promise<string> {
  const { paris } = world;
  paris.source.addVolume(state, MIB, []);
  const id = await begin(world, {
    name: state,
    source_resource_id: `name:${state}`,
    host_ids: [],
  });
  const { groupId, volumes, sourceId } = await paris.app.showImport(id as ImportId);
  const source = await paris.ports.store.read((tx) => tx.importSources.need(sourceId));
  await paris.importer.open(groupId, { source, volumes, keepsSource: false });
  await putInto(world, id, state);
  return id;
}
