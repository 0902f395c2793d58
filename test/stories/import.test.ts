/** Volumes come in from real NBD servers while a numbered writer is at them. */
import assert from 'node:assert/strict';
import { readdir, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test, { after } from 'node:test';
import type { NumberedWriter } from '../../src/main/numbered-writer.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import { refusal } from '../support/story-site.ts';
import {
  addSource,
  createImport,
  endImport,
  importOnce,
  readingFile,
  showImport,
  volumeOpen,
} from '../support/story-import.ts';
import { processesIn, signalProcess } from '../support/site-processes.ts';
import { nbdkitSource } from '../support/story-source.ts';
import { assertNothingLost, moreWrites, twoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 64 * MIB;
const CUT_OVER_LIMIT_MS = 1000;

const sites = await twoSites({ after });
const { paris } = sites;
await paris.hostFiles('app1');
const sourceDirectory = join(sites.dir, 'sources');

/** A host that comes as soon as the volume is open to it. */
async function writerOf(...volumes: readonly string[]): Promise<NumberedWriter> {
  for (const volume of volumes) await volumeOpen(paris, volume);
  return sites.startWriter({ volumes });
}

/** Not one request failed, and the connection is the one that the host opened first. */
function assertConnectionKept(writer: NumberedWriter): void {
  assert.equal(writer.serverErrors(), 0);
  assert.deepEqual(writer.disconnected(), []);
}

/** Files of our copy. */
async function layersOf(volume: string): Promise<readonly string[]> {
  const { id } = await paris.volume(volume);
  const groups = join(sites.dir, 'paris', 'data', 'volumes', 'groups');
  const all = await Promise.all((await readdir(groups)).map((one) => readdir(join(groups, one))));
  return all.flat().filter((file) => file.includes(id));
}

/** The daemons of a volume that stands alone. */
async function daemonsOf(volume: string): Promise<readonly number[]> {
  const { group } = await paris.get<{ group: { id: string } }>(`/imports/${volume}`);
  return processesIn(join(sites.dir, 'paris'))
    .filter(({ commandLine }) => commandLine.startsWith('qemu-storage-daemon '))
    .filter(({ commandLine }) => commandLine.includes(group.id))
    .map(({ pid }) => pid);
}

test('a volume comes in under a writer faster than its copy: through one connection it is cut over, nothing is lost', async () => {
  const source = await nbdkitSource(sourceDirectory, SIZE_BYTES);
  await writeFile(source.file, Buffer.alloc(SIZE_BYTES, 7), { flag: 'r+' });
  await addSource(paris, 'old-1', source.endpoint);
  await createImport(paris, {
    source: 'old-1',
    volumes: [{ name: 'orders', locator: '' }],
    hosts: ['app1'],
    bytesPerSecond: 8 * MIB,
  });
  await importOnce(paris, 'orders', 'copying');
  const writer = await writerOf('orders');
  await importOnce(paris, 'orders', 'ready');
  await moreWrites(writer, 200);

  const ended = await endImport(paris, 'orders', 'cutover');

  assert.equal(ended.state, 'completed', ended.trouble ?? '');
  assert.ok((ended.cutOverPauseMs ?? Infinity) < CUT_OVER_LIMIT_MS);
  assert.ok(ended.comparison?.hash !== undefined);
  await source.server.end();
  await moreWrites(writer, 300);
  assertConnectionKept(writer);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('after a cancel its writer goes on with the source, which has every write; our copy is gone', async () => {
  const source = await nbdkitSource(sourceDirectory, SIZE_BYTES);
  await addSource(paris, 'old-2', source.endpoint);
  await createImport(paris, {
    source: 'old-2',
    volumes: [{ name: 'mail', locator: '' }],
    hosts: ['app1'],
  });
  await importOnce(paris, 'mail', 'ready');
  const writer = await writerOf('mail');
  await moreWrites(writer, 300);

  const ended = await endImport(paris, 'mail', 'cancel', { force: false });

  assert.equal(ended.state, 'cancelled');
  assert.deepEqual(await layersOf('mail'), []);
  await moreWrites(writer, 300);
  assertConnectionKept(writer);
  await writer.stop();
  assertNothingLost(
    await readingFile(source.file, (reader) => writer.verify(() => reader, 'acknowledged')),
  );
  await assert.rejects(paris.ask({ method: 'DELETE', path: '/imports/mail' }), refusal('in_use'));
  await paris.ask({ method: 'DELETE', path: '/volumes/mail/hosts/app1' });
  await paris.carryOut({ method: 'DELETE', path: '/imports/mail' });
  await assert.rejects(paris.volume('mail'), refusal('not_found'));
  await createImport(paris, { source: 'old-2', volumes: [{ name: 'mail', locator: '' }] });
  await importOnce(paris, 'mail', 'ready');
});

test('volumes of a group come in together and are cut over by themselves', async () => {
  const names = ['ledger-1', 'ledger-2'];
  const source = await nbdkitSource(sourceDirectory, SIZE_BYTES);
  const other = await nbdkitSource(sourceDirectory, SIZE_BYTES);
  await addSource(paris, 'old-3', { kind: 'file', directory: sourceDirectory });
  await source.server.end();
  await other.server.end();
  await createImport(paris, {
    source: 'old-3',
    group: 'ledger',
    volumes: [source, other].map(({ file }, index) => ({
      name: names[index],
      locator: basename(file),
    })),
    hosts: ['app1'],
    automaticCutover: true,
    bytesPerSecond: 32 * MIB,
  });
  const writer = await writerOf(...names);

  const ended = await importOnce(paris, 'ledger', 'completed');

  await moreWrites(writer, 300);
  assert.ok(ended.comparison?.hash !== undefined);
  assertConnectionKept(writer);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
  await paris.createVolume('ledger-3', MIB, 'ledger');
});

test('a data plane killed in mid-import begins again by itself and says so; nothing flushed is lost', async () => {
  const source = await nbdkitSource(sourceDirectory, SIZE_BYTES);
  await addSource(paris, 'old-4', source.endpoint);
  const volumes = [{ name: 'stock', locator: '' }];
  await createImport(paris, { source: 'old-4', volumes, hosts: ['app1'] });
  await importOnce(paris, 'stock', 'ready');
  const writer = await writerOf('stock');
  await moreWrites(writer, 300);
  const [pid] = await daemonsOf('stock');

  await signalProcess(pid ?? 0, 'SIGKILL');

  await waitUntil('the import says that it began again', 30_000, async () =>
    (await showImport(paris, 'stock')).restarts > 0 ? true : undefined,
  );
  await importOnce(paris, 'stock', 'ready');
  await moreWrites(writer, 300);
  assert.equal((await endImport(paris, 'stock', 'cutover')).state, 'completed');
  await moreWrites(writer, 100);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('a source that goes away for good asks for a cancel; forced, it says what is left', async () => {
  const source = await nbdkitSource(sourceDirectory, SIZE_BYTES);
  await writeFile(source.file, Buffer.alloc(SIZE_BYTES, 7), { flag: 'r+' });
  await addSource(paris, 'old-6', source.endpoint);
  const volumes = [{ name: 'wages', locator: '' }];
  await createImport(paris, { source: 'old-6', volumes, hosts: ['app1'], bytesPerSecond: MIB });
  await importOnce(paris, 'wages', 'copying');

  await source.server.end('SIGKILL');

  const stopped = await importOnce(paris, 'wages', 'cancel_required');
  assert.match(stopped.trouble ?? '', /wages/);
  const cutover = { method: 'POST', path: '/imports/wages/cutover' } as const;
  await assert.rejects(paris.ask(cutover), refusal('wrong_state'));
  const ended = await endImport(paris, 'wages', 'cancel', { force: true });
  assert.equal(ended.state, 'cancelled', ended.trouble ?? '');
  assert.match(ended.left ?? '', /the source has every write that was answered/);
  await assert.rejects(paris.volume('wages'), refusal('not_found'));
});

test('what a source cannot be is refused in words before anything is made', async () => {
  const nowhere = { kind: 'nbd', host: '127.0.0.1', port: 1 };
  await assert.rejects(addSource(paris, 'gone', nowhere), refusal('source_unreachable'));
  await addSource(paris, 'files', { kind: 'file', directory: sourceDirectory });
  for (const locator of ['../../../etc/passwd', 'gone.img', '/etc/passwd']) {
    const volumes = [{ name: 'bad', locator }];
    await assert.rejects(createImport(paris, { source: 'files', volumes }), locator);
  }
  await symlink('/etc/passwd', join(sourceDirectory, 'link.img'));
  const volumes = [{ name: 'bad', locator: 'link.img' }];
  const linked = createImport(paris, { source: 'files', volumes });
  await assert.rejects(linked, refusal('source_unreachable'));
  await assert.rejects(paris.volume('bad'), refusal('not_found'));
});
