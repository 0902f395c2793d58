import assert from 'node:assert/strict';
import { readPair } from '../../../src/main/pair-files.ts';
import { pythonClient } from '../../support/python-client.ts';
import type { Named } from '../../support/python-client.ts';
import type { Scope, TwoSites } from '../../support/two-sites.ts';

export type Attributes = Readonly<Record<string, unknown>>;

interface Refused {
  readonly status: string;
  readonly text: string;
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
  const ask = await pythonClient<Refused>(scope, {
    directory: import.meta.dirname,
    refusal: (call, refused) => new ClientRefused(call, refused),
  });
  const sites = readPair(dir)?.sites ?? [];
  const clientOf = (name: string): PowerStoreClient => {
    const site = sites.find((s) => s.name === name);
    assert.ok(site);
    const { username, password, powerstore, caFile } = site;
    const { hostname, port } = new URL(powerstore);
    const at = { hostname, port, username, password, caFile };
    const call: PowerStoreClient['call'] = (path, positional = [], named = {}) =>
      ask({ site: at, call: path, arguments: positional, named });
    const request: PowerStoreClient['request'] = (method, path, body) =>
      call('provisioning.client.request', [method, `${powerstore}/${path}`, body ?? null]);
    return { call, request, post: (path, body) => request('POST', path, body) };
  };
  return { paris: clientOf('paris'), lyon: clientOf('lyon') };
}
