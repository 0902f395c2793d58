/** The daemon of a group: one at most, whom it admits, and what happens when it hangs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { issueHostCertificate, issueSiteCertificate } from '../../src/certificates/authority.ts';
import type { Credential } from '../../src/certificates/authority.ts';
import { followedName } from '../../src/domain/history.ts';
import { newId } from '../../src/domain/ids.ts';
import type { HistoryId } from '../../src/domain/ids.ts';
import { Failure } from '../../src/domain/refusal.ts';
import { listExports } from '../../src/engines/nbd/connection.ts';
import { daemonPaths, launchDaemon } from '../../src/engines/qcow2/daemon-process.ts';
import { checkRunDirectory } from '../../src/engines/qcow2/options.ts';
import { BLOCK_BYTES, HOST, asHost, newPoint, servedGroup, tagsOf } from './contract-group.ts';
import { waitFor } from '../support/nbd-servers.ts';
import { twoSites } from './test-sites.ts';
import type { TestSite, TestSites } from './test-sites.ts';

const run = promisify(execFile);

let sites: TestSites | undefined;
before(async () => (sites = await twoSites()));
after(() => sites?.close());
const both = (): TestSites => {
  assert.ok(sites);
  return sites;
};

/** What a client with this certificate sees of a site's server. */
function exportsSeenBy(
  client: Credential,
  at: { readonly host: string; readonly port: number },
  server: TestSite,
): Promise<readonly string[]> {
  return listExports({
    address: { host: at.host, port: at.port },
    tls: { serverName: server.siteId, trusted: server.authority.certificate, ...client },
  });
}

test('a receiving daemon admits the peer, and no host of either site', async () => {
  const { a, b } = both();
  const { groupId, volumes } = await servedGroup(a);
  const target = await b.engine.receivePoint({
    groupId,
    pointId: newPoint(),
    basePointId: undefined,
    peerId: a.siteId,
    volumes,
  });
  const names = { siteId: a.siteId, names: [], addresses: [] };
  const peer = await issueSiteCertificate(a.authority, names);
  const impostor = await issueSiteCertificate(b.authority, names);
  const hosts = [a, b].map(({ authority }) => issueHostCertificate(authority, { hostName: HOST }));

  assert.deepEqual(
    await exportsSeenBy(peer, target, b),
    target.exports.map(({ exportName }) => exportName),
  );
  for (const client of [impostor, ...(await Promise.all(hosts))]) {
    await assert.rejects(exportsSeenBy(client, target, b));
  }
});

test('a serving daemon admits its hosts and its own site, and nobody of the peer', async () => {
  const { a, b } = both();
  const { served } = await servedGroup(a);
  const admitted = await Promise.all([
    issueHostCertificate(a.authority, { hostName: HOST }),
    issueSiteCertificate(a.authority, { siteId: a.siteId, names: [], addresses: [] }),
  ]);
  const others = await Promise.all([
    issueHostCertificate(a.authority, { hostName: 'another' }),
    issueHostCertificate(b.authority, { hostName: HOST }),
    issueSiteCertificate(b.authority, { siteId: b.siteId, names: [], addresses: [] }),
  ]);

  for (const client of admitted) {
    assert.deepEqual((await exportsSeenBy(client, served, a)).toSorted(), ['data', 'log']);
  }
  for (const client of others) await assert.rejects(exportsSeenBy(client, served, a));
});

test('a host that follows a volume meets the history that it knows, or nothing', async () => {
  const { a } = both();
  const { groupId, volumes } = await servedGroup(a, ['data']);
  const host = await issueHostCertificate(a.authority, { hostName: HOST });
  const [before, after] = [newId<HistoryId>(), newId<HistoryId>()];
  const names = async (history: HistoryId) => {
    const served = await a.engine.serve(groupId, { hosts: [HOST], history });
    return (await exportsSeenBy(host, served, a)).toSorted();
  };

  assert.deepEqual(await names(before), ['data', followedName('data', before)]);
  assert.deepEqual(await names(after), ['data', followedName('data', after)]);
  const [volume] = volumes;
  assert.ok(volume);
  await a.engine.resizeVolume(groupId, volume.volumeId, 2 * volume.sizeBytes);
  const { address } = await a.engine.inspect(groupId);
  assert.ok(address);
  assert.equal((await exportsSeenBy(host, address, a)).length, 2);
  await a.engine.deleteVolume(groupId, volume.volumeId);
  assert.deepEqual(await exportsSeenBy(host, address, a), []);
});

test('a second daemon for a group does not come into being', async () => {
  const { a } = both();
  const { groupId, served } = await servedGroup(a);
  const { pid } = await a.engine.inspect(groupId);
  const lock = join(a.directory, 'run', `${groupId}.lock`);

  await assert.rejects(run('flock', ['--nonblock', lock, 'true']));
  await a.restartControl();
  const inspections = await Promise.all(
    Array.from({ length: 5 }, () => a.engine.inspect(groupId)).concat(
      a.engine.serve(groupId, { hosts: [HOST] }).then(() => a.engine.inspect(groupId)),
    ),
  );

  assert.deepEqual([...new Set(inspections.map((one) => one.pid))], [pid]);
  await (await a.attach(served, 'data', HOST)).disconnect();
  await a.engine.stop(groupId);
  await run('flock', ['--wait', '5', lock, 'true']);
});

test('a daemon whose control process died before it had connected serves for the next one', async () => {
  const { a } = both();
  const { groupId } = await servedGroup(a);
  await a.engine.stop(groupId);
  const paths = daemonPaths(join(a.directory, 'run'), groupId);
  await rm(paths.log);
  launchDaemon(paths);
  await waitFor('a daemon that waits', () => readFile(paths.log, 'utf8').then(isAwaiting));
  await a.restartControl();

  const served = await a.engine.serve(groupId, { hosts: [HOST] });

  await (await a.attach(served, 'data', HOST)).disconnect();
  await assert.rejects(run('flock', ['--nonblock', paths.lock, 'true']));
});

const isAwaiting = (log: string): boolean => log.includes('waiting for connection');

test('a daemon that hangs is told from one that ended, and can be stopped', async () => {
  const { a } = both();
  const { groupId, served } = await servedGroup(a);
  const host = await a.attach(served, 'data', HOST);
  await host.write(0, Buffer.alloc(BLOCK_BYTES, 5));
  await host.flush();
  const { pid } = await a.engine.inspect(groupId);
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGSTOP');

  const hung = await a.engine.inspect(groupId);
  await assert.rejects(a.engine.fence(groupId), Failure);
  await a.engine.stop(groupId);

  assert.deepEqual([hung.dataPlane, hung.pid], ['hung', pid]);
  assert.equal((await a.engine.inspect(groupId)).dataPlane, 'stopped');
  await host.ended;
  const again = await a.engine.serve(groupId, { hosts: [HOST] });
  assert.deepEqual(await asHost(a, again, 'data', (volume) => tagsOf(volume, [0])), [5]);
});

test('a port that another program holds is left to it', async () => {
  const { a } = both();
  const { groupId, served } = await servedGroup(a);
  await a.engine.stop(groupId);
  const holder = await listenOn(served.host, served.port);
  try {
    const again = await a.engine.serve(groupId, { hosts: [HOST] });

    assert.notEqual(again.port, served.port);
    await (await a.attach(again, 'data', HOST)).disconnect();
  } finally {
    await holder();
  }
});

test('a run directory whose sockets could not be bound is refused by its length', () => {
  checkRunDirectory('/run/baton');
  assert.throws(() => checkRunDirectory(`/${'long'.repeat(20)}`), /at most \d+ bytes/);
});

/** @returns ends the listener */
async function listenOn(host: string, port: number): Promise<() => Promise<void>> {
  const server = createServer();
  // The kernel lets go of a port some milliseconds after its process.
  await waitFor(`port ${port}`, async () => {
    server.listen(port, host);
    return Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false);
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}
