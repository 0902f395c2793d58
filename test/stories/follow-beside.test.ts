/** Hosts that share a volume, and hosts on what was opened beside a group. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { after } from 'node:test';
import type { TestContext } from 'node:test';
import type { HostsAtHandover } from '../../src/app/attached-hosts.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import { processesIn } from '../support/site-processes.ts';
import { StoryAgent } from '../support/story-agent.ts';
import type { AgentOptions } from '../support/story-agent.ts';
import { assertNothingLost, moreWrites, twoSites } from '../support/two-sites.ts';

const BLOCK = 4096;
const MIB = 1024 * 1024;
/** Behind what a story's writer writes. */
const OTHERS_AT = 32 * MIB;
const OTHERS_BLOCKS = 1000;
const LIMIT_MS = 30_000;

const sites = await twoSites({ after });
const { paris, lyon } = sites;

async function attach(
  t: TestContext,
  volumes: readonly string[],
  options: AgentOptions = {},
): Promise<StoryAgent> {
  const agent = await StoryAgent.attach(sites, volumes, options);
  t.after(() => agent.detach());
  return agent;
}

test('hosts that share a volume are all closed before the last point, and all go on behind it', async (t) => {
  await protectForBoth('fleet');
  const first = await attach(t, ['fleet-1']);
  const second = await attach(t, ['fleet-1'], { host: 'app2' });
  const writer = await first.startWriter(['fleet-1']);
  t.after(() => writer.stop());
  const other = await second.connect('fleet-1');
  let acknowledged = 0;
  const content = (number: number): Buffer => Buffer.alloc(BLOCK, number % 251);
  const offset = (number: number): number => OTHERS_AT + (number % OTHERS_BLOCKS) * BLOCK;
  const stopped = new AbortController();
  const writing = (async (): Promise<void> => {
    for (let number = 1; !stopped.signal.aborted; number += 1) {
      await other.write(offset(number), content(number));
      acknowledged = number;
    }
  })();
  writing.catch(() => undefined);
  await waitUntil('both are listed', LIMIT_MS, async () => {
    const { preflight } = await paris.ask<{ preflight: { hosts: HostsAtHandover } }>({
      method: 'POST',
      path: '/groups/fleet/handover?dryRun=true',
      body: {},
    });
    const following = preflight.hosts.follow.map(({ host }) => host).toSorted();
    return following.join(' ') === 'app1 app2' ? true : undefined;
  });

  await moreWrites(writer, 100);
  await paris.handOver('fleet', lyon);
  await moreWrites(writer, 100);
  await second.statusOnce('fleet-1', 'is open at lyon', (s) => s.site === 'lyon');
  const before = acknowledged;
  await waitUntil('the other host goes on', LIMIT_MS, () =>
    Promise.resolve(acknowledged > before + 10 ? true : undefined),
  );

  stopped.abort();
  await writing;
  assert.equal(writer.serverErrors(), 0);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
  const direct = await sites.connect(lyon, 'fleet-1');
  for (let number = acknowledged; number > Math.max(0, acknowledged - OTHERS_BLOCKS); number -= 1) {
    const block = await direct.read(offset(number), BLOCK);
    assert.deepEqual(block, content(number), `write ${number}`);
  }
  await direct.disconnect();
});

test('a clone is attached by its name, and stays where it is when its group is handed over', async (t) => {
  await sites.protect('desk', { volumes: 1 });
  await paris.ask({ method: 'POST', path: '/groups/desk/copies', body: { name: 'look' } });
  await copyOnce('open');
  const agent = await attach(t, ['desk-1', 'look/desk-1']);
  const [group, clone] = [await agent.connect('desk-1'), await agent.connect('look.desk-1')];
  await group.write(0, Buffer.alloc(BLOCK, 1));
  await clone.write(0, Buffer.alloc(BLOCK, 2));
  await clone.flush();

  await paris.handOver('desk', lyon);

  await agent.statusOnce('desk-1', 'is open at lyon', (s) => s.site === 'lyon');
  await agent.statusOnce('look.desk-1', 'is open at paris', (s) => s.site === 'paris');
  assert.deepEqual(await group.read(0, BLOCK), Buffer.alloc(BLOCK, 1));
  assert.deepEqual(await clone.read(0, BLOCK), Buffer.alloc(BLOCK, 2));

  await paris.carryOut({ method: 'POST', path: '/copies/look/refresh', body: {} });

  const closed = await agent.statusOnce('look.desk-1', 'is closed', (s) => s.state === 'closed');
  assert.match(closed.why ?? '', /the copy was refreshed/);
  await assert.rejects(clone.read(0, BLOCK), /EIO|the server closed the connection/);
  assert.deepEqual(await group.read(0, BLOCK), Buffer.alloc(BLOCK, 1));
});

test('a failover test is attached by its name at the destination while the group goes on', async (t) => {
  await sites.protect('post', { volumes: 1 });
  await lyon.ask({ method: 'POST', path: '/groups/post/failover-test', body: {} });
  await waitUntil('the test is open', LIMIT_MS, async () => {
    const { state } = await lyon.get<{ state: string }>('/copies/post-test');
    return state === 'open' ? true : undefined;
  });
  const agent = await attach(t, ['post-1', 'post-test/post-1']);
  const [group, rehearsal] = [
    await agent.connect('post-1'),
    await agent.connect('post-test.post-1'),
  ];

  await rehearsal.write(0, Buffer.alloc(BLOCK, 9));

  await agent.statusOnce('post-test.post-1', 'is open at lyon', (s) => s.site === 'lyon');
  assert.deepEqual(await group.read(0, BLOCK), Buffer.alloc(BLOCK, 0));
  assert.deepEqual(await rehearsal.read(0, BLOCK), Buffer.alloc(BLOCK, 9));
  await lyon.carryOut({ method: 'DELETE', path: '/groups/post/failover-test' });
  await agent.statusOnce('post-test.post-1', 'is gone', (s) => s.state === 'waiting');
  assert.deepEqual(await group.read(0, BLOCK), Buffer.alloc(BLOCK, 0));
});

test(
  'where the kernel has no devices for it, a volume is not attached, and it is said what is missing',
  { skip: existsSync('/sys/block/nbd0') ? 'this kernel has nbd' : undefined },
  async (t) => {
    await sites.protect('late', { volumes: 1 });
    const attempt = StoryAgent.attach(sites, ['late-1'], { as: 'nbd' });
    t.after(async () => attempt.then((agent) => agent.detach()).catch(() => undefined));

    await assert.rejects(attempt, /kernel has no nbd devices: load its module|Only root may/);

    assert.deepEqual(processesIn(join(sites.dir, 'h')), []);
  },
);

for (const as of ['socket', 'fuse'] as const) {
  const skip = as === 'fuse' && !existsSync('/dev/fuse') ? 'no /dev/fuse' : undefined;

  test(
    `an agent that wants a place which another one has is refused, and takes nothing (${as})`,
    { skip },
    async (t) => {
      const group = `own-${as}`;
      await protectForBoth(group);
      const first = await attach(t, [`${group}-1`], { as });
      const path = first.pathOf(`${group}-1`);
      const before = await stat(path);
      const second = StoryAgent.attach(sites, [`${group}-1`], {
        as,
        host: 'app2',
        in: dirname(path),
      });
      t.after(async () => second.then((agent) => agent.detach()).catch(() => undefined));

      await assert.rejects(second, /serves at .* End it first|No file can be made at/);

      const { ino, size } = await stat(path);
      assert.deepEqual({ ino, size }, { ino: before.ino, size: before.size });
    },
  );
}

/** A group of one volume that two hosts may attach. */
async function protectForBoth(group: string): Promise<void> {
  await sites.protect(group, { volumes: 1 });
  await Promise.all([paris.hostFiles('app2'), lyon.hostFiles('app2')]);
  await paris.map(group, 'app2');
}

async function copyOnce(state: string): Promise<void> {
  await waitUntil(`the clone is ${state}`, LIMIT_MS, async () => {
    const copy = await paris.get<{ state: string }>('/copies/look');
    return copy.state === state ? true : undefined;
  });
}
