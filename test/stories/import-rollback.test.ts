/** The way back: hosts return to the old system after the cut-over, and nothing that they wrote is lost. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test, { after } from 'node:test';
import type { NumberedWriter } from '../../src/main/numbered-writer.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import {
  addSource,
  createImport,
  endImport,
  importOnce,
  readingFile,
  showImport,
  sourceOnce,
  volumeOpen,
} from '../support/story-import.ts';
import { signalProcess } from '../support/site-processes.ts';
import { refusal } from '../support/story-site.ts';
import { daemonSource, nbdkitSource } from '../support/story-source.ts';
import type { StorySource } from '../support/story-source.ts';
import { assertNothingLost, moreWrites, twoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 32 * MIB;
const TERM_SECONDS = 3600;

const sites = await twoSites({ after });
const { paris } = sites;
await paris.hostFiles('app1');
const directory = join(sites.dir, 'sources');

/** Cut over by itself under its writer; from then on its source is kept current. */
async function cutOver(
  name: string,
  settings: object = {},
  make: (directory: string, sizeBytes: number) => Promise<StorySource> = nbdkitSource,
): Promise<{ readonly source: StorySource; readonly writer: NumberedWriter }> {
  const source = await make(directory, SIZE_BYTES);
  await writeFile(source.file, randomBytes(SIZE_BYTES));
  await addSource(paris, `old-${name}`, source.endpoint);
  await createImport(paris, {
    source: `old-${name}`,
    volumes: [{ name, locator: '' }],
    hosts: ['app1'],
    automaticCutover: true,
    rollbackForSeconds: TERM_SECONDS,
    ...settings,
  });
  await volumeOpen(paris, name);
  const writer = await sites.startWriter({ volumes: [name] });
  await importOnce(paris, name, 'completed');
  await moreWrites(writer, 200);
  return { source, writer };
}

async function assertSourceHasAll({ file }: StorySource, writer: NumberedWriter): Promise<void> {
  assertNothingLost(
    await readingFile(file, (reader) => writer.verify(() => reader, 'acknowledged')),
  );
}

test('its host goes back to the source through one connection, and the source has every write', async () => {
  const { source, writer } = await cutOver('orders');
  await sourceOnce(paris, 'orders', 'in_step');
  await paris.killControl();
  await moreWrites(writer, 200);
  await paris.startControl();
  await moreWrites(writer, 200);

  const ended = await endImport(paris, 'orders', 'rollback');

  assert.equal(ended.state, 'rolled_back', ended.trouble ?? '');
  await moreWrites(writer, 300);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  await writer.stop();
  await assertSourceHasAll(source, writer);
  await paris.ask({ method: 'DELETE', path: '/volumes/orders/hosts/app1' });
  await paris.carryOut({ method: 'DELETE', path: '/imports/orders' });
  await assert.rejects(paris.volume('orders'), refusal('not_found'));
});

test('volumes of a group go back together, to images that nobody else serves', async () => {
  const names = ['stock-1', 'stock-2'];
  const files = await Promise.all(
    names.map(async (name) => {
      const { file, server } = await nbdkitSource(directory, SIZE_BYTES);
      await server.end();
      return { name, file };
    }),
  );
  await addSource(paris, 'images', { kind: 'file', directory });
  await createImport(paris, {
    source: 'images',
    group: 'stocks',
    volumes: files.map(({ name, file }) => ({ name, locator: basename(file) })),
    hosts: ['app1'],
    automaticCutover: true,
    rollbackForSeconds: TERM_SECONDS,
  });
  for (const name of names) await volumeOpen(paris, name);
  const writer = await sites.startWriter({ volumes: names });
  await importOnce(paris, 'stocks', 'completed');
  await moreWrites(writer, 200);
  await sourceOnce(paris, 'stocks', 'in_step');

  assert.equal((await endImport(paris, 'stocks', 'rollback')).state, 'rolled_back');

  await moreWrites(writer, 200);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  await writer.stop();
  const [first, second] = files.map(({ file }) => file);
  const found = await readingFile(first ?? '', (one) =>
    readingFile(second ?? '', (other) =>
      writer.verify((label) => (label === names[0] ? one : other), 'acknowledged'),
    ),
  );
  assertNothingLost(found);
});

test('a way back whose control process is killed is carried out or undone, and then carried out when asked again', async () => {
  const { source, writer } = await cutOver('stock');
  await sourceOnce(paris, 'stock', 'in_step');
  const path = '/imports/stock/rollback';
  const { job } = await paris.ask<{ job: { id: string } }>({ method: 'POST', path });
  await paris.stepDone(job.id, 'point-of-no-return');

  await paris.killControl();
  await paris.startControl();

  await paris.endOf(job.id);
  // Whether QEMU was told to switch cannot be seen, and it does not survive being told twice.
  if ((await showImport(paris, 'stock')).state === 'completed') {
    await sourceOnce(paris, 'stock', 'in_step');
    await endImport(paris, 'stock', 'rollback');
  }
  const { state, trouble } = await showImport(paris, 'stock');
  assert.equal(state, 'rolled_back', trouble ?? '');
  await moreWrites(writer, 200);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  await writer.stop();
  await assertSourceHasAll(source, writer);
});

test('a source that falls silent holds its host for seconds; it is behind, and gets all that it missed', async () => {
  const { source, writer } = await cutOver('mail', {}, daemonSource);
  await sourceOnce(paris, 'mail', 'in_step');

  await signalProcess(source.server.pid, 'SIGSTOP');

  const { rollback } = await sourceOnce(paris, 'mail', 'behind');
  assert.ok(rollback?.why !== undefined);
  await moreWrites(writer, 300);
  const asked = { method: 'POST', path: '/imports/mail/rollback' } as const;
  await assert.rejects(paris.ask(asked), refusal('busy'));
  await signalProcess(source.server.pid, 'SIGCONT');
  await sourceOnce(paris, 'mail', 'in_step');
  assert.equal((await endImport(paris, 'mail', 'rollback')).state, 'rolled_back');
  await moreWrites(writer, 100);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  await writer.stop();
  await assertSourceHasAll(source, writer);
});

test('after its data plane was killed the source gets all there is, and nobody goes back before', async () => {
  const { source, writer } = await cutOver('wages', { bytesPerSecond: 8 * MIB });
  await sourceOnce(paris, 'wages', 'in_step');
  const { group } = await paris.get<{ group: { id: string } }>('/imports/wages');
  const asked = { method: 'POST', path: '/imports/wages/rollback' } as const;

  await paris.killDaemon(group.id);

  const { rollback } = await sourceOnce(paris, 'wages', 'catching_up');
  assert.match(rollback?.why ?? '', /all there is goes to it/);
  await assert.rejects(paris.ask(asked), refusal('busy'));
  await moreWrites(writer, 200);
  await sourceOnce(paris, 'wages', 'in_step');
  await writer.stop();
  const host = await sites.connect(paris, 'wages');
  const seen = await host.read(0, SIZE_BYTES);
  await host.disconnect();
  assert.equal((await endImport(paris, 'wages', 'rollback')).state, 'rolled_back');
  assert.ok(seen.equals(await readFile(source.file)));
});

test('a source that is let go is left alone, and what was asked for with the import begins then', async () => {
  const protect = { peer: 'lyon', rpoSeconds: 30 };
  const { source, writer } = await cutOver('ledger', { protect });
  await sourceOnce(paris, 'ledger', 'in_step');
  const asked = { method: 'POST', path: '/imports/ledger/rollback' } as const;

  await paris.ask({ method: 'POST', path: '/imports/ledger/finish' });

  await waitUntil('the source is let go', 20_000, async () =>
    (await showImport(paris, 'ledger')).rollback === undefined ? true : undefined,
  );
  await source.server.end();
  await assert.rejects(paris.ask(asked), refusal('unsupported'));
  await waitUntil('its first point is at the other site', 60_000, async () => {
    const { items } = await paris.get<{ items: { newestPoint?: object }[] }>('/sessions');
    return items[0]?.newestPoint;
  });
  await moreWrites(writer, 200);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});
