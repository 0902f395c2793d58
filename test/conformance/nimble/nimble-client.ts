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

interface Message {
  readonly code: string;
  readonly text: string;
}

interface Answer {
  readonly result?: unknown;
  readonly refused?: readonly Message[];
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
  const clientOf = (name: string): NimbleClient => {
    const site = sites.find((s) => s.name === name);
    assert.ok(site);
    const { username, password, nimble } = site;
    const { hostname, port } = new URL(nimble);
    const at = { hostname, port: Number(port), username, password };
    const call: NimbleClient['call'] = (path, positional, named = {}) => {
      const answer = last.then(() => ask({ site: at, call: path, arguments: positional, named }));
      last = answer.catch(() => undefined);
      return answer.then(({ result, refused }) => {
        if (refused !== undefined) throw new ClientRefused(path, refused);
        return result;
      });
    };
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
