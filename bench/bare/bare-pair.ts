/**
 * The same replication without Baton: two storage daemons, and a script that sends the same QMP
 * commands in the same order, with the same layers, options and TLS. It keeps no record, checks
 * nothing and survives nothing: what it takes is what QEMU takes.
 *
 *   A: overlay ─ snapshot        B: overlay ─ export      A: mirror ─ end      B: close ─ read-only
 */
import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  addNode,
  addObject,
  closeExports,
  concludeJob,
  deleteNode,
} from '../../src/engines/qmp/commands.ts';
import type { Fields } from '../../src/engines/qmp/fields.ts';
import { findJob, queryBlockJobs, queryJobs } from '../../src/engines/qmp/queries.ts';
import { waitFor } from '../../src/engines/qmp/wait.ts';
import { tlsTarget } from '../load/fio.ts';
import type { FioTarget } from '../load/fio.ts';
import { makeCredentials } from './credentials.ts';
import type { BareCredentials } from './credentials.ts';
import { closeToWriters, createLayer, layerPath, openLayer } from './layer.ts';
import type { BareLayer } from './layer.ts';
import { addExport, listen } from './server.ts';
import { startStorageDaemon } from './storage-daemon.ts';
import type { StorageDaemon } from './storage-daemon.ts';

const run = promisify(execFile);
const VOLUME = 'volume';
const COPY_LIMIT_MS = 30 * 60_000;

export class BarePair {
  readonly #directory: string;
  readonly #sizeBytes: number;
  readonly #credentials: BareCredentials;
  readonly #a: StorageDaemon;
  readonly #b: StorageDaemon;
  /** Number of the layer at A that is written now. */
  #active = 0;

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

  /** One empty volume at A, open to the host. */
  static async start(directory: string, sizeBytes: number): Promise<BarePair> {
    await mkdir(directory, { recursive: true });
    const credentials = await makeCredentials(directory);
    const a = await startStorageDaemon(directory, 'a');
    const b = await startStorageDaemon(directory, 'b');
    const pair = new BarePair(directory, sizeBytes, credentials, [a, b]);
    await listen(a.qmp, credentials.a, credentials.host.distinguishedName);
    await listen(b.qmp, credentials.b, credentials.a.distinguishedName);
    for (const limit of ['hosts', 'sends']) await addObject(a.qmp, 'throttle-group', limit, {});
    await addObject(a.qmp, 'tls-creds-x509', 'tls-send', {
      dir: credentials.a.tlsDirectory,
      endpoint: 'client',
      'verify-peer': true,
    });
    const first = pair.#layer('a', 0);
    await createLayer(first);
    await openLayer(a.qmp, first, null);
    await addHead(a, 'head', 'hosts', first.name);
    await addExport(a.qmp, VOLUME, 'head');
    return pair;
  }

  /** Where a host writes the volume. */
  target(): Promise<FioTarget> {
    const { a, host } = this.#credentials;
    const at = { host: a.address, port: a.port, exportName: VOLUME };
    const home = join(this.#directory, 'host');
    return tlsTarget({ ...at, credentialsDirectory: host.tlsDirectory, home });
  }

  /** One cycle: the first of everything, each other one of what changed since. */
  async cycle(): Promise<void> {
    const sealed = this.#layer('a', this.#active);
    this.#active += 1;
    const active = this.#layer('a', this.#active);
    await createLayer(active);
    await openLayer(this.#a.qmp, active, null);
    const data = { node: sealed.name, overlay: active.name };
    await this.#a.qmp.execute('transaction', { actions: [{ type: 'blockdev-snapshot', data }] });

    const received = this.#layer('b', this.#active - 1);
    const base = received.below ?? null;
    await createLayer(received);
    await openLayer(this.#b.qmp, received, base);
    await addExport(this.#b.qmp, 'receiving', received.name);

    await this.#copy(sealed);

    await closeExports(this.#b.qmp, ['receiving']);
    await closeToWriters(this.#b.qmp, received.name, base);
  }

  /** After a cycle: from now on each write is at B, too, before the host is answered. */
  async mirror(): Promise<void> {
    const { qmp } = this.#a;
    const { b } = this.#credentials;
    const standby: BareLayer = {
      ...this.#layer('b', this.#active - 1),
      name: 'b-standby',
      below: `b-${this.#active - 1}`,
    };
    await createLayer(standby);
    await openLayer(this.#b.qmp, standby, standby.below ?? null);
    await addExport(this.#b.qmp, 'standby', standby.name, { writethrough: true });
    await addNode(qmp, linkOptions(b, 'mirrored', 'standby'));
    // Hosts come in above the mirror, or it would miss their writes.
    await closeExports(qmp, [VOLUME]);
    await qmp.execute('blockdev-mirror', {
      'job-id': 'mirror',
      device: 'head',
      target: 'mirrored',
      'filter-node-name': 'mirror-filter',
      sync: 'top',
      granularity: 4096,
      'copy-mode': 'background',
      'on-target-error': 'stop',
      'auto-dismiss': false,
    });
    await addExport(qmp, VOLUME, 'mirror-filter');
    await waitFor(qmp, 'the mirror', COPY_LIMIT_MS, async () => {
      const job = findJob(await queryJobs(qmp), 'mirror');
      if (job?.status === 'concluded') throw new Error(`mirror: ${job.error ?? 'ended early'}`);
      return job?.status === 'ready' ? true : undefined;
    });
    const change = { id: 'mirror', type: 'mirror', 'copy-mode': 'write-blocking' };
    await qmp.execute('block-job-change', change);
    await waitFor(qmp, 'the mirror', COPY_LIMIT_MS, async () => {
      const job = findJob(await queryBlockJobs(qmp), 'mirror');
      return job?.activelySynced === true ? true : undefined;
    });
  }

  /** Ends the daemons; the files stay. */
  async close(): Promise<void> {
    await this.#a.end();
    await this.#b.end();
  }

  /** Of closed ones: whether B reads as A did at the last snapshot. */
  isEqual(): Promise<boolean> {
    const last = (['a', 'b'] as const).map((site) =>
      layerPath(this.#layer(site, this.#active - 1)),
    );
    return run('qemu-img', ['compare', '-q', ...last]).then(
      () => true,
      () => false,
    );
  }

  remove(): Promise<void> {
    return rm(this.#directory, { recursive: true, force: true });
  }

  async #copy(sealed: BareLayer): Promise<void> {
    const { qmp } = this.#a;
    const { b } = this.#credentials;
    await addNode(qmp, linkOptions(b, 'link', 'receiving'));
    await addHead(this.#a, 'send', 'sends', sealed.name);
    await qmp.execute('blockdev-mirror', {
      'job-id': 'copy',
      device: 'send',
      target: 'link',
      // Also of the first layer: what it does not hold reads as zeroes on both sides.
      sync: 'top',
      granularity: 4096,
      'auto-dismiss': false,
    });
    await waitFor(qmp, 'the copy', COPY_LIMIT_MS, async () => {
      const job = findJob(await queryJobs(qmp), 'copy');
      if (job?.status === 'concluded') throw new Error(`copy: ${job.error ?? 'ended early'}`);
      return job?.status === 'ready' ? true : undefined;
    });
    await qmp.execute('block-job-cancel', { device: 'copy' });
    const error = await concludeJob(qmp, 'copy');
    if (error !== undefined) throw new Error(`copy: ${error}`);
    await deleteNode(qmp, 'send');
    await deleteNode(qmp, 'link');
  }

  #layer(site: 'a' | 'b', number: number): BareLayer {
    return {
      directory: this.#directory,
      name: `${site}-${number}`,
      below: number === 0 ? undefined : `${site}-${number - 1}`,
      sizeBytes: this.#sizeBytes,
    };
  }
}

function linkOptions(
  { address, port, tlsName }: BareCredentials['b'],
  node: string,
  exportName: string,
): Fields {
  return {
    driver: 'nbd',
    'node-name': node,
    server: { type: 'inet', host: address, port: `${port}` },
    export: exportName,
    'tls-creds': 'tls-send',
    'tls-hostname': tlsName,
    'reconnect-delay': 1,
    discard: 'unmap',
  };
}

/** A filter above a layer: the root node that exports and jobs want. */
function addHead(
  { qmp }: StorageDaemon,
  node: string,
  limits: string,
  file: string,
): Promise<void> {
  const readOnly = limits === 'sends' && { 'read-only': true };
  const options = { driver: 'throttle', 'node-name': node, 'throttle-group': limits, file };
  return addNode(qmp, { ...options, ...readOnly });
}
