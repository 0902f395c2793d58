import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../../test/support/nbd-servers.ts';
import { newId } from '../../domain/ids.ts';
import type { DrillId, PointId, VolumeId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { CheckedCopy } from '../../ports/drill-tools.ts';
import { checkVolumes } from './check-copy.ts';
import { checkFileSystem } from './file-systems.ts';
import type { OpenedCopy } from './opened-copy.ts';

const never = new AbortController().signal;
const directory = await temporaryDirectory();
const tools = join(directory, 'tools');
await mkdir(tools);
process.env['PATH'] = `${tools}:${process.env['PATH']}`;

/** A tool of this name that is found before the machine's own. */
async function tool(name: string, ...lines: readonly string[]): Promise<void> {
  const file = join(tools, name);
  await writeFile(file, `#!/bin/sh\n${lines.join('\n')}\n`);
  await chmod(file, 0o755);
}

/** As xfs_repair 6.1 says of a file system whose host was cut off, between its other lines. */
const LOG_IGNORED = [
  'ALERT: The filesystem has valuable metadata changes in a log which is being',
  'ignored because the -n option was used.  Expect spurious inconsistencies',
  'which may be resolved by first mounting the filesystem to replay the log.',
];
const manyLines = 'seq -f "sb_fdblocks 100, counted 65504 (%.0f)" 20000';

test('an XFS file system with a log that is not replayed is neither passed nor failed, however much is said of it', async () => {
  const alert = LOG_IGNORED.map((line) => `echo "${line}"`);
  await tool('xfs_repair', ...alert, manyLines, 'echo exiting.', 'exit 1');

  const { verdict, detail } = await checkFileSystem('a-file', 'xfs', '', never);

  assert.equal(verdict, 'not_possible', detail);
  assert.match(detail, /exiting\.; its journal has not been replayed/);
});

test('an XFS file system that is broken beside an empty log has failed', async () => {
  await tool('xfs_repair', manyLines, 'echo exiting.', 'exit 1');

  const { verdict } = await checkFileSystem('a-file', 'xfs', '', never);

  assert.equal(verdict, 'failed');
});

test('a partition that cannot be opened leaves the checks of the others', async () => {
  await tool('blkid', 'case "$*" in *part*) echo TYPE=ext4;; *) echo PTTYPE=gpt;; esac');
  await tool('partx', 'for n in 1 2 3; do echo "$n ${n}000 1000"; done');
  await tool('e2fsck', 'echo clean');
  const opened: OpenedCopy = {
    uriOf: (volume) => volume,
    asFile: ({ part }, work) => {
      if (part === undefined) return work('whole');
      const isSecond = part.offsetBytes === 2000 * 512;
      return isSecond ? Promise.reject(new Failure('no FUSE')) : work('part');
    },
  };
  const copy: CheckedCopy = {
    drillId: newId<DrillId>(),
    groupName: 'orders',
    pointId: newId<PointId>(),
    address: { host: '127.0.0.1', port: 1 },
    tlsName: 'lyon',
    hostName: 'drill',
    volumes: [{ volumeId: newId<VolumeId>(), name: 'data' }],
  };

  const [checked] = await checkVolumes(copy, opened, never);

  assert.deepEqual(
    checked?.checks.map(({ what, verdict }) => `${what}: ${verdict}`),
    [
      'partition table: passed',
      'file system ext4 in partition 1: passed',
      'file system in partition 2: not_possible',
      'file system ext4 in partition 3: passed',
    ],
  );
});
