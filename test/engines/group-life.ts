/** A life of a group in steps, each of which may be repeated, and what must be true at its end. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { GroupId, PointId } from '../../src/domain/ids.ts';
import type { ServedGroup } from '../../src/ports/engine.ts';
import {
  HOST,
  MIB,
  asHost,
  assertSame,
  newFork,
  newGroup,
  newPoint,
  newVolume,
  prepareNext,
  replicate,
  tagsOf,
  writeBlocks,
} from './contract-group.ts';
import type { TestSite, TestSites } from './test-sites.ts';

const run = promisify(execFile);

export type Step = () => Promise<unknown>;

export interface GroupLife {
  readonly groupIds: readonly GroupId[];
  readonly steps: readonly Step[];
  assertEnd(): Promise<void>;
}

export function groupLife({ a, b }: TestSites): GroupLife {
  const groupId = newGroup();
  const data = newVolume('data', 16 * MIB);
  const log = newVolume('log', 16 * MIB);
  const late = newVolume('late', 16 * MIB);
  const guest = newVolume('guest', 16 * MIB);
  const otherId = newGroup();
  const points = Array.from({ length: 7 }, newPoint);
  const point = (n: number): PointId => points[n - 1]!;
  const forkId = newFork();
  const limit = { bytesPerSecond: undefined };

  const write =
    (site: TestSite, numbers: readonly number[], tag: number): Step =>
    async () => {
      const served: ServedGroup = await site.engine.serve(groupId, { hosts: [HOST] });
      await asHost(site, served, 'data', (volume) => writeBlocks(volume, numbers, tag));
      await asHost(site, served, 'log', (volume) => writeBlocks(volume, numbers, tag));
    };
  const writeGuest =
    (id: GroupId, tag: number): Step =>
    async () => {
      const served = await a.engine.serve(id, { hosts: [HOST] });
      await asHost(a, served, 'guest', (volume) => writeBlocks(volume, [tag], tag));
    };
  const cycle =
    (from: TestSite, to: TestSite, n: number, base?: number): Step =>
    () =>
      replicate(from, to, groupId, base === undefined ? undefined : point(base), point(n));

  const steps: readonly Step[] = [
    () => a.engine.createVolume(groupId, data),
    () => a.engine.createVolume(groupId, log),
    write(a, [0, 1, 2], 1),
    cycle(a, b, 1),
    write(a, [1, 10], 2),
    () => a.engine.createVolume(groupId, late),
    cycle(a, b, 2, 1),
    () => a.engine.forgetPoints(groupId, [point(1)], limit),
    () => a.engine.resizeVolume(groupId, data.volumeId, 24 * MIB),
    write(a, [2, 20], 3),
    cycle(a, b, 3, 2),
    () => b.engine.forgetPoints(groupId, [point(1), point(2)], limit),
    () => a.engine.createVolume(otherId, guest),
    writeGuest(otherId, 1),
    () => a.engine.sealPoint(otherId, newPoint(), 2000),
    writeGuest(otherId, 2),
    // It comes, and becomes part of the fork below.
    () => a.engine.moveVolume(guest.volumeId, otherId, groupId),
    // The sites part: each writes on.
    () => a.engine.sealPoint(groupId, point(4), 2000),
    write(a, [3], 4),
    () => b.engine.promote(groupId, point(3)),
    write(b, [0, 30], 5),
    () => a.engine.demote(groupId, point(3), forkId),
    cycle(b, a, 5, 3),
    // For a point that is never sealed, and for one that is.
    () => prepareNext(b, a, groupId, point(5), newPoint()),
    () => prepareNext(b, a, groupId, point(5), point(6)),
    () => b.engine.fence(groupId),
    cycle(b, a, 6, 5),
    () => a.engine.promote(groupId, point(6)),
    () => b.engine.demote(groupId, point(6), newFork()),
    write(a, [40], 6),
    () => a.engine.forgetPoints(groupId, [point(2), point(5)], limit),
    () => b.engine.forgetPoints(groupId, [point(5)], limit),
    () => a.engine.discardFork(groupId, forkId),
    () => a.engine.deleteVolume(groupId, log.volumeId),
    () => a.engine.createVolume(groupId, guest),
    writeGuest(groupId, 3),
    () => a.engine.moveVolume(guest.volumeId, groupId, otherId),
    writeGuest(otherId, 4),
    () => a.engine.moveVolume(guest.volumeId, otherId, groupId),
    cycle(a, b, 7, 6),
    () => a.engine.deleteGroup(otherId),
    () => a.engine.forgetPoints(groupId, [point(3)], limit),
  ];

  const assertEnd = async (): Promise<void> => {
    assert.deepEqual(await a.engine.points(groupId), [point(6), point(7)]);
    assert.deepEqual(await b.engine.points(groupId), [point(3), point(6), point(7)]);
    await assertSame(a, b, groupId, point(7));
    const served = await a.engine.serve(groupId, { hosts: [HOST] });
    await asHost(a, served, 'data', async (volume) => {
      assert.equal(volume.info.sizeBytes, 24 * MIB);
      assert.deepEqual(
        await tagsOf(volume, [0, 1, 2, 3, 10, 20, 30, 40]),
        [5, 2, 3, 0, 2, 3, 5, 6],
      );
    });
    const tags = await asHost(a, served, 'guest', (volume) => tagsOf(volume, [1, 3, 4]));
    assert.deepEqual(tags, [0, 3, 4]);
    for (const site of [a, b]) await assertFiles(site, groupId);
  };
  return { groupIds: [groupId, otherId], steps, assertEnd };
}

/** Every file is a layer that the engine counts, and none was set aside. */
export async function assertFiles(site: TestSite, groupId: GroupId): Promise<void> {
  const { volumes, forks } = await site.engine.inspect(groupId);
  const directory = join(site.dataDirectory, 'groups', groupId);
  const files = await readdir(directory);
  const layers = volumes.reduce((sum, volume) => sum + volume.layers, 0);
  assert.deepEqual(forks, []);
  assert.equal(files.length, layers, files.join('\n'));
  for (const { volumeId, layers: count } of volumes)
    await assertHeaders(directory, volumeId, count);
}

/** The newest file's header leads through all layers, by relative names. */
async function assertHeaders(directory: string, volumeId: string, layers: number): Promise<void> {
  const own = (await readdir(directory)).filter((file) => file.startsWith(volumeId));
  const numberOf = (file: string): number => Number(file.split('.')[1]);
  const top = own.toSorted((x, y) => numberOf(x) - numberOf(y)).at(-1) ?? '';
  const options = ['info', '--force-share', '--backing-chain', '--output=json'];
  const { stdout } = await run('qemu-img', [...options, join(directory, top)]);
  const chain = JSON.parse(stdout) as readonly { readonly 'backing-filename'?: string }[];
  assert.equal(chain.length, layers);
  const names = chain.flatMap((one) => one['backing-filename'] ?? []);
  assert.deepEqual(
    names.filter((name) => name.includes('/')),
    [],
  );
}
