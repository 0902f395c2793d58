/** The commands that a page tells its reader to type. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { killProcessesIn } from './site-processes.ts';
import type { Scope } from './two-sites.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const SECTION = /^## Five minutes$(?<text>.*?)^## /ms;
const BLOCK = /^```(?<language>\w*)\n(?<commands>.*?)^```$/gms;

export interface Tour {
  /** Below the project's root. */
  readonly page: string;
  /** The third byte of the tour's two addresses, so that tours meet nobody else's pair. */
  readonly network: number;
  /** What runs the page's Python. */
  readonly python?: string;
}

/**
 * Types all of a page's section "Five minutes", in a directory and on addresses where nothing else is.
 *
 * @returns what was printed
 * @throws when a command fails
 */
export async function takeTour(scope: Scope, tour: Tour): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-tour-'));
  scope.after(async () => {
    killProcessesIn(directory);
    await rm(directory, { recursive: true, force: true });
  });
  const script = `set -eux -o pipefail\n${await scriptOf(tour, directory)}`;
  const env = { ...process.env, PYTHON: tour.python };
  const { stdout } = await run('bash', ['-c', script], { cwd: ROOT, env });
  return stdout;
}

async function scriptOf({ page, network }: Tour, directory: string): Promise<string> {
  const text = SECTION.exec(await readFile(join(ROOT, page), 'utf8'))?.groups?.['text'] ?? '';
  const blocks = [...text.matchAll(BLOCK)].map(({ groups }) => {
    const commands = groups?.['commands'] ?? '';
    return groups?.['language'] === 'python' ? `"$PYTHON" - <<'END'\n${commands}END\n` : commands;
  });
  assert.ok(blocks.length >= 3, `${page} has its tour`);
  return blocks
    .join('')
    .replaceAll('/tmp/', `${directory}/`)
    .replaceAll('127.0.0.', `127.60.${network}.`)
    .replaceAll(/(port(?:_no)?='?|:)(9443|5392|5000)\b/g, (_, before: string, port: string) => {
      return `${before}${Number(port) + 30_000}`;
    })
    .replace(
      /pair up --dir \S+/,
      `$& --address-a 127.60.${network}.1 --address-b 127.60.${network}.2 --port-offset 30000`,
    );
}
