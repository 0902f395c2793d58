import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GIB } from '../bench.ts';
import { fileTarget } from '../load/fio.ts';
import type { FioTarget } from '../load/fio.ts';

const run = promisify(execFile);
/** Beside the volume: a rewritten block takes new room until its snapshot goes. */
const ROOM_BYTES = 3 * GIB;

/** Two btrfs file systems on loop devices, and a raw file whose snapshots travel from A to B. */
export class BtrfsPair {
  readonly #directory: string;
  #snapshots = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** @returns why not, where the kernel or the user cannot */
  static async start(directory: string, sizeBytes: number): Promise<BtrfsPair | string> {
    if (process.getuid?.() !== 0) return 'only root may mount';
    if (!(await readFile('/proc/filesystems', 'utf8')).includes('btrfs'))
      return 'the kernel has no btrfs';
    const pair = new BtrfsPair(directory);
    for (const site of ['a', 'b'] as const) {
      const image = join(directory, `${site}.img`);
      await mkdir(pair.#at(site), { recursive: true });
      await writeFile(image, '');
      await truncate(image, sizeBytes + ROOM_BYTES);
      await run('mkfs.btrfs', ['-q', image]);
      // The loop device goes when the mount goes, which is in our own mount namespace.
      await run('mount', ['-o', 'loop', image, pair.#at(site)]);
    }
    await run('btrfs', ['-q', 'subvolume', 'create', pair.#at('a', 'live')]);
    await writeFile(pair.#at('a', 'live', 'volume.raw'), '');
    await truncate(pair.#at('a', 'live', 'volume.raw'), sizeBytes);
    return pair;
  }

  target(): FioTarget {
    return fileTarget(this.#at('a', 'live', 'volume.raw'));
  }

  /** Snapshot, send the difference to the one before, receive, durable at B. No encryption. */
  async cycle(): Promise<void> {
    this.#snapshots += 1;
    const snapshot = this.#at('a', `${this.#snapshots}`);
    await run('btrfs', ['-q', 'subvolume', 'snapshot', '-r', this.#at('a', 'live'), snapshot]);
    const pipe = 'set -o pipefail; into=$1; shift; btrfs -q send "$@" | btrfs -q receive "$into"';
    await run('bash', ['-c', pipe, 'cycle', this.#at('b'), ...this.#since(), snapshot]);
    await run('btrfs', ['filesystem', 'sync', this.#at('b')]);
  }

  /** Length of the stream that the last cycle sent, which is made once more for it. */
  async streamBytes(): Promise<number> {
    const snapshot = this.#at('a', `${this.#snapshots}`);
    const count = 'set -o pipefail; btrfs -q send "$@" | wc -c';
    const { stdout } = await run('bash', ['-c', count, 'count', ...this.#since(), snapshot]);
    return Number(stdout);
  }

  async isEqual(): Promise<boolean> {
    const files = (['a', 'b'] as const).map((site) =>
      this.#at(site, `${this.#snapshots}`, 'volume.raw'),
    );
    return run('cmp', files).then(
      () => true,
      () => false,
    );
  }

  async close(): Promise<void> {
    for (const site of ['a', 'b'] as const) await run('umount', [this.#at(site)]);
    await rm(this.#directory, { recursive: true, force: true });
  }

  #since(): readonly string[] {
    return this.#snapshots > 1 ? ['-p', this.#at('a', `${this.#snapshots - 1}`)] : [];
  }

  #at(site: 'a' | 'b', ...names: readonly string[]): string {
    return join(this.#directory, site, ...names);
  }
}
