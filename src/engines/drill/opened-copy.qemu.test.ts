import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory, waitFor } from '../../../test/support/nbd-servers.ts';
import type { CheckedCopy } from '../../ports/drill-tools.ts';
import { withOpenedCopy } from './opened-copy.ts';

test('a check that begins again ends the daemon that the killed one had left', async () => {
  const directory = join(await temporaryDirectory(), 'drill');
  await mkdir(directory);
  const pidFile = join(directory, 'nbd.pid');
  const left = spawn('qemu-storage-daemon', ['--pidfile', pidFile], { stdio: 'ignore' });
  const ended = new Promise((resolve) => left.once('exit', (_code, signal) => resolve(signal)));
  await waitFor('it runs', async () => (await stat(pidFile).catch(() => undefined)) !== undefined);

  const nothing = { volumes: [] } as unknown as CheckedCopy;
  const signal = new AbortController().signal;
  await withOpenedCopy(nothing, { directory, bundle: {} as never }, signal, async () => undefined);

  assert.equal(await ended, 'SIGKILL');
});
