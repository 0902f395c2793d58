/** The vendor's Python client, unmodified, in a process of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { readPair } from '../../../src/main/pair-files.ts';
import { pythonWith } from '../../support/python-packages.ts';
import type { Scope, TwoSites } from '../../support/two-sites.ts';

export type Attributes = Readonly<Record<string, unknown>>;

/** What a call may be given beside its positional arguments. */
type Named = Readonly<Record<string, unknown>>;

interface Refused {
  readonly status: string;
  readonly text: string;
}

interface Answer {
  readonly result?: unknown;
  readonly refused?: Refused;
}

/** A "no" as the client raises it. */
export class ClientRefused extends Error {
  override readonly name = 'ClientRefused';
  readonly status: number;

  constructor(call: string, { status, text }: Refused) {
    super(`${call}: ${text}`);
    this.status = Number(status);
  }
}

export interface PowerStoreClient {
  /** @throws ClientRefused */
  readonly call: (call: string, positional?: readonly unknown[], named?: Named) => Promise<unknown>;
  /** By the client's generic request, for what it has no method of. @throws ClientRefused */
  readonly request: (method: string, path: string, body?: object) => Promise<unknown>;
  readonly post: (path: string, body?: object) => Promise<unknown>;
}

/** One client process for both sites of a pair; it ends with the test. */
export async function powerstoreClients(
  scope: Scope,
  { dir }: TwoSites,
): Promise<{ readonly paris: PowerStoreClient; readonly lyon: PowerStoreClient }> {
  const here = import.meta.dirname;
  const python = await pythonWith(join(here, 'requirements.txt'));
  const child = spawn(python, [join(here, 'client.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  scope.after(async () => {
    child.stdin.end();
    await ended;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let last: Promise<unknown> = Promise.resolve();
  const ask = async (asked: object): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify(asked)}\n`);
    const line = await lines.next();
    assert.ok(line.done !== true, 'the client has ended');
    return JSON.parse(line.value) as Answer;
  };

  const sites = readPair(dir)?.sites ?? [];
  const clientOf = (name: string): PowerStoreClient => {
    const site = sites.find((s) => s.name === name);
    assert.ok(site);
    const { username, password, powerstore, caFile } = site;
    const { hostname, port } = new URL(powerstore);
    const at = { hostname, port, username, password, caFile };
    const call: PowerStoreClient['call'] = (path, positional = [], named = {}) => {
      const answer = last.then(() => ask({ site: at, call: path, arguments: positional, named }));
      last = answer.catch(() => undefined);
      return answer.then(({ result, refused }) => {
        if (refused !== undefined) throw new ClientRefused(path, refused);
        return result;
      });
    };
    const request: PowerStoreClient['request'] = (method, path, body) =>
      call('provisioning.client.request', [method, `${powerstore}/${path}`, body ?? null]);
    return { call, request, post: (path, body) => request('POST', path, body) };
  };
  return { paris: clientOf('paris'), lyon: clientOf('lyon') };
}
