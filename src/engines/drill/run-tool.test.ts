import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory, waitFor } from '../../../test/support/nbd-servers.ts';
import { commandLineOf } from '../../../test/support/site-processes.ts';
import { runTool } from './run-tool.ts';

const never = new AbortController().signal;
const directory = await temporaryDirectory();

async function script(name: string, ...lines: readonly string[]): Promise<[string]> {
  const file = join(directory, name);
  await writeFile(file, `#!/bin/sh\n${lines.join('\n')}\n`);
  await chmod(file, 0o755);
  return [file];
}

function hasEnded(pid: number): Promise<void> {
  return waitFor(`process ${pid} has ended`, () => commandLineOf(pid) === '');
}

test('a script that leaves a process behind ends all the same, and that process with it', async () => {
  const command = await script('leaves', 'sleep 600 &', 'echo $!', 'exit 3');

  const { code, said, why } = await runTool(command, never);

  assert.deepEqual([code, why], [3, undefined]);
  assert.match(said, /^\d+$/);
  await hasEnded(Number(said));
});

test('a process that left for a session of its own is not waited for', async () => {
  const command = await script(
    'daemon',
    `mkfifo "$FIFO"`,
    `setsid sh -c 'echo $$ >"$FIFO"; exec sleep 600' &`,
    'read -r pid <"$FIFO"',
    'echo "$pid"',
  );

  const { code, said } = await runTool(command, never, { FIFO: join(directory, 'fifo') });

  process.kill(Number(said), 'SIGKILL');
  assert.equal(code, 0);
});

test('a script that is told to end takes what it started along', async () => {
  const file = join(directory, 'pid');
  const command = await script('waits', 'sleep 600 &', 'echo $! >"$PID_FILE"', 'wait');
  const over = new AbortController();
  const run = runTool(command, over.signal, { PID_FILE: file });
  const read = (): Promise<string> => readFile(file, 'utf8').catch(() => '');
  await waitFor('the script runs', async () => (await read()).endsWith('\n'));

  over.abort(new Error('the site shuts down'));

  await assert.rejects(run, /the site shuts down/);
  await hasEnded(Number(await read()));
});

test('a program that is missing, or that a signal ended, has no exit code but a reason', async () => {
  const missing = await runTool(['no-such-program'], never);
  assert.deepEqual([missing.code, missing.why], [undefined, 'no-such-program is not installed']);

  const [crashes] = await script('crashes', 'kill -SEGV $$');
  const crashed = await runTool([crashes], never);
  assert.deepEqual([crashed.code, crashed.why], [undefined, `${crashes} was ended by SIGSEGV`]);
});
