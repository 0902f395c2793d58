import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeCredentials } from '../bare/credentials.ts';
import type { BareCredentials } from '../bare/credentials.ts';
import { createLayer, openLayer } from '../bare/layer.ts';
import { addExport, listen } from '../bare/server.ts';
import { startStorageDaemon } from '../bare/storage-daemon.ts';
import type { StorageDaemon } from '../bare/storage-daemon.ts';
import { closeExports, deleteNode } from '../../src/engines/qmp/commands.ts';
import { socketTarget } from '../load/fio.ts';
import type { FioTarget } from '../load/fio.ts';

const run = promisify(execFile);
const NAME = 'volume';
/** Not the one of the bare script, which runs beside it. */
const PORT = 10_810;

/** A layer served on a local socket, an empty one served over TLS, and nbdcopy in between. */
export class NbdcopyPair {
  readonly #directory: string;
  readonly #sizeBytes: number;
  readonly #credentials: BareCredentials;
  readonly #a: StorageDaemon;
  readonly #b: StorageDaemon;

  private constructor(
    directory: string,
    sizeBytes: number,
    credentials: BareCredentials,
    [a, b]: readonly [StorageDaemon, StorageDaemon],
  ) {
    this.#directory = directory;
    this.#sizeBytes = sizeBytes;
    this.#credentials = credentials;
    this.#a = a;
    this.#b = b;
  }

  static async start(directory: string, sizeBytes: number): Promise<NbdcopyPair> {
    await mkdir(directory, { recursive: true });
    const credentials = await makeCredentials(directory, PORT);
    const a = await startStorageDaemon(directory, 'a');
    const b = await startStorageDaemon(directory, 'b');
    const pair = new NbdcopyPair(directory, sizeBytes, credentials, [a, b]);
    await pair.#openLayer(a, 'a');
    const server = { addr: { type: 'unix', data: { path: pair.#socket } }, 'max-connections': 0 };
    await a.qmp.execute('nbd-server-start', server);
    await addExport(a.qmp, NAME, 'a');
    await listen(b.qmp, credentials.b, credentials.host.distinguishedName);
    return pair;
  }

  get source(): FioTarget {
    return socketTarget(this.#sourceUri);
  }

  /** A new, empty layer at B. */
  async emptyDestination(): Promise<void> {
    await closeExports(this.#b.qmp, [NAME]);
    await deleteNode(this.#b.qmp, 'b');
    await rm(join(this.#directory, 'b.qcow2'), { force: true });
    await this.#openLayer(this.#b, 'b');
    await addExport(this.#b.qmp, NAME, 'b');
  }

  async copy(): Promise<void> {
    const { b, host } = this.#credentials;
    const certificates = encodeURIComponent(host.tlsDirectory);
    const to = `nbds://${b.address}:${b.port}/${NAME}?tls-certificates=${certificates}`;
    await run('nbdcopy', ['--flush', '--destination-is-zero', this.#sourceUri, to]);
  }

  async close(): Promise<void> {
    await this.#a.end();
    await this.#b.end();
  }

  get #socket(): string {
    return join(this.#directory, 'a.sock');
  }

  get #sourceUri(): string {
    return `nbd+unix:///${NAME}?socket=${this.#socket}`;
  }

  async #openLayer({ qmp }: StorageDaemon, name: string): Promise<void> {
    const layer = {
      directory: this.#directory,
      name,
      below: undefined,
      sizeBytes: this.#sizeBytes,
    };
    await createLayer(layer);
    await openLayer(qmp, layer, null);
  }
}
