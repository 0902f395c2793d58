import { execFile } from 'node:child_process';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileTarget } from '../load/fio.ts';
import type { FioTarget } from '../load/fio.ts';

const run = promisify(execFile);

/** A raw file, and its copy that rsync brings up to date in place. */
export class RsyncPair {
  readonly #directory: string;
  readonly #source: string;
  readonly #copy: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#source = join(directory, 'a', 'volume.raw');
    this.#copy = join(directory, 'b', 'volume.raw');
  }

  static async start(directory: string, sizeBytes: number): Promise<RsyncPair> {
    const pair = new RsyncPair(directory);
    for (const file of [pair.#source, pair.#copy]) {
      await mkdir(join(file, '..'), { recursive: true });
      await writeFile(file, '');
      await truncate(file, sizeBytes);
    }
    return pair;
  }

  target(): FioTarget {
    return fileTarget(this.#source);
  }

  /**
   * Brings the copy up to date, durably. Both ends are this machine, over a socket and without
   * encryption. By itself it copies a local file whole; `blocks` has it look for those that changed,
   * as it does over a network.
   *
   * @returns bytes that its two ends exchanged
   */
  async cycle(what: 'blocks' | 'whole'): Promise<number> {
    const how = what === 'blocks' ? ['--no-whole-file', '--block-size=4096'] : ['--whole-file'];
    const { stdout } = await run('rsync', [
      ...['--inplace', '--fsync', '--ignore-times', '--stats', ...how],
      ...[this.#source, this.#copy],
    ]);
    const total = (label: string): number =>
      Number(new RegExp(`Total bytes ${label}: ([\\d,]+)`).exec(stdout)?.[1]?.replaceAll(',', ''));
    return total('sent') + total('received');
  }

  async isEqual(): Promise<boolean> {
    return run('cmp', [this.#source, this.#copy]).then(
      () => true,
      () => false,
    );
  }

  async close(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
