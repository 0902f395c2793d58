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
  const { agent, files } = await mountedVolume(t, sites, group);
  const database = join(files.mountPoint, 'shop.db');
  const writer = SqliteWriter.start(database);
  t.after(() => writer.stop());
  await writer.more(COMMITS_EACH);
  const optionsBefore = await files.options();
  const fio = files.fio(FIO_MEBIBYTES_EACH * rounds, FIO_WRITES_PER_SECOND);
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

/** A group of one volume, followed as a file, with a mounted ext4 on it. */
export async function mountedVolume(
  t: TestContext,
  sites: TwoSites,
  group: string,
  options: Pick<AgentOptions, 'patience'> = {},
): Promise<{ readonly agent: StoryAgent; readonly files: StoryFileSystem }> {
  await sites.protect(group, { volumes: 1, volumeBytes: 128 * MIB });
  const agent = await StoryAgent.attach(sites, [`${group}-1`], { ...options, as: 'fuse' });
  t.after(() => agent.detach());
  const mountPoint = join(agent.directory, 'mnt');
  const files = await StoryFileSystem.make(agent.pathOf(`${group}-1`), mountPoint);
  t.after(() => files.unmount());
  return { agent, files };
}
