import assert from 'node:assert/strict';
import { readPair } from '../../../src/main/pair-files.ts';
import { pythonClient } from '../../support/python-client.ts';
import type { Named } from '../../support/python-client.ts';
import type { Scope, TwoSites } from '../../support/two-sites.ts';

export type Attributes = Readonly<Record<string, unknown>>;

interface Message {
  readonly code: string;
  readonly text: string;
}

/** A "no" as the client raises it. */
export class ClientRefused extends Error {
  override readonly name = 'ClientRefused';
  readonly codes: readonly string[];

  constructor(call: string, messages: readonly Message[]) {
    super(`${call}: ${JSON.stringify(messages)}`);
    this.codes = messages.map(({ code }) => code);
  }
}

export interface NimbleClient {
  /** @throws ClientRefused */
  call(call: string, positional: readonly unknown[], named?: Named): Promise<unknown>;
  /** The one object of that name, in full. */
  find(set: string, name: string): Promise<Attributes>;
}

/** One client process for both sites of a pair; it ends with the test. */
export async function nimbleClients(
  scope: Scope,
  { dir }: TwoSites,
): Promise<{ readonly paris: NimbleClient; readonly lyon: NimbleClient }> {
  const ask = await pythonClient<readonly Message[]>(scope, {
    directory: import.meta.dirname,
    refusal: (call, messages) => new ClientRefused(call, messages),
  });
  const sites = readPair(dir)?.sites ?? [];
  const clientOf = (name: string): NimbleClient => {
    const site = sites.find((s) => s.name === name);
    assert.ok(site);
    const { username, password, nimble } = site;
    const { hostname, port } = new URL(nimble);
    const at = { hostname, port: Number(port), username, password };
    const call: NimbleClient['call'] = (path, positional, named = {}) =>
      ask({ site: at, call: path, arguments: positional, named });
    return {
      call,
      find: async (set, objectName) => {
        const found = await call(`${set}.get`, [], { name: objectName });
        assert.ok(found !== null, `${set} at ${name} has no ${objectName}`);
        return found as Attributes;
      },
    };
  };
  return { paris: clientOf('paris'), lyon: clientOf('lyon') };
}
