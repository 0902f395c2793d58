/** A destination whose disk is full. It needs root, to mount a small file system. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import {
  BLOCK_BYTES,
  PAUSE_LIMIT_MS,
  asHost,
  assertSame,
  newPoint,
  newVolume,
  refusal,
  replicate,
  servedGroup,
  watch,
  writeBlocks,
} from './contract-group.ts';
import { twoSites } from './test-sites.ts';
import type { TestSites } from './test-sites.ts';

const run = promisify(execFile);
const skip = process.getuid?.() === 0 ? false : 'mounting a file system needs root';

let sites: TestSites | undefined;
let directory: string | undefined;
let disk: string | undefined;

before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), 'baton-full-'));
  disk = join(directory, 'disk');
  await mkdir(disk);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=12M', 'tmpfs', disk]);
  sites = await twoSites({ b: disk });
});

after(async () => {
  await sites?.close();
  if (disk !== undefined) await run('umount', [disk]).catch(() => undefined);
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

test('a full destination parks the send, and it goes on when there is room', { skip }, async () => {
  assert.ok(sites && disk !== undefined);
  const { a, b } = sites;
  const { groupId, served } = await servedGroup(a, ['data']);
  const first = await replicate(a, b, groupId);
  const numbers = Array.from({ length: 5000 }, (_, n) => n);
  await asHost(a, served, 'data', (volume) => writeBlocks(volume, numbers, 1));
  const pointId = newPoint();
  const { volumes } = await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
  const common = { groupId, pointId, basePointId: first.pointId };
  const receive = { ...common, peerId: a.siteId, volumes };
  const target = await b.engine.receivePoint(receive);
  const request = { ...common, peerId: b.siteId, target, bytesPerSecond: undefined };

  await assert.rejects(a.engine.sendPoint(request, watch), refusal('no_space'));
  await assert.rejects(a.engine.sendPoint(request, watch), refusal('no_space'));
  await asHost(a, served, 'data', (volume) => writeBlocks(volume, [1], 2));
  await run('mount', ['-o', 'remount,size=200M', disk]);
  assert.deepEqual(await b.engine.receivePoint(receive), target);
  const sent = await a.engine.sendPoint(request, watch);

  assert.deepEqual([sent.restarted, sent.sentBytes], [false, numbers.length * BLOCK_BYTES]);
  await b.engine.completePoint(groupId, pointId, target.instance);
  await assertSame(a, b, groupId, pointId);
});

test('without room for a layer nothing is made', { skip }, async () => {
  assert.ok(sites && disk !== undefined);
  const { b } = sites;
  const { freeBytes } = await b.engine.space();
  await run('fallocate', ['-l', `${freeBytes}`, join(disk, 'filler')]);
  const { groupId } = await servedGroup(sites.a, ['data']);

  await assert.rejects(b.engine.createVolume(groupId, newVolume('data')), refusal('no_space'));

  assert.ok(!(await b.engine.groups()).includes(groupId));
});
