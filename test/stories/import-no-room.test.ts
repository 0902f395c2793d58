/** An import to a site whose disk is too small for it: its host goes on with its source. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { startNumberedWriter } from '../../src/main/numbered-writer.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import { SmallDisk, whyNoDisk } from '../support/story-disk.ts';
import {
  addSource,
  createImport,
  endImport,
  importOnce,
  readingFile,
  showImport,
  volumeOpen,
} from '../support/story-import.ts';
import { refusal } from '../support/story-site.ts';
import { nbdkitSource } from '../support/story-source.ts';
import { assertNothingLost, moreWrites, twoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 64 * MIB;

test(
  'a copy that finds no room waits for some and says so; its host loses nothing meanwhile, nor by a cancel',
  { skip: whyNoDisk },
  async (t) => {
    const lyonDisk = new SmallDisk(512 * MIB);
    const sites = await twoSites(t, { lyonDisk });
    const { lyon } = sites;
    await lyon.hostFiles('app1');
    const source = await nbdkitSource(join(sites.dir, 'sources'), SIZE_BYTES);
    await writeFile(source.file, randomBytes(SIZE_BYTES));
    await addSource(lyon, 'old', source.endpoint);
    await lyonDisk.leaveFree(96 * MIB);
    const volumes = [{ name: 'orders', locator: '' }];
    await createImport(lyon, { source: 'old', volumes, hosts: ['app1'] });
    await volumeOpen(lyon, 'orders');
    const writer = await startNumberedWriter({
      volumes: [{ label: 'orders', sizeBytes: SIZE_BYTES }],
      seed: 1,
      flushEvery: 50,
      writesPerSecond: 600,
      connect: () => sites.connect(lyon, 'orders'),
    });
    t.after(() => writer.stop({ limitMs: 1000 }));

    await waitUntil('the import waits for room', 30_000, async () => {
      const { state, trouble, progress } = await showImport(lyon, 'orders');
      assert.ok(['queued', 'in_progress', 'copying'].includes(state), `${state}: ${trouble ?? ''}`);
      return progress?.held?.includes('no room for it here') === true ? true : undefined;
    });
    assert.ok((await lyonDisk.freeBytes()) > 48 * MIB);

    await moreWrites(writer, 300);
    const cutover = { method: 'POST', path: '/imports/orders/cutover' } as const;
    await assert.rejects(lyon.ask(cutover), refusal('wrong_state'));
    await lyonDisk.makeRoom();
    const { restarts, trouble } = await importOnce(lyon, 'orders', 'ready');
    assert.deepEqual([restarts, trouble], [0, undefined]);
    const ended = await endImport(lyon, 'orders', 'cancel', { force: false });
    assert.equal(ended.state, 'cancelled', ended.trouble ?? '');
    await moreWrites(writer, 100);
    assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
    await writer.stop();
    assertNothingLost(
      await readingFile(source.file, (reader) => writer.verify(() => reader, 'acknowledged')),
    );
    await lyon.ask({ method: 'DELETE', path: '/volumes/orders/hosts/app1' });
    await lyon.carryOut({ method: 'DELETE', path: '/imports/orders' });
    await source.server.end();
  },
);
