/** A disk so small that a story can fill it: a file with a file system of its own in it. */
import { execFile } from 'node:child_process';
import { mkdir, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Why such a disk cannot be made here; for a test's `skip`. */
export const whyNoDisk =
  process.getuid?.() === 0 ? false : 'mounting a disk needs root, which this run has not';

export class SmallDisk {
  readonly #sizeBytes: number;
  #mountedAt: string | undefined;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  /** Makes it and mounts it there. */
  async mountAt(directory: string): Promise<void> {
    const image = `${directory}.image`;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(image, '');
    await truncate(image, this.#sizeBytes);
    await run('mkfs.ext4', ['-q', '-m', '0', image]);
    await run('mount', ['-o', 'loop', image, directory]);
    this.#mountedAt = directory;
  }

  async unmount(): Promise<void> {
    if (this.#mountedAt !== undefined) await run('umount', [this.#mountedAt]);
    this.#mountedAt = undefined;
  }

  /** Takes room away until so much is left. */
  async leaveFree(bytes: number): Promise<void> {
    const free = await this.freeBytes();
    await run('fallocate', ['--length', `${free - bytes}`, this.#ballast]);
  }

  /** Gives it back. */
  async makeRoom(): Promise<void> {
    await rm(this.#ballast);
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#mountedAt ?? '');
    return bavail * bsize;
  }

  get #ballast(): string {
    return join(this.#mountedAt ?? '', 'ballast');
  }
}
