import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import Fastify from 'fastify';
import type { Bridges } from '../../src/cli/attach-command.ts';
import { buildProgram, run } from '../../src/cli/program.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { issueSiteCertificate } from '../../src/certificates/authority.ts';
import { nativeDialect } from '../../src/dialects/native/native.ts';
import { serverOptions } from '../../src/dialects/native/server-options.ts';
import { memoryPair } from './memory-site.ts';
import type { MemoryPair, MemorySite } from './memory-site.ts';
import { PASSWORD } from './native-api.ts';

export interface CliResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly answers?: readonly string[];
  readonly isInteractive?: boolean;
  readonly interrupted?: AbortSignal;
  readonly bridges?: Bridges;
  /** Called with each text that is printed. */
  readonly onOut?: (text: string) => void;
}

/** Two sites that listen, and the command that asks them, as if it was typed. */
export interface CliWorld extends MemoryPair {
  readonly directory: string;
  readonly urls: { readonly paris: string; readonly lyon: string };
  readonly caFiles: { readonly paris: string; readonly lyon: string };
  readonly baton: (args: readonly string[], options?: RunOptions) => Promise<CliResult>;
  /** As `baton --pair DIR --at paris …`, words separated by spaces. */
  readonly paris$: (line: string, options?: RunOptions) => Promise<CliResult>;
  readonly lyon$: (line: string, options?: RunOptions) => Promise<CliResult>;
  readonly json: <T>(line: string) => Promise<T>;
}

export async function cliWorld(t: TestContext): Promise<CliWorld> {
  const pair = await memoryPair(t);
  const directory = await mkdtemp(join(tmpdir(), 'baton-cli-'));
  t.after(() => rm(directory, { recursive: true }));
  const [paris, lyon] = await Promise.all([
    listen(t, pair.paris, directory),
    listen(t, pair.lyon, directory),
  ]);
  const sites = [paris, lyon];
  await writeFile(join(directory, 'pair.json'), JSON.stringify({ dir: directory, sites }));
  const home = { HOME: directory };

  const baton: CliWorld['baton'] = async (args, options = {}) => {
    let [out, err] = ['', ''];
    const answers = [...(options.answers ?? [])];
    const terminal: Terminal = {
      env: { ...home, ...options.env },
      isInteractive: options.isInteractive ?? false,
      out: (text) => {
        out += text;
        options.onOut?.(text);
      },
      err: (text) => void (err += text),
      ask: () => Promise.resolve(answers.shift() ?? ''),
      askSecret: () => Promise.resolve(answers.shift() ?? ''),
      interrupted: options.interrupted ?? new AbortController().signal,
    };
    const program = buildProgram({ terminal, bridges: options.bridges ?? noBridges });
    return { code: await run(program, args, terminal), out, err };
  };
  const at =
    (name: string) =>
    (line: string, options?: RunOptions): Promise<CliResult> =>
      baton(['--pair', directory, '--at', name, ...line.split(' ')], options);
  const json: CliWorld['json'] = async (line) => {
    const { code, out, err } = await at('paris')(`${line} -o json`);
    if (code !== 0) throw new Error(err);
    return JSON.parse(out) as never;
  };
  return {
    ...pair,
    directory,
    urls: { paris: paris.native, lyon: lyon.native },
    caFiles: { paris: paris.caFile, lyon: lyon.caFile },
    baton,
    paris$: at('paris'),
    lyon$: at('lyon'),
    json,
  };
}

async function listen(t: TestContext, site: MemorySite, directory: string) {
  const { id: siteId, name, authority } = site;
  const leaf = await issueSiteCertificate(authority, {
    siteId,
    names: [name],
    addresses: ['127.0.0.1'],
  });
  const http = Fastify({
    ...serverOptions,
    forceCloseConnections: true,
    https: { cert: leaf.certificate, key: leaf.privateKey },
  });
  await http.register(nativeDialect, { prefix: '/api/v1', app: site.app, log: site.ports.log });
  await http.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => http.close());
  await site.app.createUser({ name: 'admin', password: PASSWORD, role: 'administrator' });
  const caFile = join(directory, `${name}-ca.pem`);
  await writeFile(caFile, authority.certificate);
  const { port } = http.server.address() as AddressInfo;
  const native = `https://127.0.0.1:${port}/api/v1`;
  return { name, native, caFile, username: 'admin', password: PASSWORD };
}

export const noBridges: Bridges = {
  open: () => Promise.reject(new Error('no bridges in this test')),
  openDetached: () => Promise.reject(new Error('no bridges in this test')),
  end: () => Promise.resolve(false),
  follow: () => Promise.reject(new Error('no bridges in this test')),
  statusOf: () => Promise.resolve([]),
  accept: () => Promise.resolve(),
  detachAll: () => Promise.resolve([]),
};

/** What it printed; it ended well and complained of nothing. */
export function worked({ code, out, err }: CliResult): string {
  assert.deepEqual({ code, err }, { code: 0, err: '' });
  return out;
}

/** Group `orders` with volume `data`, replicated to Lyon. */
export async function withOrders(t: TestContext): Promise<CliWorld> {
  const world = await cliWorld(t);
  worked(await world.paris$('group create orders'));
  worked(await world.paris$('volume create data --size 1G --group orders'));
  worked(await world.paris$('group protect orders --to lyon --rpo 30s'));
  worked(await world.paris$('group sync orders'));
  return world;
}
