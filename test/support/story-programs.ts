/** SQLite and fio on a mounted file system, while its volume is handed over and back. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { join } from 'node:path';
import { StoryAgent } from './story-agent.ts';
import type { AgentOptions } from './story-agent.ts';
import { SqliteWriter, StoryFileSystem } from './story-file-system.ts';
import type { TwoSites } from './two-sites.ts';

const MIB = 1024 * 1024;
const COMMITS_EACH = 20;
const FIO_WRITES_PER_SECOND = 100;
/** About as long as the handovers take, on a quiet machine. */
const FIO_MEBIBYTES_EACH = 1;

export interface Handovers {
  readonly group: string;
  /** How many handovers, in turn there and back. */
  readonly rounds: number;
}

/** Fails where a program, the kernel, SQLite or e2fsck notices anything, or a commit is missing. */
export async function handOverUnderPrograms(
  t: TestContext,
  sites: TwoSites,
  { group, rounds }: Handovers,
): Promise<void> {
  const { agent, files, ending } = await mountedVolume(t, sites, group);
  const writer = SqliteWriter.start(join(files.mountPoint, 'shop.db'));
  ending.defer(async () => void (await writer.stop()));
  await writer.more(COMMITS_EACH);
  const optionsBefore = await files.options();
  const isOver = new AbortController();
  ending.defer(() => Promise.resolve(isOver.abort()));
  const fio = files.fio(FIO_MEBIBYTES_EACH * rounds, FIO_WRITES_PER_SECOND, isOver.signal);
  fio.catch(() => undefined);

  for (let round = 0; round < rounds; round += 1) {
    const [from, to] = await sites.holderFirst(group);
    await from.handOver(group, to);
    await writer.more(COMMITS_EACH);
    await agent.statusOnce(`${group}-1`, `is open at ${to.name}`, (s) => s.site === to.name);
  }

  await fio;
  assert.equal(await writer.stop(), '');
  assert.deepEqual(await files.options(), optionsBefore);
  await files.unmount();
  await files.check();
  await files.mount();
  const { integrity, missing, acknowledged } = writer.found();
  assert.equal(integrity, 'ok');
  assert.ok(acknowledged > rounds * COMMITS_EACH, `${acknowledged} commits were acknowledged`);
  assert.equal(missing, 0);
  await files.unmount();
}

export interface MountedVolume {
  readonly agent: StoryAgent;
  readonly files: StoryFileSystem;
  /** For what a test starts on the file system: it is ended before that is unmounted. */
  readonly ending: AsyncDisposableStack;
}

/** A group of one volume, followed as a file, with a mounted ext4 on it. */
export async function mountedVolume(
  t: TestContext,
  sites: TwoSites,
  group: string,
  options: Pick<AgentOptions, 'patience'> = {},
): Promise<MountedVolume> {
  await sites.protect(group, { volumes: 1, volumeBytes: 128 * MIB });
  const ending = lastFirst(t);
  const agent = await StoryAgent.attach(sites, [`${group}-1`], { ...options, as: 'fuse' });
  ending.defer(() => agent.detach());
  const mountPoint = join(agent.directory, 'mnt');
  const files = await StoryFileSystem.make(agent.pathOf(`${group}-1`), mountPoint);
  ending.defer(() => files.unmount());
  return { agent, files, ending };
}

/**
 * Ends what a test has begun, the last first, and the rest also where one cannot be ended. The hooks
 * of node:test run the first first, and none after one that fails.
 */
export function lastFirst(t: TestContext): AsyncDisposableStack {
  const ending = new AsyncDisposableStack();
  t.after(() => ending.disposeAsync());
  return ending;
}
