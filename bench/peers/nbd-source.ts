import { execFile } from 'node:child_process';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { addNode } from '../../src/engines/qmp/commands.ts';
import { addExport } from '../bare/server.ts';
import { startStorageDaemon } from '../bare/storage-daemon.ts';
import type { StorageDaemon } from '../bare/storage-daemon.ts';
import { fillPartly } from '../load/fill.ts';
import { fileTarget } from '../load/fio.ts';

const run = promisify(execFile);
const HOST = '127.0.0.1';
const PORT = 10_811;
const NAME = 'old';

/** A disk of another system, served over plain NBD, and the tools that copy one without Baton. */
export class NbdSource {
  readonly endpoint = { kind: 'nbd', host: HOST, port: PORT } as const;
  readonly locator = NAME;
  readonly #directory: string;
  readonly #daemon: StorageDaemon;

  private constructor(directory: string, daemon: StorageDaemon) {
    this.#directory = directory;
    this.#daemon = daemon;
  }

  /** @param writtenBytes of it, a mebibyte here and there; the rest are holes */
  static async start(
    directory: string,
    sizeBytes: number,
    writtenBytes: number,
  ): Promise<NbdSource> {
    await mkdir(directory, { recursive: true });
    const filename = join(directory, 'old.img');
    await writeFile(filename, '');
    await truncate(filename, sizeBytes);
    if (writtenBytes > 0) await fillPartly(fileTarget(filename), sizeBytes, writtenBytes);
    const daemon = await startStorageDaemon(directory, 'source');
    const cache = { direct: true, 'no-flush': false };
    const file = { driver: 'file', filename, aio: 'native', cache, discard: 'unmap' };
    await addNode(daemon.qmp, { driver: 'raw', 'node-name': 'disk', cache, file });
    const addr = { type: 'inet', data: { host: HOST, port: `${PORT}` } };
    await daemon.qmp.execute('nbd-server-start', { addr, 'max-connections': 0 });
    await addExport(daemon.qmp, NAME, 'disk');
    return new NbdSource(directory, daemon);
  }

  /** Into a layer of the kind that Baton fills. */
  async convert(): Promise<void> {
    const layer = ['-O', 'qcow2', '-o', 'cluster_size=128k,extended_l2=on', '-t', 'none'];
    await this.#fresh((copy) =>
      run('qemu-img', ['convert', '-f', 'raw', ...layer, this.#uri, copy]),
    );
  }

  /** Into a plain file. */
  async nbdcopy(): Promise<void> {
    await this.#fresh((copy) => run('nbdcopy', ['--flush', this.#uri, copy]));
  }

  close(): Promise<void> {
    return this.#daemon.end();
  }

  get #uri(): string {
    return `nbd://${HOST}:${PORT}/${NAME}`;
  }

  async #fresh(work: (copy: string) => Promise<unknown>): Promise<void> {
    const copy = join(this.#directory, 'copy');
    await rm(copy, { force: true });
    await work(copy);
  }
}
