/** A file system on a followed volume: its programs notice nothing of where the volume is. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import test, { after } from 'node:test';
import { join } from 'node:path';
import { waitUntil } from '../../src/main/wait-until.ts';
import { processesIn, signalProcess } from '../support/site-processes.ts';
import { StoryAgent } from '../support/story-agent.ts';
import { SqliteWriter, whyNoFileSystem } from '../support/story-file-system.ts';
import { handOverUnderPrograms, lastFirst, mountedVolume } from '../support/story-programs.ts';
import { twoSites } from '../support/two-sites.ts';

const BLOCK = 4096;
const RECOVERY_LIMIT_MS = 60_000;

const skip = await whyNoFileSystem();
const sites = await twoSites({ after });
const { paris, lyon } = sites;

test(
  'a mounted ext4 with SQLite and fio on it is handed over with no error, and nothing is lost',
  { skip },
  (t) => handOverUnderPrograms(t, sites, { group: 'shop', rounds: 3 }),
);

test(
  'an agent that is killed leaves the file system mounted, and the next one moves it',
  { skip },
  async (t) => {
    const { agent, files, ending } = await mountedVolume(t, sites, 'desk');
    const writer = SqliteWriter.start(join(files.mountPoint, 'desk.db'));
    ending.defer(async () => void (await writer.stop()));
    await writer.more(10);

    await agent.signal('SIGKILL');
    await writer.more(10);
    await agent.start();
    await paris.handOver('desk', lyon);
    await writer.more(10);

    assert.equal(await writer.stop(), '');
    const { integrity, missing } = writer.found();
    assert.deepEqual({ integrity, missing }, { integrity: 'ok', missing: 0 });
  },
);

test(
  'a file fails after a failover, is the new content once that is accepted, and is gone when detached',
  { skip },
  async (t) => {
    await sites.protect('books', { volumes: 1 });
    const ending = lastFirst(t);
    const agent = await StoryAgent.attach(sites, ['books-1'], { as: 'fuse' });
    ending.defer(() => agent.detach());
    const path = agent.pathOf('books-1');
    const { sizeBytes } = await paris.volume('books-1');
    assert.equal((await stat(path)).size, sizeBytes);
    const file = await open(path, 'r+');
    ending.defer(() => file.close().catch(() => undefined));
    await file.write(Buffer.alloc(BLOCK, 1), 0, BLOCK, 0);
    await file.sync();
    await paris.synchronize('books');
    await file.write(Buffer.alloc(BLOCK, 2), 0, BLOCK, 0);
    await file.sync();

    const { point } = await lyon.failOver('books');
    await agent.statusOnce('books-1', 'is closed', (s) => s.state === 'closed');

    await assert.rejects(file.write(Buffer.alloc(BLOCK, 3), 0, BLOCK, 0), /EIO/);
    await assert.rejects(file.sync(), /EIO/);
    await agent.accept(point?.id ?? '');
    await agent.statusOnce('books-1', 'is open at lyon', (s) => s.site === 'lyon');
    await assert.rejects(
      file.write(Buffer.alloc(BLOCK, 3), 0, BLOCK, 0),
      /ENOTCONN|EIO|ECONNABORTED/,
    );
    assert.deepEqual((await readFile(path)).subarray(0, BLOCK), Buffer.alloc(BLOCK, 1));

    await agent.detach();

    assert.equal(existsSync(path), false);
    assert.deepEqual(
      processesIn(agent.directory).map(({ commandLine }) => commandLine),
      [],
    );
  },
);

test(
  'a file whose process was killed is there again once the agent is started again',
  { skip },
  async (t) => {
    await sites.protect('safe', { volumes: 1 });
    const agent = await StoryAgent.attach(sites, ['safe-1'], { as: 'fuse' });
    t.after(() => agent.detach());
    const path = agent.pathOf('safe-1');
    await writeFile(path, Buffer.alloc(BLOCK, 1), { flag: 'r+', flush: true });
    const [shown] = processesIn(agent.directory).filter((p) => p.commandLine.startsWith('nbdfuse'));
    await signalProcess(shown?.pid ?? 0, 'SIGKILL');
    await assert.rejects(stat(path), /ENOTCONN/);

    await agent.signal('SIGTERM');
    await agent.start();

    assert.deepEqual((await readFile(path)).subarray(0, BLOCK), Buffer.alloc(BLOCK, 1));
  },
);

test(
  'a file system whose sites were away for too long is mounted again, with all that was acknowledged',
  { skip },
  async (t) => {
    const { files, ending } = await mountedVolume(t, sites, 'away', { patience: '2s' });
    const writer = SqliteWriter.start(join(files.mountPoint, 'away.db'));
    ending.defer(async () => void (await writer.stop()));
    await writer.more(20);
    const pid = await paris.daemonPid('away');
    const goOn = () => Promise.all([paris, lyon].map((site) => site.signalControl('SIGCONT')));
    ending.defer(async () => void (await goOn()));
    await Promise.all([paris, lyon].map((site) => site.signalControl('SIGSTOP')));
    await signalProcess(pid, 'SIGKILL');

    assert.match(await writer.ended(), /disk I\/O error|readonly database/);

    await goOn();
    await files.unmount();
    await waitUntil('it can be mounted', RECOVERY_LIMIT_MS, () =>
      files.mount().then(
        () => true,
        () => undefined,
      ),
    );
    const { integrity, missing, acknowledged } = writer.found();
    assert.deepEqual({ integrity, missing }, { integrity: 'ok', missing: 0 });
    assert.ok(acknowledged >= 20);
    await files.unmount();
    await files.check();
  },
);

test('where something else is, no file appears, and it stays as it was', { skip }, async (t) => {
  await sites.protect('till', { volumes: 1 });
  let path = '';
  const before = async (directory: string): Promise<void> => {
    path = join(directory, 'till-1');
    await writeFile(path, 'mine');
  };
  const attempt = StoryAgent.attach(sites, ['till-1'], { as: 'fuse', before });
  t.after(async () => attempt.then((agent) => agent.detach()).catch(() => undefined));

  await assert.rejects(attempt, /No file can be made at .*till-1/);

  assert.equal(await readFile(path, 'utf8'), 'mine');
});
