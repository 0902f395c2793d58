/** A real file system on a followed volume's file, and programs that write there. As root. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { waitUntil } from '../../src/main/wait-until.ts';

const run = promisify(execFile);

const WRITER = resolve(import.meta.dirname, 'sqlite-writer.ts');
const COMMITS_LIMIT_MS = 60_000;
const UNMOUNT_LIMIT_MS = 20_000;

/** @returns why there can be none on this machine, or undefined */
export async function whyNoFileSystem(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root may mount';
  try {
    await access('/dev/fuse');
    await run('losetup', ['--find']);
    return undefined;
  } catch {
    return 'no /dev/fuse, or no loop device, can be had here';
  }
}

export class StoryFileSystem {
  readonly file: string;
  readonly mountPoint: string;
  #isMounted = false;

  private constructor(file: string, mountPoint: string) {
    this.file = file;
    this.mountPoint = mountPoint;
  }

  /** Makes an ext4 in the file and mounts it. An error of the device would make it read-only. */
  static async make(file: string, mountPoint: string): Promise<StoryFileSystem> {
    await run('mkfs.ext4', ['-q', '-E', 'nodiscard', '-b', '4096', file]);
    const made = new StoryFileSystem(file, mountPoint);
    await made.mount();
    return made;
  }

  async mount(): Promise<void> {
    await mkdir(this.mountPoint, { recursive: true });
    await run('mount', ['-o', 'loop,errors=remount-ro', this.file, this.mountPoint]);
    this.#isMounted = true;
  }

  /** Once nobody has it open any more. Safe to repeat. */
  async unmount(): Promise<void> {
    if (!this.#isMounted) return;
    await waitUntil(`${this.mountPoint} is not in use`, UNMOUNT_LIMIT_MS, () =>
      run('umount', [this.mountPoint]).then(
        () => true,
        () => undefined,
      ),
    );
    this.#isMounted = false;
  }

  /** As the kernel says it: `rw` while no error has been met. */
  async options(): Promise<readonly string[]> {
    const { stdout } = await run('findmnt', ['-n', '-o', 'OPTIONS', this.mountPoint]);
    return stdout.trim().split(',');
  }

  /** @throws Error when the file system has any fault, or its journal is not empty */
  async check(): Promise<void> {
    await run('e2fsck', ['-f', '-n', this.file]);
  }

  /**
   * Writes, reads back and compares, at a pace, until it has ended or is killed by the signal. Rejects
   * when anything was not what was written.
   */
  async fio(megabytes: number, writesPerSecond: number, signal: AbortSignal): Promise<void> {
    const args = [
      ...['--name=story', '--thread', '--ioengine=psync', '--rw=randwrite', '--bs=4k'],
      ...[`--filename=${join(this.mountPoint, 'fio')}`, `--size=${megabytes}m`, '--fsync=16'],
      ...['--verify=crc32c', '--verify_fatal=1', '--verify_state_save=0'],
      `--rate_iops=${writesPerSecond}`,
    ];
    await run('fio', args, { signal, killSignal: 'SIGKILL' });
  }
}

/** Commits one numbered row after the other into a database in WAL mode, as a process of its own. */
export class SqliteWriter {
  readonly #child: ChildProcess;
  readonly #file: string;
  #acknowledged = 0;
  #said = '';

  private constructor(file: string, child: ChildProcess) {
    this.#file = file;
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    if (child.stdout === null) return;
    createInterface(child.stdout).on('line', (line) => (this.#acknowledged = Number(line)));
  }

  static start(file: string): SqliteWriter {
    const child = spawn(process.execPath, [WRITER, file], { stdio: ['ignore', 'pipe', 'pipe'] });
    return new SqliteWriter(file, child);
  }

  /** Once so many more commits were acknowledged. */
  async more(commits: number): Promise<void> {
    const wanted = this.#acknowledged + commits;
    await waitUntil(`${commits} more commits`, COMMITS_LIMIT_MS, () => {
      if (this.#child.exitCode !== null) throw new Error(`the writer ended: ${this.#said}`);
      return Promise.resolve(this.#acknowledged >= wanted ? true : undefined);
    });
  }

  /** Once it has met an error and ended. @returns what it said */
  ended(): Promise<string> {
    return waitUntil('the writer ends', COMMITS_LIMIT_MS, () =>
      Promise.resolve(this.#child.exitCode === null ? undefined : this.#said),
    );
  }

  /** @returns what it said of errors. Safe to repeat */
  async stop(): Promise<string> {
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    }
    return this.#said;
  }

  /** What SQLite finds of what was acknowledged, and what it says of the whole database. */
  found(): {
    readonly integrity: unknown;
    readonly missing: number;
    readonly acknowledged: number;
  } {
    const database = new DatabaseSync(this.#file);
    try {
      const integrity = database.prepare('PRAGMA integrity_check').get()?.['integrity_check'];
      const counted = database
        .prepare('SELECT count(*) AS n FROM commits WHERE number <= ?')
        .get(this.#acknowledged);
      const acknowledged = this.#acknowledged;
      return { integrity, missing: acknowledged - Number(counted?.['n']), acknowledged };
    } finally {
      database.close();
    }
  }
}
