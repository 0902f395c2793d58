/** Foreign systems for a story: real servers that know nothing of Baton. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, sparseFile, startNbdkit, startStorageDaemon } from './nbd-servers.ts';
import type { Argument, ServerProcess } from './nbd-servers.ts';

const HOST = '127.0.0.1';

export interface StorySource {
  readonly file: string;
  readonly port: number;
  readonly server: ServerProcess;
  readonly endpoint: { readonly kind: 'nbd'; readonly host: string; readonly port: number };
  /** Another server over the same file, at the same address. */
  readonly again: () => Promise<ServerProcess>;
}

/** A server that takes one client at a time, as `qemu-nbd` does; others wait for its greeting. */
export function singleSource(directory: string, sizeBytes: number): Promise<StorySource> {
  return daemonSource(directory, sizeBytes, 1);
}

/**
 * A server that outlives whatever becomes of its connections. An nbdkit does not: one that is closed
 * while several of its threads answer ends it with a failed assertion (1.32.5).
 *
 * @param clients how many it takes at a time; 0: as many as come
 */
export async function daemonSource(
  directory: string,
  sizeBytes: number,
  clients = 0,
): Promise<StorySource> {
  await mkdir(directory, { recursive: true });
  const file = await sparseFile(join(directory, `disk-${crypto.randomUUID()}.img`), sizeBytes);
  const port = await freePort(HOST);
  const node = { driver: 'file', 'node-name': 'n0', filename: file, discard: 'unmap' };
  const served = { type: 'nbd', id: 'e0', 'node-name': 'n0', name: '', writable: true };
  const server = `addr.type=inet,addr.host=${HOST},addr.port=${port},max-connections=${clients}`;
  const args: Argument[] = [
    ['--blockdev', JSON.stringify(node)],
    ['--nbd-server', server],
    ['--export', JSON.stringify(served)],
  ];
  const again = (): Promise<ServerProcess> => startStorageDaemon(directory, args);
  return { file, port, server: await again(), endpoint: { kind: 'nbd', host: HOST, port }, again };
}

/** An nbdkit with one export, which may be slow, limited or broken by its filters. */
export async function nbdkitSource(
  directory: string,
  sizeBytes: number,
  filters: readonly Argument[] = [],
  parameters: readonly Argument[] = [],
): Promise<StorySource> {
  await mkdir(directory, { recursive: true });
  const file = await sparseFile(join(directory, `disk-${crypto.randomUUID()}.img`), sizeBytes);
  const port = await freePort(HOST);
  const args = [...filters, ['--ipaddr', HOST], ['--port', `${port}`], 'file', file, ...parameters];
  const again = (): Promise<ServerProcess> => startNbdkit(directory, args);
  return { file, port, server: await again(), endpoint: { kind: 'nbd', host: HOST, port }, again };
}
