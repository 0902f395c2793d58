/** Imports by the PowerStore API, in words. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ImportState } from '../../src/domain/import-session.ts';
import type { ImportId } from '../../src/domain/ids.ts';
import { powerstorePair, refusedAt } from './powerstore-api.ts';
import type { PowerStoreAnswer, PowerStorePair } from './powerstore-api.ts';

const MIB = 1024 * 1024;
const LOOKS_LIMIT = 2000;

export type Json = Readonly<Record<string, unknown>>;

export interface ImportWorld extends PowerStorePair {
  readonly systemId: string;
}

/** A foreign system with two volumes, discovered, and a host. */
export async function foreignSystem(t: TestContext): Promise<ImportWorld> {
  const pair = await powerstorePair(t);
  const { here, paris } = pair;
  for (const disk of ['disk1', 'disk2']) paris.source.addVolume(disk, MIB, [[1, 1]]);
  await here.made('host', { name: 'app1', os_type: 'Linux' });
  const systemId = await here.made('remote_system', {
    name: 'old',
    type: 'Universal',
    data_connection_type: 'TCP',
    management_address: 'old-array',
  });
  const discovered = await here.call('POST', `remote_system/${systemId}/discover`);
  assert.equal(discovered.status, 204, discovered.sentence ?? '');
  return { ...pair, systemId };
}

export async function volumeIdOf({ here }: ImportWorld, wwn: string): Promise<string> {
  const { rows } = await here.call('GET', `import_universal_volume?wwn=eq.${wwn}`);
  return String(rows[0]?.['id']);
}

export async function begin(world: ImportWorld, more: Json = {}): Promise<string> {
  return world.here.made('import_session', {
    name: 'move',
    remote_system_id: world.systemId,
    source_resource_id: await volumeIdOf(world, 'disk1'),
    host_ids: ['name:app1'],
    ...more,
  });
}

export async function shown({ here }: ImportWorld, id: string, select = '*'): Promise<Json> {
  const { status, body } = await here.call('GET', `import_session/${id}?select=${select}`);
  assert.equal(status, 200);
  return body;
}

export async function becomes(world: ImportWorld, id: string, state: string): Promise<Json> {
  let last: Json = {};
  for (let look = 0; look < LOOKS_LIMIT; look += 1) {
    last = await shown(world, id);
    if (last['state'] === state) return last;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return assert.fail(`wanted ${state}, it is ${JSON.stringify(last)}`);
}

export function act(
  world: ImportWorld,
  id: string,
  action: string,
  body?: Json,
): Promise<PowerStoreAnswer> {
  return world.here.call('POST', `import_session/${id}/${action}`, body);
}

/** Everything that the site knows but who asked for what. */
function everything({ paris }: ImportWorld): Promise<unknown> {
  return paris.ports.store.read(async (tx) => [
    await tx.importSources.all(),
    await tx.imports.all(),
    await tx.groups.all(),
    await tx.volumes.all(),
    (await tx.sagas.all()).length,
  ]);
}

export function refused(
  world: ImportWorld,
  status: number,
  asking: () => Promise<PowerStoreAnswer>,
): Promise<PowerStoreAnswer> {
  return refusedAt(() => everything(world), status, asking);
}

export async function writeAsHost(
  { paris }: ImportWorld,
  block: number,
  fill: number,
): Promise<void> {
  const [volume] = await paris.app.listVolumes();
  assert.ok(volume);
  paris.engine.write(volume.groupId, volume.id, block, fill);
}

export const onSource = ({ paris }: ImportWorld, block: number): number | undefined =>
  paris.source.need('disk1').blocks.get(block)?.[0];

export async function putInto(
  { paris }: ImportWorld,
  id: string,
  state: ImportState,
): Promise<void> {
  await paris.ports.store.transaction((tx) =>
    tx.imports.change(id as ImportId, (s) => ({ ...s, state })),
  );
}
