import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { text } from 'node:stream/consumers';
import { SmallDisk, whyNoDisk } from '../../test/support/story-disk.ts';

/** Logs a line for each line that it reads, and answers it. */
const program = `
  import { createInterface } from 'node:readline';
  import { processLog } from ${JSON.stringify(join(import.meta.dirname, 'log.ts'))};
  const log = processLog('paris');
  for await (const line of createInterface({ input: process.stdin })) {
    log.error({ event: line });
    console.log('went on');
  }
`;

test(
  'a log on a full disk stops nothing, and its lines are written when there is room',
  { skip: whyNoDisk },
  async () => {
    const parent = await mkdtemp(join(tmpdir(), 'baton-log-'));
    const directory = join(parent, 'disk');
    const disk = new SmallDisk(8 * 1024 * 1024);
    await disk.mountAt(directory);
    try {
      const file = join(directory, 'log');
      const log = openSync(file, 'a');
      await disk.leaveFree(0);
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['pipe', 'pipe', log],
      });
      closeSync(log);
      const { stdin, stdout } = child;
      assert.ok(stdin && stdout);
      const [said, ended] = [text(stdout), once(child, 'close')];
      stdin.write('first\nsecond\n');
      await Promise.race([once(stdout, 'data'), ended]);
      await disk.makeRoom();
      stdin.end('third\n');
      const [code] = (await ended) as [number];

      assert.equal(code, 0);
      assert.equal(await said, 'went on\n'.repeat(3));
      const lines = (await readFile(file, 'utf8')).trim().split('\n');
      const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
      assert.deepEqual(events, ['first', 'second', 'third']);
    } finally {
      await disk.unmount();
      await rm(parent, { recursive: true });
    }
  },
);
