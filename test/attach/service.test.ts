/** The unit that attaches a host's volumes, as systemd reads it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../..');
const UNIT = join(ROOT, 'packaging/systemd/baton-attach.service');

const found = await Promise.all(
  (process.env['PATH'] ?? '').split(delimiter).map((folder) =>
    access(join(folder, 'systemd-analyze'), constants.X_OK).then(
      () => true,
      () => false,
    ),
  ),
);
const skip = found.includes(true) ? undefined : 'systemd-analyze is not here';

test('systemd has nothing to say against the unit', { skip }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'baton-unit-'));
  t.after(() => rm(directory, { recursive: true }));
  const unit = join(directory, 'baton-attach.service');
  // It is checked that the program exists.
  const text = await readFile(UNIT, 'utf8');
  await writeFile(unit, text.replace('/usr/bin/baton', join(ROOT, 'baton')));

  const { stdout, stderr } = await promisify(execFile)('systemd-analyze', ['verify', unit]);

  assert.equal(`${stdout}${stderr}`, '');
});

test('a restart of the service ends the agent alone, and nothing hides its files', async () => {
  const lines = (await readFile(UNIT, 'utf8')).split('\n');

  assert.ok(lines.includes('KillMode=process'));
  assert.ok(lines.includes('RuntimeDirectoryPreserve=yes'));
  const hides = /^(Private(Tmp|Devices|Mounts|Users)|Protect\w+|ReadOnlyPaths|MountFlags)=/;
  assert.deepEqual(
    lines.filter((line) => hides.test(line)),
    [],
  );
});
