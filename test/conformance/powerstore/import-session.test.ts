/**
 * The vendor's import of a foreign volume, walked with the vendor's own Python client from an NBD
 * server that knows nothing of Baton, while a host writes numbered blocks. The client has no methods
 * for imports, so it sends them by its generic request, as its users do.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { NumberedWriter } from '../../../src/main/numbered-writer.ts';
import { waitUntil } from '../../../src/main/wait-until.ts';
import { temporaryDirectory } from '../../support/nbd-servers.ts';
import { readingFile } from '../../support/story-import.ts';
import { nbdkitSource } from '../../support/story-source.ts';
import type { StorySource } from '../../support/story-source.ts';
import { assertNothingLost, moreWrites, twoSites } from '../../support/two-sites.ts';
import type { TwoSites } from '../../support/two-sites.ts';
import { ClientRefused, powerstoreClients } from './powerstore-client.ts';
import type { Attributes, PowerStoreClient } from './powerstore-client.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 64 * MIB;
const LIMIT_MS = 60_000;

interface World {
  readonly sites: TwoSites;
  readonly source: StorySource;
  readonly paris: PowerStoreClient;
  readonly systemId: string;
}

/**
 * An NBD server as a remote system, and a host that Baton knows.
 *
 * @param rate of the server, in bits a second as nbdkit reads it
 */
async function foreignSystem(t: TestContext, rate?: string): Promise<World> {
  const sites = await twoSites(t);
  const { paris } = await powerstoreClients(t, sites);
  const slowly = rate === undefined ? [] : [['--filter', 'rate']];
  const limits = rate === undefined ? [] : [`rate=${rate}`];
  const source = await nbdkitSource(await temporaryDirectory(), SIZE_BYTES, slowly, limits);
  const body = {
    name: 'old-array',
    type: 'Universal',
    data_connection_type: 'TCP',
    management_address: '127.0.0.1',
    management_port: source.port,
  };
  const { id } = (await paris.post('remote_system', body)) as Attributes;
  const [shown] = (await paris.call('protection.get_remote_system_by_name', [
    'old-array',
  ])) as readonly Attributes[];
  assert.equal(shown?.['state'], 'OK');
  await paris.post(`remote_system/${String(id)}/discover`);
  return { sites, source, paris, systemId: String(id) };
}

async function begin(world: World, name: string, more: object = {}): Promise<string> {
  const { paris, systemId } = world;
  const [volume] = (await paris.request(
    'GET',
    `import_universal_volume?remote_system_id=eq.${systemId}&select=id,wwn,importable_criteria`,
  )) as readonly Attributes[];
  assert.equal(volume?.['importable_criteria'], 'Ready_For_Agentless_Import');
  const path = `import_universal_volume/${String(volume['id'])}`;
  await paris.request('PATCH', path, { name });
  const { id } = (await paris.post('import_session', {
    name,
    remote_system_id: systemId,
    source_resource_id: volume['id'],
    host_ids: ['name:app1'],
    ...more,
  })) as Attributes;
  return String(id);
}

async function seen({ paris }: World, id: string): Promise<Attributes> {
  return (await paris.request('GET', `import_session/${id}?select=*`)) as Attributes;
}

function becomes(world: World, id: string, state: string): Promise<Attributes> {
  let last: Attributes = {};
  return waitUntil(`the import is ${state}`, LIMIT_MS, async () => {
    last = await seen(world, id);
    return last['state'] === state ? last : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; last ${JSON.stringify(last)}`, { cause: error });
  });
}

async function refused(
  world: World,
  id: string,
  status: number,
  asking: () => Promise<unknown>,
): Promise<void> {
  const standing = async (): Promise<unknown> => {
    const { state, error, destination_resource_id: destination } = await seen(world, id);
    return { state, error, destination };
  };
  const before = await standing();
  await assert.rejects(
    asking(),
    (error) => error instanceof ClientRefused && error.status === status,
  );
  assert.deepEqual(await standing(), before, 'nothing has changed');
}

/** A host that comes as soon as the volume is open to it. */
async function writerOf({ sites }: World, volume: string): Promise<NumberedWriter> {
  await waitUntil(`${volume} is open to hosts`, LIMIT_MS, async () => {
    const { serving } = await sites.paris.attachment(volume);
    return serving ? true : undefined;
  });
  return sites.startWriter({ volumes: [volume] });
}

/** Not one request failed, and the connection is the one that the host opened first. */
function assertConnectionKept(writer: NumberedWriter): void {
  assert.equal(writer.serverErrors(), 0);
  assert.deepEqual(writer.disconnected(), []);
}

test('a volume is imported under the host that has moved to it, cut over when asked, and loses nothing', async (t) => {
  const world = await foreignSystem(t);
  const { sites, source, paris } = world;
  const id = await begin(world, 'orders', { type: 'Agentless' });
  await becomes(world, id, 'Mirror_Enabled');
  await refused(world, id, 422, () => paris.post(`import_session/${id}/start_copy`));
  await refused(world, id, 422, () => paris.post(`import_session/${id}/cutover`));
  await refused(world, id, 404, () => paris.post(`import_session/${crypto.randomUUID()}/cutover`));
  await paris.post(`import_session/${id}/enable_destination_volume`);
  const writer = await writerOf(world, 'orders');
  await moreWrites(writer, 100);
  await refused(world, id, 400, () => paris.post(`import_session/${id}/start_copy`, { now: 1 }));
  await paris.post(`import_session/${id}/start_copy`);
  const ready = await becomes(world, id, 'Ready_For_Cutover');
  assert.equal(ready['progress_percentage'], 100);
  await refused(world, id, 422, () => paris.post(`import_session/${id}/pause`));
  await refused(world, id, 422, () => paris.request('DELETE', `import_session/${id}`));
  await moreWrites(writer, 100);

  await paris.post(`import_session/${id}/cutover`);

  await becomes(world, id, 'Import_Completed');
  await source.server.end();
  await moreWrites(writer, 200);
  await refused(world, id, 422, () => paris.post(`import_session/${id}/cancel`));
  assertConnectionKept(writer);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
  const { destination_resource_id: volumeId } = await seen(world, id);
  const volume = await paris.call('provisioning.get_volume_details', [volumeId]);
  assert.equal((volume as Attributes)['name'], 'orders');
  await paris.request('DELETE', `import_session/${id}`);
  await paris.request('DELETE', `remote_system/${world.systemId}`);
});

test('an import rests while it is paused, and cancelled leaves its writer on the source', async (t) => {
  const world = await foreignSystem(t, '64M');
  const { source, paris } = world;
  await writeFile(source.file, Buffer.alloc(SIZE_BYTES, 7));
  const id = await begin(world, 'mail');
  const writer = await writerOf(world, 'mail');
  await becomes(world, id, 'Copy_In_Progress');
  await refused(world, id, 422, () => paris.post(`import_session/${id}/resume`));
  await paris.post(`import_session/${id}/pause`);
  await refused(world, id, 422, () => paris.post(`import_session/${id}/cutover`));
  await moreWrites(writer, 100);
  assert.equal((await seen(world, id))['state'], 'Paused');
  await paris.post(`import_session/${id}/resume`);
  await becomes(world, id, 'Ready_For_Cutover');
  await moreWrites(writer, 100);

  await paris.post(`import_session/${id}/cancel`);

  assert.equal((await seen(world, id))['state'], 'Cancelled');
  await moreWrites(writer, 100);
  assertConnectionKept(writer);
  await writer.stop();
  assertNothingLost(
    await readingFile(source.file, (reader) => writer.verify(() => reader, 'acknowledged')),
  );
});

test('an import that cuts over by itself needs nobody, and its volume is replicated afterwards', async (t) => {
  const world = await foreignSystem(t);
  const { sites, paris } = world;
  const id = await begin(world, 'stock', { automatic_cutover: true });
  const writer = await writerOf(world, 'stock');

  const done = await becomes(world, id, 'Import_Completed');

  await moreWrites(writer, 100);
  const [remote] = (await paris.call('protection.get_remote_system_by_name', [
    'lyon',
  ])) as readonly Attributes[];
  const rule = { name: 'five', rpo: 'Five_Minutes', remote_system_id: remote?.['id'] };
  const { id: ruleId } = (await paris.call(
    'protection.create_replication_rule',
    [],
    rule,
  )) as Attributes;
  const policy = { name: 'gold', replication_rule_ids: [ruleId] };
  const { id: policyId } = (await paris.call(
    'protection.create_protection_policy',
    [],
    policy,
  )) as Attributes;
  const volumeId = done['destination_resource_id'];
  await paris.call('provisioning.modify_volume', [volumeId], { protection_policy_id: policyId });
  await waitUntil('it is replicated', LIMIT_MS, async () => {
    const filter = { local_resource_id: `eq.${String(volumeId)}` };
    const [session] = (await paris.call('protection.get_replication_sessions', [
      filter,
    ])) as readonly Attributes[];
    if (session === undefined) return undefined;
    const { state } = (await paris.call('protection.get_replication_session_details', [
      session['id'],
    ])) as Attributes;
    return state === 'OK' ? true : undefined;
  });
  assertConnectionKept(writer);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});
