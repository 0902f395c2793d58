import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { killProcessesIn } from '../support/site-processes.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const TOUR = /^## Five minutes$(?<text>.*?)^## /ms;
const BLOCK = /^```\n(?<commands>.*?)^```$/gms;

/** The tour's commands, in a directory and on addresses where nothing else is. */
async function tourIn(directory: string): Promise<string> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const text = TOUR.exec(readme)?.groups?.['text'] ?? '';
  const blocks = [...text.matchAll(BLOCK)].map((block) => block.groups?.['commands'] ?? '');
  assert.ok(blocks.length >= 6, 'the README has its tour');
  return blocks
    .join('')
    .replaceAll('/tmp/', `${directory}/`)
    .replace(
      /pair up --dir \S+/,
      '$& --address-a 127.60.0.1 --address-b 127.60.0.2 --port-offset 30000',
    );
}

test("every command of the README's tour works as it stands there", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'baton-tour-'));
  t.after(async () => {
    killProcessesIn(directory);
    await rm(directory, { recursive: true, force: true });
  });
  const script = `set -eux\n${await tourIn(directory)}`;

  const { stdout } = await run('bash', ['-c', script], { cwd: ROOT });

  assert.match(stdout, /group orders was handed over/);
  assert.match(stdout, /holder: +lyon \(here\), epoch 2/);
});
