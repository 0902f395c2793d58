/** What an import is made of dies at whatever moment; the host and its writes do not notice. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
  volumeOpen,
} from '../support/story-import.ts';
import { nbdkitSource } from '../support/story-source.ts';
import type { StorySource } from '../support/story-source.ts';
import { assertNothingLost, moreWrites, twoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 32 * MIB;
const KILLS = 4;

const sites = await twoSites({ after });
const { paris } = sites;
await paris.hostFiles('app1');
const directory = join(sites.dir, 'sources');

/** An import of a full disk, and a host that writes it from the start. */
async function begin(
  name: string,
  settings: object = {},
): Promise<{ readonly source: StorySource; readonly writer: NumberedWriter }> {
  const source = await nbdkitSource(directory, SIZE_BYTES);
  await writeFile(source.file, randomBytes(SIZE_BYTES));
  await addSource(paris, `old-${name}`, source.endpoint);
  const volumes = [{ name, locator: '' }];
  await createImport(paris, { source: `old-${name}`, volumes, hosts: ['app1'], ...settings });
  await volumeOpen(paris, name);
  return { source, writer: await sites.startWriter({ volumes: [name] }) };
}

async function killAndStart(): Promise<void> {
  await paris.killControl();
  await paris.startControl();
}

test('a control process killed again and again holds an import up, and nothing more', async () => {
  const { writer } = await begin('orders', { bytesPerSecond: 4 * MIB, automaticCutover: true });
  for (let kill = 0; kill < KILLS; kill += 1) {
    await moreWrites(writer, 20);
    await killAndStart();
  }

  const ended = await importOnce(paris, 'orders', 'completed');

  assert.equal(ended.restarts, 0, ended.restartedBecause ?? '');
  assert.ok(ended.comparison?.hash !== undefined);
  await moreWrites(writer, 100);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
  const left = await readdir(join(sites.dir, 'paris', 'data', 'run'));
  assert.deepEqual(
    left.filter((name) => name.startsWith('look-')),
    [],
  );
});

for (const [verb, step] of [
  ['cutover', 'point-of-no-return'],
  ['cancel', 'end-copy'],
] as const) {
  test(`a control process killed in the middle of a ${verb} carries it out when it is back`, async () => {
    const { source, writer } = await begin(verb);
    await importOnce(paris, verb, 'ready');
    const body = verb === 'cancel' ? { force: false } : undefined;
    const path = `/imports/${verb}/${verb}`;
    const { job } = await paris.ask<{ job: { id: string } }>({
      method: 'POST',
      path,
      ...(body && { body }),
    });
    await paris.stepDone(job.id, step);

    await killAndStart();

    await paris.endOf(job.id);
    const { state, trouble } = await showImport(paris, verb);
    await moreWrites(writer, 100);
    assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
    if (verb === 'cutover') {
      assert.equal(state, 'completed', trouble ?? '');
      return assertNothingLost(await sites.verify(writer, 'acknowledged'));
    }
    assert.equal(state, 'cancelled', trouble ?? '');
    await writer.stop();
    assertNothingLost(
      await readingFile(source.file, (reader) => writer.verify(() => reader, 'acknowledged')),
    );
  });
}

test('a source that is back within seconds is no trouble: its host waits, the copy goes on', async () => {
  const { source, writer } = await begin('stock', { bytesPerSecond: 4 * MIB });
  await waitUntil('some of it is copied', 20_000, async () => {
    const { progress } = await showImport(paris, 'stock');
    return (progress?.copiedBytes ?? 0) > MIB ? true : undefined;
  });

  await source.server.end('SIGKILL');
  await source.again();

  await importOnce(paris, 'stock', 'ready');
  await moreWrites(writer, 100);
  assert.equal((await endImport(paris, 'stock', 'cutover')).state, 'completed');
  await moreWrites(writer, 100);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});
