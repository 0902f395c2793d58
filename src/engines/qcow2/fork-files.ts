import { execFile } from 'node:child_process';
import { rename, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Fork } from '../../ports/engine.ts';
import type { Group } from './group.ts';
import { allocatedBytes, syncDirectory } from './layer-file.ts';
import { forkFile, layerFile, specOf } from './record.ts';
import type { ForkRecord, GroupRecord } from './record.ts';

const run = promisify(execFile);
const REBASE_LIMIT_MS = 10_000;

/**
 * Gives a fork's files names that say what they are, and tells each the new name of the one below.
 * Safe to repeat.
 */
export async function nameForkFiles(group: Group, record: GroupRecord): Promise<GroupRecord> {
  const fork = record.forks.find(({ forkId }) => forkId === record.unnamedFork);
  if (!fork) return record;
  for (const { volumeId, layers, base } of fork.volumes) {
    let below = base === undefined ? undefined : layerFile(volumeId, base);
    for (const { number } of layers) {
      const named = forkFile(fork.forkId, volumeId, number);
      // Once it is named, the old name may be that of a new volume.
      if (!(await exists(group.path(named)))) {
        await rename(group.path(layerFile(volumeId, number)), group.path(named));
      }
      if (below?.startsWith('fork-')) await tellBacking(group.path(named), below);
      below = named;
    }
  }
  if (fork.volumes.length > 0) await syncDirectory(group.directory);
  return group.remember({ ...record, unnamedFork: undefined });
}

export async function forkOf(
  group: Group,
  { forkId, basePointId, volumes, points }: ForkRecord,
): Promise<Fork> {
  const sizes = await Promise.all(
    volumes.flatMap(({ volumeId, layers }) =>
      layers.map(({ number }) => allocatedBytes(group.path(forkFile(forkId, volumeId, number)))),
    ),
  );
  return {
    forkId,
    basePointId,
    allocatedBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    volumes: volumes.map(specOf),
    pointIds: points.map(({ pointId }) => pointId),
  };
}

async function tellBacking(path: string, backingFile: string): Promise<void> {
  await run('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', backingFile, path], {
    timeout: REBASE_LIMIT_MS,
  });
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
