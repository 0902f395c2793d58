import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import test, { after } from 'node:test';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { GroupAnswer, Page, VolumeAnswer } from '../support/native-answers.ts';
import { groupDirectory, refusal } from '../support/story-site.ts';
import type { StorySite } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const BLOCK_BYTES = 4096;

const sites = await twoSites({ after });
const { paris, lyon } = sites;

const block = (fill: number): Buffer => Buffer.alloc(BLOCK_BYTES, fill);

async function members(site: StorySite, group: string): Promise<readonly string[]> {
  return (await site.group(group)).volumes.map((v) => v.name);
}

/** One look through a connection of its own. */
async function reading<T>(volume: string, look: (c: NbdConnection) => Promise<T>): Promise<T> {
  const connection = await sites.connectHolder(volume);
  try {
    return await look(connection);
  } finally {
    await connection.disconnect();
  }
}

test('a volume that stands alone is served, replicated and handed over like a group', async () => {
  await paris.createVolume('alone', 16 * MIB);
  await paris.ask({ method: 'PUT', path: '/volumes/alone/hosts/app1' });
  const zeros = await reading('alone', (c) => c.read(MIB, BLOCK_BYTES));
  assert.ok(zeros.equals(block(0)));
  await reading('alone', (c) => c.write(MIB, block(7), { fua: true }));

  const body = { peer: 'lyon', rpoSeconds: 3600 };
  await paris.carryOut({ method: 'PUT', path: '/volumes/alone/session', body });
  await paris.volumeOnce('alone', 'replicated', (v) => v.session?.state === 'ok');
  await paris.carryOut({ method: 'POST', path: '/volumes/alone/handover', body: {} });

  const there = await lyon.volume('alone');
  assert.ok(there.heldHere);
  assert.equal(there.group, undefined);
  assert.ok((await reading('alone', (c) => c.read(MIB, BLOCK_BYTES))).equals(block(7)));
  for (const site of [paris, lyon]) {
    const { items } = await site.get<Page<GroupAnswer>>('/groups');
    assert.ok(!items.some(({ name }) => name === 'alone'));
  }
});

test('a volume grows at both sites; its hosts reconnect and lose nothing', async () => {
  await sites.protect('orders');
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  await moreWrites(writer, 200);
  const before = await sites.connect(paris, 'orders-1');
  const sizeBytes = 128 * MIB;

  await paris.carryOut({ method: 'PATCH', path: '/volumes/orders-1', body: { sizeBytes } });

  await before.ended;
  assert.equal(await reading('orders-1', async (c) => c.info.sizeBytes), sizeBytes);
  await reading('orders-1', (c) => c.write(sizeBytes - BLOCK_BYTES, block(9), { fua: true }));
  await moreWrites(writer, 200);
  await paris.synchronize('orders');
  assert.equal((await lyon.volume('orders-1')).sizeBytes, sizeBytes);

  await paris.handOver('orders', lyon);

  assert.equal((await lyon.attachment('orders-1')).sizeBytes, sizeBytes);
  assert.equal(await reading('orders-1', async (c) => c.info.sizeBytes), sizeBytes);
  const last = await reading('orders-1', (c) => c.read(sizeBytes - BLOCK_BYTES, BLOCK_BYTES));
  assert.ok(last.equals(block(9)));
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('a volume only grows, to whole sectors, and nothing changes otherwise', async () => {
  await sites.protect('ledger');
  const before = [await paris.volume('ledger-1'), await lyon.volume('ledger-1')];

  for (const sizeBytes of [0, 32 * MIB, 64 * MIB + 1, 64 * MIB + 4096 + 100]) {
    const asked = { method: 'PATCH', path: '/volumes/ledger-1', body: { sizeBytes } } as const;
    await assert.rejects(paris.carryOut(asked), refusal('invalid'), `${sizeBytes}`);
  }

  const now = [await paris.volume('ledger-1'), await lyon.volume('ledger-1')];
  assert.deepEqual(now.map(lasting), before.map(lasting));
});

function lasting({ id, name, sizeBytes, heldHere }: VolumeAnswer): object {
  return { id, name, sizeBytes, heldHere };
}

test('a deleted volume is gone at both sites, bytes and all; the rest of its group goes on', async () => {
  await sites.protect('stock');
  const writer = await sites.startWriter({ volumes: ['stock-1'] });
  await moreWrites(writer, 200);
  const { id } = await paris.volume('stock-2');
  const group = await paris.group('stock');

  await paris.carryOut({ method: 'DELETE', path: '/volumes/stock-2' });
  await paris.synchronize('stock');

  for (const site of [paris, lyon]) {
    assert.deepEqual(await members(site, 'stock'), ['stock-1']);
    await assert.rejects(site.volume('stock-2'), refusal('not_found'));
  }
  const filesAt = async (site: StorySite): Promise<readonly string[]> => {
    const files = await readdir(groupDirectory(sites.dir, site.name, group));
    return files.filter((file) => file.includes(id));
  };
  assert.deepEqual(await filesAt(paris), []);
  // The destination keeps it as long as it keeps a point that has it.
  await waitUntil('no point has the volume, and its files are gone', 60_000, async () => {
    await paris.synchronize('stock');
    return (await filesAt(lyon)).length === 0 ? true : undefined;
  });
  await paris.handOver('stock', lyon);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('a volume that hosts may attach is not deleted, one that nobody may is', async () => {
  await paris.createVolume('scratch', 16 * MIB);
  await paris.ask({ method: 'PUT', path: '/volumes/scratch/hosts/app1' });
  const remove = { method: 'DELETE', path: '/volumes/scratch' } as const;

  await assert.rejects(paris.carryOut(remove), refusal('in_use'));
  assert.equal((await paris.volume('scratch')).name, 'scratch');

  await paris.ask({ method: 'DELETE', path: '/volumes/scratch/hosts/app1' });
  await paris.carryOut(remove);
  await assert.rejects(paris.volume('scratch'), refusal('not_found'));
});

test('a volume joins a replicated group under its writer, travels whole, and leaves again', async () => {
  await sites.protect('mail');
  await paris.createVolume('spare', 32 * MIB);
  await paris.ask({ method: 'PUT', path: '/volumes/spare/hosts/app1' });
  const writer = await sites.startWriter({ volumes: [...volumesOf('mail'), 'spare'] });
  await moreWrites(writer, 300);

  await paris.carryOut({ method: 'POST', path: '/groups/mail/volumes/spare' });

  await moreWrites(writer, 300);
  const { lastCycle } = await paris.synchronize('mail');
  assert.equal(lastCycle?.kind, 'delta');
  assert.match(lastCycle?.why ?? '', /1 new volume\(s\) whole/);
  for (const site of [paris, lyon]) {
    assert.deepEqual(await members(site, 'mail'), [...volumesOf('mail'), 'spare']);
  }
  await paris.handOver('mail', lyon);
  await moreWrites(writer, 300);

  await lyon.carryOut({ method: 'DELETE', path: '/groups/mail/volumes/spare' });

  await moreWrites(writer, 300);
  assert.equal((await lyon.volume('spare')).group, undefined);
  await lyon.synchronize('mail');
  for (const site of [paris, lyon]) {
    assert.deepEqual(await members(site, 'mail'), volumesOf('mail'));
  }
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});
