/** Hosts that follow the baton: a group moves under them, and all they notice is a pause. */
import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import type { TestContext } from 'node:test';
import type { HostsAtHandover } from '../../src/app/attached-hosts.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import { signalProcess } from '../support/site-processes.ts';
import { StoryAgent } from '../support/story-agent.ts';
import type { AgentOptions } from '../support/story-agent.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const BLOCK = 4096;
const MIB = 1024 * 1024;
const RECOVERY_LIMIT_MS = 60_000;

const sites = await twoSites({ after });
const { paris, lyon } = sites;

/** The volumes of a group that Paris holds, attached on a host. */
async function attached(
  t: TestContext,
  group: string,
  { volumes = 2, ...options }: AgentOptions & { readonly volumes?: number } = {},
): Promise<StoryAgent> {
  await sites.protect(group, { volumes });
  const agent = await StoryAgent.attach(sites, volumesOf(group, volumes), options);
  t.after(() => agent.detach());
  return agent;
}

test('hosts follow handovers there and back with no error, and every write is found', async (t) => {
  const agent = await attached(t, 'orders');
  const writer = await agent.startWriter(volumesOf('orders'));
  t.after(() => writer.stop());

  for (const [from, to] of [
    [paris, lyon],
    [lyon, paris],
    [paris, lyon],
  ] as const) {
    await moreWrites(writer, 300);
    await from.handOver('orders', to);
    await moreWrites(writer, 300);
  }

  assert.equal(writer.serverErrors(), 0);
  assert.deepEqual(writer.disconnected(), []);
  const { epoch } = await agent.statusOnce('orders-1', 'is open at lyon', (s) => s.site === 'lyon');
  assert.equal(epoch, 4);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('before a handover it is told who will follow, and who will be cut', async (t) => {
  await attached(t, 'mail');
  const plain = await sites.connect(paris, 'mail-1');
  t.after(() => plain.disconnect());

  await waitUntil('the agent has said that it is attached', RECOVERY_LIMIT_MS, async () => {
    const path = '/volumes/mail-2/attached';
    const { items } = await paris.get<{ items: readonly { state: string }[] }>(path);
    return items.some(({ state }) => state === 'open') ? true : undefined;
  });

  const { preflight } = await paris.ask<{ preflight: { hosts: HostsAtHandover } }>({
    method: 'POST',
    path: '/groups/mail/handover?dryRun=true',
    body: {},
  });

  assert.deepEqual(preflight.hosts, {
    follow: [{ host: 'app1', address: '127.0.0.1' }],
    cut: [{ address: '127.0.0.1', connections: 1 }],
  });
});

test('a handover that is aborted behind the fence lets hosts go on where they were', async (t) => {
  const agent = await attached(t, 'pay');
  await paris.changeSession('pay', { bytesPerSecond: MIB });
  const writer = await agent.startWriter(volumesOf('pay'));
  t.after(() => writer.stop());
  await moreWrites(writer, 300);
  const { id } = await paris.startHandover('pay', lyon);
  await paris.jobOnce(id, 'hosts are fenced', (job) => job.steps.some((s) => s.name === 'fence'));

  await paris.abort(id);

  assert.equal((await paris.endOf(id)).state, 'undone');
  await moreWrites(writer, 300);
  assert.equal(writer.serverErrors(), 0);
  assert.deepEqual(writer.disconnected(), []);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('an agent that is killed is not missed, and one that is started again catches up', async (t) => {
  const agent = await attached(t, 'ledger');
  const writer = await agent.startWriter(volumesOf('ledger'));
  t.after(() => writer.stop());
  await moreWrites(writer, 100);

  await agent.signal('SIGKILL');
  await moreWrites(writer, 300);
  await paris.handOver('ledger', lyon);
  await agent.start();

  await moreWrites(writer, 300);
  await agent.signal('SIGTERM');
  await agent.start();
  await moreWrites(writer, 300);
  assert.equal(writer.serverErrors(), 0);
  assert.deepEqual(writer.disconnected(), []);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('after a failover all requests fail until its point is accepted, and then it is the new content', async (t) => {
  const agent = await attached(t, 'stock', { volumes: 1 });
  const host = await agent.connect('stock-1');
  await host.write(0, Buffer.alloc(BLOCK, 1));
  await paris.synchronize('stock');
  await host.write(0, Buffer.alloc(BLOCK, 2));
  await host.flush();
  await host.write(BLOCK, Buffer.alloc(BLOCK, 2));

  const { point } = await lyon.failOver('stock');

  const isClosed = await agent.statusOnce(
    'stock-1',
    'is closed, and it is said what is there',
    (s) => s.state === 'closed' && / until 20\d\d-.*Z/.test(s.why ?? ''),
  );
  assert.equal(isClosed.acceptance, point?.id);
  await assert.rejects(host.flush(), /EIO/);
  await assert.rejects(host.read(0, BLOCK), /EIO/);
  await assert.rejects(host.write(0, Buffer.alloc(BLOCK, 3)), /EIO/);
  assert.match(
    agent.said(),
    /stock-1: closed: a failover .* may lack what came after, .* --accept /,
  );

  await agent.accept(point?.id ?? '');

  await agent.statusOnce('stock-1', 'is open at lyon', (s) => s.site === 'lyon');
  await host.ended;
  const again = await agent.connect('stock-1');
  assert.deepEqual(await again.read(0, BLOCK), Buffer.alloc(BLOCK, 1));
  await again.disconnect();
});

test('a connection that comes back by itself never meets another history, though no agent runs', async (t) => {
  const agent = await attached(t, 'cash', { volumes: 1 });
  const host = await agent.connect('cash-1');
  await host.write(0, Buffer.alloc(BLOCK, 1));
  await paris.synchronize('cash');
  await host.write(0, Buffer.alloc(BLOCK, 2));
  await agent.signal('SIGKILL');
  await lyon.failOver('cash');
  await paris.sessionOnce('cash', 'it has learned', (s) => s.role === 'destination');
  await lyon.reprotect('cash');
  await lyon.handOver('cash', paris);

  let settled = false;
  const waiting = host.read(0, BLOCK).finally(() => (settled = true));
  waiting.catch(() => undefined);
  const direct = await sites.connect(paris, 'cash-1');
  assert.deepEqual(await direct.read(0, BLOCK), Buffer.alloc(BLOCK, 1));
  await direct.disconnect();
  assert.equal(settled, false);

  await agent.start();

  await assert.rejects(waiting, /EIO/);
  await agent.statusOnce('cash-1', 'is closed', (s) => s.state === 'closed');
});

test('requests fail when both sites are away for longer than they may wait, and work afterwards', async (t) => {
  const agent = await attached(t, 'parts', { volumes: 1, patience: '2s' });
  const host = await agent.connect('parts-1');
  await host.write(0, Buffer.alloc(BLOCK, 1));
  await host.flush();
  const pid = await paris.daemonPid('parts');
  const goOn = () => Promise.all([paris, lyon].map((site) => site.signalControl('SIGCONT')));
  t.after(async () => void (await goOn()));
  await Promise.all([paris, lyon].map((site) => site.signalControl('SIGSTOP')));
  await signalProcess(pid, 'SIGKILL');

  await assert.rejects(host.read(0, BLOCK), /EIO/);

  await goOn();
  const read = await waitUntil('requests work again', RECOVERY_LIMIT_MS, () =>
    host.read(0, BLOCK).catch(() => undefined),
  );
  assert.deepEqual(read, Buffer.alloc(BLOCK, 1));
});

test('a volume that is not mapped, or not there, is not attached, and nothing is left', async (t) => {
  await sites.protect('other', { volumes: 1 });
  await paris.unmap('other', 'app1');
  const refused = async (volumes: readonly string[], why: RegExp): Promise<void> => {
    const attempt = StoryAgent.attach(sites, volumes);
    t.after(async () => attempt.then((agent) => agent.detach()).catch(() => undefined));
    await assert.rejects(attempt, why);
  };

  await refused(['other-1'], /Volume 'other-1' is not mapped to host app1/);
  await refused(['nothing'], /No site that answers has a volume 'nothing'/);
});
