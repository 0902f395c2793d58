/** Sources that fail in parts: what can be read again is, what cannot is told, and a host loses nothing. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { waitUntil } from '../../src/main/wait-until.ts';
import {
  addSource,
  createImport,
  endImport,
  importOnce,
  readingFile,
  volumeOpen,
} from '../support/story-import.ts';
import { refusal } from '../support/story-site.ts';
import { nbdkitSource } from '../support/story-source.ts';
import { assertNothingLost, moreWrites, twoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 32 * MIB;

const sites = await twoSites({ after });
const { paris } = sites;
await paris.hostFiles('app1');
const directory = join(sites.dir, 'sources');

test('a source that cannot be read for a while is tried again; writes that it refuses are refused', async () => {
  const trouble = join(sites.dir, 'trouble');
  const rates = ['pread', 'pwrite'].flatMap((what) => [
    `error-${what}-rate=100%`,
    `error-${what}-file=${trouble}`,
  ]);
  const source = await nbdkitSource(directory, SIZE_BYTES, ['--filter=error'], rates);
  await writeFile(source.file, Buffer.alloc(SIZE_BYTES));
  await addSource(paris, 'shaky', source.endpoint);
  const volumes = [{ name: 'orders', locator: '' }];
  await createImport(paris, { source: 'shaky', volumes, hosts: ['app1'], bytesPerSecond: 4 * MIB });
  await volumeOpen(paris, 'orders');
  const writer = await sites.startWriter({ volumes: ['orders'] });
  await moreWrites(writer, 50);

  await writeFile(trouble, '');
  await waitUntil('many writes are refused', 10_000, async () =>
    writer.serverErrors() > 100 ? true : undefined,
  );
  await rm(trouble);

  const { comparison, restarts } = await importOnce(paris, 'orders', 'ready');
  assert.ok(comparison?.hash !== undefined);
  assert.equal(restarts, 0);
  assert.equal((await endImport(paris, 'orders', 'cutover')).state, 'completed');
  await moreWrites(writer, 100);
  assert.deepEqual(writer.disconnected(), []);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('a source that stays unreadable asks for a cancel, after which its host goes on with it', async () => {
  const trouble = join(sites.dir, 'lasting-trouble');
  const rates = ['error-pread-rate=100%', `error-pread-file=${trouble}`];
  const source = await nbdkitSource(directory, SIZE_BYTES, ['--filter=error'], rates);
  await writeFile(source.file, Buffer.alloc(SIZE_BYTES));
  await addSource(paris, 'broken', source.endpoint);
  const volumes = [{ name: 'mail', locator: '' }];
  await createImport(paris, {
    source: 'broken',
    volumes,
    hosts: ['app1'],
    bytesPerSecond: 4 * MIB,
  });
  await volumeOpen(paris, 'mail');
  const writer = await sites.startWriter({ volumes: ['mail'] });
  await moreWrites(writer, 50);

  await writeFile(trouble, '');

  await importOnce(paris, 'mail', 'cancel_required');
  await moreWrites(writer, 50);
  const cutover = { method: 'POST', path: '/imports/mail/cutover' } as const;
  await assert.rejects(paris.ask(cutover), refusal('wrong_state'));
  await rm(trouble);
  const ended = await endImport(paris, 'mail', 'cancel', { force: false });
  assert.equal(ended.state, 'cancelled', ended.trouble ?? '');
  await moreWrites(writer, 50);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  await writer.stop();
  assertNothingLost(
    await readingFile(source.file, (reader) => writer.verify(() => reader, 'acknowledged')),
  );
});

test('a source that has another size than when it was registered is not opened, and nothing is made of it', async () => {
  const source = await nbdkitSource(directory, SIZE_BYTES);
  await addSource(paris, 'grown', source.endpoint);
  const volumes = [{ name: 'ledger', locator: '' }];
  const scheduledAt = new Date(Date.now() + 3_600_000).toISOString();
  await createImport(paris, { source: 'grown', volumes, hosts: ['app1'], scheduledAt });
  await truncate(source.file, SIZE_BYTES + MIB);

  await paris.ask({ method: 'PATCH', path: '/imports/ledger', body: { scheduledAt: null } });

  const { trouble } = await importOnce(paris, 'ledger', 'failed');
  assert.match(trouble ?? '', /size of ledger: wanted 33554432 bytes, as before, got 34603008/);
  await assert.rejects(paris.volume('ledger'), refusal('not_found'));
  assert.equal((await stat(source.file)).blocks, 0);
});

test('a source that has another size once its data plane is back is not copied; its host goes on with it', async () => {
  const source = await nbdkitSource(directory, SIZE_BYTES);
  await writeFile(source.file, Buffer.alloc(SIZE_BYTES));
  await addSource(paris, 'changed', source.endpoint);
  const volumes = [{ name: 'stock', locator: '' }];
  await createImport(paris, { source: 'changed', volumes, hosts: ['app1'] });
  await importOnce(paris, 'stock', 'ready');
  const writer = await sites.startWriter({ volumes: ['stock'] });
  await moreWrites(writer, 50);
  await truncate(source.file, SIZE_BYTES + MIB);

  const { group } = await paris.get<{ group: { id: string } }>('/imports/stock');
  await paris.killDaemon(group.id);

  const { trouble } = await importOnce(paris, 'stock', 'cancel_required');
  assert.match(
    trouble ?? '',
    /volume stock: its source has another size by now, no longer 33554432 bytes/,
  );
  await moreWrites(writer, 50);
  const ended = await endImport(paris, 'stock', 'cancel', { force: false });
  assert.equal(ended.state, 'cancelled', ended.trouble ?? '');
  await moreWrites(writer, 50);
  await writer.stop();
  assertNothingLost(
    await readingFile(source.file, (reader) => writer.verify(() => reader, 'flushed')),
  );
});

test('what of a source cannot be read is told byte for byte', async () => {
  const [first, second] = [
    { offset: 5 * MIB + 8192, lengthBytes: 4096 },
    { offset: 20 * MIB, lengthBytes: 65_536 },
  ];
  const map = join(sites.dir, 'rescue.map');
  const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;
  const bad = [first, second];
  const ends = [0, ...bad.map(({ offset, lengthBytes }) => offset + lengthBytes)];
  const good = ends.map(
    (end, index) => [end, (bad[index]?.offset ?? SIZE_BYTES) - end, '+'] as const,
  );
  const lines = [
    ...good,
    ...bad.map(({ offset, lengthBytes }) => [offset, lengthBytes, '-'] as const),
  ]
    .toSorted(([a], [b]) => a - b)
    .map(([offset, lengthBytes, state]) => `${hex(offset)} ${hex(lengthBytes)} ${state}`);
  await writeFile(map, ['# Mapfile.', '0x00000000 + 1', ...lines, ''].join('\n'));
  const filter = ['--filter=ddrescue'];
  const source = await nbdkitSource(directory, SIZE_BYTES, filter, [`ddrescue-mapfile=${map}`]);
  await writeFile(source.file, randomBytes(SIZE_BYTES));
  await addSource(paris, 'worn', source.endpoint);
  const volumes = [{ name: 'archive', locator: '', readOnly: true }];
  await createImport(paris, { source: 'worn', volumes });

  await importOnce(paris, 'archive', 'cancel_required');

  const { unreadable, trouble } = await waitUntil('it is known what', 30_000, async () => {
    const seen = await importOnce(paris, 'archive', 'cancel_required');
    return seen.unreadable === undefined ? undefined : seen;
  });
  assert.deepEqual(
    unreadable?.map(({ offset, lengthBytes }) => ({ offset, lengthBytes })),
    bad,
  );
  assert.match(
    trouble ?? '',
    /cannot be read in 2 range\(s\), the first in volume archive at 5251072/,
  );
  assert.equal((await endImport(paris, 'archive', 'cancel', { force: false })).state, 'cancelled');
  await assert.rejects(paris.volume('archive'), refusal('not_found'));
});
