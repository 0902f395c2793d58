import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  startStorageDaemon,
  temporaryDirectory,
  waitFor,
} from '../../../test/support/nbd-servers.ts';
import type { CheckedCopy } from '../../ports/drill-tools.ts';
import { withOpenedCopy } from './opened-copy.ts';

test('a check that begins again ends the daemon that the killed one had left', async () => {
  const directory = join(await temporaryDirectory(), 'drill');
  await mkdir(directory);
  const left = await startStorageDaemon(directory, []);

  const nothing = { volumes: [] } as unknown as CheckedCopy;
  const signal = new AbortController().signal;
  await withOpenedCopy(nothing, { directory, bundle: {} as never }, signal, async () => undefined);

  await waitFor('it is gone', () => !left.isRunning());
  assert.equal(left.said(), '');
});
