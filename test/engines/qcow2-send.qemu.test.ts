/** Sends that meet a failing link, a failing target, or the end of their own processes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { GroupId } from '../../src/domain/ids.ts';
import { linkCut } from '../../src/engines/link-cut.ts';
import { daemonPaths } from '../../src/engines/qcow2/daemon-process.ts';
import { QmpClient } from '../../src/engines/qmp/client.ts';
import { queryBlockJobs } from '../../src/engines/qmp/queries.ts';
import { LinkFailure } from '../../src/ports/engine.ts';
import type { ReceivingTarget, SendPoint, SendWatch } from '../../src/ports/engine.ts';
import {
  BLOCK_BYTES,
  PAUSE_LIMIT_MS,
  asHost,
  assertSame,
  newPoint,
  servedGroup,
  watch,
  writeBlocks,
} from './contract-group.ts';
import { twoSites } from './test-sites.ts';
import type { TestSite, TestSites } from './test-sites.ts';

/** Slow enough to do something in the middle, fast enough to see the end. */
const SLOW_BYTES_PER_SECOND = 4 * 1024 * 1024;
/** So slow that a test would not wait for the end. */
const VERY_SLOW = 256 * 1024;
const BLOCKS = 1500;
const ALL_BYTES = BLOCKS * BLOCK_BYTES;

let sites: TestSites | undefined;
before(async () => (sites = await twoSites()));
after(() => sites?.close());
const both = (): TestSites => {
  assert.ok(sites);
  return sites;
};

interface Started {
  readonly groupId: GroupId;
  readonly request: SendPoint;
  /** Asks for the place again. */
  readonly receive: () => Promise<ReceivingTarget>;
}

/** A point of 6 MB, with a place at the other site. */
async function startedSend({ a, b }: TestSites): Promise<Started> {
  const { groupId, served } = await servedGroup(a);
  const numbers = Array.from({ length: BLOCKS }, (_, n) => n * 7);
  await asHost(a, served, 'data', (volume) => writeBlocks(volume, numbers, 1));
  const pointId = newPoint();
  const { volumes } = await a.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
  const common = { groupId, pointId, basePointId: undefined };
  const receive = (): Promise<ReceivingTarget> =>
    b.engine.receivePoint({ ...common, peerId: a.siteId, volumes });
  const target = await receive();
  const request = { ...common, peerId: b.siteId, target, bytesPerSecond: SLOW_BYTES_PER_SECOND };
  return { groupId, request, receive };
}

interface Half {
  /** Some of it has gone, and not all. */
  readonly reached: Promise<void>;
  readonly ended: Promise<PromiseSettledResult<unknown>>;
}

function sendSlowly({ engine }: TestSite, request: SendPoint, signal?: AbortSignal): Half {
  const { promise: reached, resolve, reject } = Promise.withResolvers<void>();
  const onProgress: SendWatch['onProgress'] = ({ sentBytes }) => {
    if (sentBytes > ALL_BYTES / 6) resolve();
  };
  const sending = engine.sendPoint(request, { onProgress, signal: signal ?? watch.signal });
  sending.then(() => reject(new Error('it was over too soon')), reject);
  const ended = Promise.allSettled([sending]).then(([result]) => result);
  return { reached, ended };
}

function assertLinkFailed(ended: PromiseSettledResult<unknown>): void {
  assert.ok(ended.status === 'rejected', 'the send came to its end');
  assert.ok(ended.reason instanceof LinkFailure, String(ended.reason));
}

async function assertDelivered({ a, b }: TestSites, request: SendPoint): Promise<void> {
  const { groupId, pointId, target } = request;
  await b.engine.completePoint(groupId, pointId, target.instance);
  await assertSame(a, b, groupId, pointId);
}

async function pidOf({ engine }: TestSite, groupId: GroupId): Promise<number> {
  const { pid } = await engine.inspect(groupId);
  assert.ok(pid !== undefined);
  return pid;
}

const fast = (request: SendPoint): SendPoint => ({ ...request, bytesPerSecond: undefined });

test('a connection that breaks is made again, and the send goes on', async () => {
  const { a } = both();
  const { request } = await startedSend(both());
  const { reached, ended } = sendSlowly(a, request);
  await reached;

  assert.ok((await linkCut.cutConnections(request.target.host, request.target.port)) > 0);

  const result = await ended;
  assert.ok(result.status === 'fulfilled', String(result.status === 'rejected' && result.reason));
  assert.deepEqual(result.value, {
    sentBytes: ALL_BYTES,
    restarted: false,
    wholeVolumes: (await a.engine.inspect(request.groupId)).volumes.map((v) => v.volumeId),
  });
  await assertDelivered(both(), request);
});

test('a silent target parks the send once it is cut, and a repeat goes on', async () => {
  const { a, b } = both();
  const { groupId, request, receive } = await startedSend(both());
  const pid = await pidOf(b, groupId);
  const { reached, ended } = sendSlowly(a, request);
  await reached;
  process.kill(pid, 'SIGSTOP');
  try {
    await linkCut.cutConnections(request.target.host, request.target.port);
    assertLinkFailed(await ended);
    // Its kernel still accepts connections: nothing of ours may hang on that.
    await assert.rejects(a.engine.sendPoint(request, watch), LinkFailure);
    assert.equal((await a.engine.inspect(groupId)).sending, request.pointId);
    assert.deepEqual((await a.engine.inspect(groupId)).sendingTo, {
      host: request.target.host,
      port: request.target.port,
    });
    await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
  } finally {
    process.kill(pid, 'SIGCONT');
  }

  assert.deepEqual(await receive(), request.target);
  const sent = await a.engine.sendPoint(fast(request), watch);

  assert.equal(sent.restarted, false);
  await assertDelivered(both(), request);
});

test('a send is cancelled although its target is silent', async () => {
  const { a, b } = both();
  const { groupId, request } = await startedSend(both());
  const pid = await pidOf(b, groupId);
  const { reached, ended } = sendSlowly(a, request);
  await reached;
  process.kill(pid, 'SIGSTOP');
  try {
    await a.engine.cancelSend(groupId);
  } finally {
    process.kill(pid, 'SIGCONT');
  }

  assert.equal((await ended).status, 'rejected');
  assert.equal((await a.engine.inspect(groupId)).sending, undefined);
  const sent = await a.engine.sendPoint(fast(request), watch);
  assert.deepEqual([sent.restarted, sent.sentBytes], [false, ALL_BYTES]);
  await assertDelivered(both(), request);
});

test('a target that died gets all again, and the result says so', async () => {
  const { a, b } = both();
  const { groupId, request, receive } = await startedSend(both());
  const { reached, ended } = sendSlowly(a, request);
  await reached;

  await b.killDataPlane(groupId);
  assertLinkFailed(await ended);
  await assert.rejects(a.engine.sendPoint(request, watch), LinkFailure);
  const target = await receive();
  const sent = await a.engine.sendPoint(fast({ ...request, target }), watch);

  assert.notEqual(target.instance, request.target.instance);
  assert.equal(sent.restarted, true);
  assert.ok(sent.sentBytes > ALL_BYTES);
  await assertDelivered(both(), { ...request, target });
});

test('a source that died sends all again, and the result says so', async () => {
  const { a } = both();
  const { groupId, request, receive } = await startedSend(both());
  const { reached, ended } = sendSlowly(a, request);
  await reached;

  await a.killDataPlane(groupId);
  assert.equal((await ended).status, 'rejected');
  assert.deepEqual(await receive(), request.target);
  const sent = await a.engine.sendPoint(fast(request), watch);

  assert.equal(sent.restarted, true);
  await assertDelivered(both(), request);
});

test('a send goes on while the control process is away, and the repeat finds it', async () => {
  const { a } = both();
  const { groupId, request, receive } = await startedSend(both());
  const { reached, ended } = sendSlowly(a, request);
  await reached;

  await a.restartControl();
  assert.equal((await ended).status, 'rejected');
  assert.equal((await a.engine.inspect(groupId)).sending, request.pointId);
  assert.deepEqual(await receive(), request.target);
  const sent = await a.engine.sendPoint(fast(request), watch);

  assert.deepEqual([sent.restarted, sent.sentBytes], [false, ALL_BYTES]);
  await assertDelivered(both(), request);
});

test('copies that a control process had started and not released go on with the repeat', async () => {
  const { a } = both();
  const { groupId, request } = await startedSend(both());
  const { reached, ended } = sendSlowly(a, request);
  await reached;
  await a.restartControl();
  await ended;
  await holdCopies(a, groupId);

  const sent = await a.engine.sendPoint(fast(request), watch);

  assert.equal(sent.restarted, false);
  await assertDelivered(both(), request);
});

/** As they are between their start and their release. */
async function holdCopies({ directory }: TestSite, groupId: GroupId): Promise<void> {
  const qmp = await QmpClient.connect(daemonPaths(join(directory, 'run'), groupId).rescue);
  const jobs = await queryBlockJobs(qmp);
  assert.notEqual(jobs.length, 0);
  for (const { id } of jobs) await qmp.execute('block-job-set-speed', { device: id, speed: 1 });
  qmp.close();
}

test('an aborted wait leaves the send going', async () => {
  const { a } = both();
  const { groupId, request } = await startedSend(both());
  const abort = new AbortController();
  const why = new Error('enough');
  const { reached, ended } = sendSlowly(a, request, abort.signal);
  await reached;

  abort.abort(why);

  const result = await ended;
  assert.ok(result.status === 'rejected' && result.reason === why);
  assert.equal((await a.engine.inspect(groupId)).sending, request.pointId);
  const sent = await a.engine.sendPoint(fast(request), watch);
  assert.deepEqual([sent.restarted, sent.sentBytes], [false, ALL_BYTES]);
  await assertDelivered(both(), request);
});

test('the limit on a send is kept', async () => {
  const { a } = both();
  const { request } = await startedSend(both());
  const before = performance.now();

  await a.engine.sendPoint(request, watch);

  const seconds = (performance.now() - before) / 1000;
  assert.ok(ALL_BYTES / seconds < SLOW_BYTES_PER_SECOND * 1.3, `${ALL_BYTES / seconds} bytes/s`);
  await assertDelivered(both(), request);
});

test('the limit of a send changes while it runs', async () => {
  const { a } = both();
  const { groupId, request } = await startedSend(both());
  const { reached, ended } = sendSlowly(a, { ...request, bytesPerSecond: VERY_SLOW });
  await reached;
  const before = performance.now();

  await a.engine.limitSend(groupId, undefined);

  const result = await ended;
  assert.ok(result.status === 'fulfilled', String(result.status === 'rejected' && result.reason));
  const seconds = (performance.now() - before) / 1000;
  assert.ok(seconds < ALL_BYTES / VERY_SLOW / 2, `${seconds} s`);
  await assertDelivered(both(), request);
});

test('two groups share the limit of a link, and both go on when it is lifted', async () => {
  const { a, b } = both();
  const requests = [(await startedSend(both())).request, (await startedSend(both())).request];
  await a.engine.limitLink(b.siteId, VERY_SLOW);
  const begun = performance.now();
  const sends = requests.map((request) => sendSlowly(a, fast(request)));
  await Promise.all(sends.map(({ reached }) => reached));
  const seconds = (performance.now() - begun) / 1000;

  await a.engine.limitLink(b.siteId, undefined);

  const sentBytes = (2 * ALL_BYTES) / 6;
  // A throttle lets some through at once.
  assert.ok(sentBytes / seconds < VERY_SLOW * 1.5, `${sentBytes} bytes in ${seconds} s`);
  for (const { ended } of sends) assert.equal((await ended).status, 'fulfilled');
  for (const request of requests) await assertDelivered(both(), request);
});

test('hosts, seals and fences go on beside a send', async () => {
  const { a } = both();
  const { groupId, request } = await startedSend(both());
  const { reached, ended } = sendSlowly(a, request);
  await reached;

  const served = await a.engine.serve(groupId, { hosts: ['app1'] });
  await asHost(a, served, 'data', (volume) => writeBlocks(volume, [1], 2));
  await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
  await a.engine.fence(groupId);
  await a.engine.serve(groupId, { hosts: ['app1'] });
  const { sending } = await a.engine.inspect(groupId);

  assert.equal(sending, request.pointId);
  const result = await ended;
  assert.ok(result.status === 'fulfilled', String(result.status === 'rejected' && result.reason));
  await assertDelivered(both(), request);
});
