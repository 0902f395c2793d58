/** Foreign systems for a story: real servers that know nothing of Baton. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, sparseFile, startNbdkit } from './nbd-servers.ts';
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
