import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { createLayerFile, isEmptyLayer, layerSize } from './layer-file.ts';

const run = promisify(execFile);
const GIB = 1024 * 1024 * 1024;

let directory = '';
before(async () => (directory = await mkdtemp(join(tmpdir(), 'baton-layer-'))));
after(() => rm(directory, { recursive: true }));

for (const sizeBytes of [512, GIB, GIB + 512, 5 * 1024 * GIB + 4096, 200 * 1024 * GIB]) {
  for (const backingFile of [undefined, 'below.qcow2']) {
    const on = backingFile === undefined ? 'nothing' : 'another';
    test(`a layer of ${sizeBytes} bytes on ${on} is what qemu-img makes`, async () => {
      const ours = join(directory, 'ours.qcow2');
      const theirs = join(directory, 'theirs.qcow2');
      await rm(ours, { force: true });
      await createLayerFile({ path: ours, sizeBytes, backingFile });
      const backing =
        backingFile === undefined ? '' : `,backing_file=${backingFile},backing_fmt=qcow2`;
      const options = `cluster_size=128k,extended_l2=on${backing}`;
      await run('qemu-img', [
        'create',
        '-q',
        '-u',
        '-f',
        'qcow2',
        '-o',
        options,
        theirs,
        `${sizeBytes}`,
      ]);

      assert.ok((await readFile(ours)).equals(await readFile(theirs)));
      assert.equal(await layerSize(ours), sizeBytes);
      assert.equal(await isEmptyLayer(ours), true);
    });
  }
}

test('a layer that was written is not empty', async () => {
  const path = join(directory, 'written.qcow2');
  await createLayerFile({ path, sizeBytes: GIB, backingFile: undefined });
  await run('qemu-io', ['-f', 'qcow2', '-c', 'write 900M 4k', path]);

  assert.equal(await isEmptyLayer(path), false);
});

test('an empty layer that a crash left is replaced, and anything else is kept aside', async () => {
  const path = join(directory, 'name.qcow2');
  await createLayerFile({ path, sizeBytes: GIB, backingFile: undefined });
  await createLayerFile({ path, sizeBytes: 2 * GIB, backingFile: undefined });
  await writeFile(path, 'a torn header');
  await createLayerFile({ path, sizeBytes: 2 * GIB, backingFile: undefined });
  assert.deepEqual(await filesLike('name.qcow2'), ['name.qcow2']);
  await run('qemu-io', ['-f', 'qcow2', '-c', 'write 0 4k', path]);
  const { ino } = await stat(path);

  await createLayerFile({ path, sizeBytes: GIB, backingFile: undefined });

  const [fresh, aside] = await filesLike('name.qcow2');
  assert.equal(fresh, 'name.qcow2');
  assert.match(aside ?? '', /^set-aside-\d+\.name\.qcow2$/);
  assert.equal((await stat(join(directory, aside ?? ''))).ino, ino);
  assert.equal(await layerSize(path), GIB);
});

async function filesLike(ending: string): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith(ending)).toSorted();
}
