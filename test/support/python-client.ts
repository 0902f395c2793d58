/** A vendor's Python client, unmodified, in a process of its own: a line asks, a line answers. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pythonWith } from './python-packages.ts';
import type { Scope } from './two-sites.ts';

/** What a call may be given beside its positional arguments. */
export type Named = Readonly<Record<string, unknown>>;

interface Call {
  /** How the client gets to the site. */
  readonly site: object;
  /** A path of attributes, as `volume_collections.handover`. */
  readonly call: string;
  readonly arguments: readonly unknown[];
  readonly named: Named;
}

interface Answer<Refused> {
  readonly result?: unknown;
  readonly refused?: Refused;
}

interface ClientDirectory<Refused> {
  /** With `client.py` and its `requirements.txt`. */
  readonly directory: string;
  /** What a refusal is to the test. */
  readonly refusal: (call: string, refused: Refused) => Error;
}

/**
 * Starts the client; it ends with the test. Calls wait for each other.
 *
 * @returns makes one call; throws what `refusal` makes of a "no"
 */
export async function pythonClient<Refused>(
  scope: Scope,
  { directory, refusal }: ClientDirectory<Refused>,
): Promise<(call: Call) => Promise<unknown>> {
  const python = await pythonWith(join(directory, 'requirements.txt'));
  const child = spawn(python, [join(directory, 'client.py')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  scope.after(async () => {
    child.stdin.end();
    await ended;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let last: Promise<unknown> = Promise.resolve();
  const ask = async (call: Call): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(call)}\n`);
    const line = await lines.next();
    assert.ok(line.done !== true, 'the client has ended');
    const { result, refused } = JSON.parse(line.value) as Answer<Refused>;
    if (refused !== undefined) throw refusal(call.call, refused);
    return result;
  };
  return (call) => {
    const answer = last.then(() => ask(call));
    last = answer.catch(() => undefined);
    return answer;
  };
}
