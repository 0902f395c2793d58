import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { BridgeRefused } from '../../src/attach/bridge-refusal.ts';
import { endBridge } from '../../src/attach/bridge-socket.ts';
import { bridgeVolume, bridgeVolumeDetached } from '../../src/attach/bridge-volume.ts';
import type { BridgeRequest } from '../../src/attach/bridge-volume.ts';
import {
  createAuthority,
  issueHostCertificate,
  issueSiteCertificate,
} from '../../src/certificates/authority.ts';
import { distinguishedName } from '../../src/certificates/identity.ts';
import { writeTlsDirectory } from '../../src/certificates/tls-directory.ts';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import {
  freePort,
  sparseFile,
  startStorageDaemon,
  temporaryDirectory,
  waitFor,
} from '../support/nbd-servers.ts';

const run = promisify(execFile);
const host = '127.0.1.21';
const MIB = 1024 * 1024;
const authority = await createAuthority({ siteId: 'id-paris', siteName: 'Paris' });
const site = await issueSiteCertificate(authority, {
  siteId: 'id-paris',
  names: ['paris'],
  addresses: [host],
});
const app = await issueHostCertificate(authority, { hostName: 'app1' });
const stranger = await issueHostCertificate(authority, { hostName: 'app2' });

/** A site with one volume, mapped to the host app1, and what app1 needs to bridge it. */
async function mappedVolume({ writable = true } = {}) {
  const bridges: string[] = [];
  // Before the directory goes, since the daemon's pid stands in it; also when the test fails.
  after(() => Promise.all(bridges.map(endBridge)));
  const directory = await temporaryDirectory();
  const socketPath = join(directory, 'local', 'orders.sock');
  bridges.push(socketPath);
  const file = await sparseFile(join(directory, 'orders.raw'), 32 * MIB);
  const [server, credentials, local] = ['server', 'host', 'local'].map((d) => join(directory, d));
  assert.ok(server && credentials && local);
  const trusted = [authority.certificate];
  await writeTlsDirectory(server, { trusted, server: site });
  await writeTlsDirectory(credentials, { trusted, client: app });
  await mkdir(local);
  const port = await freePort(host);
  const rules = [{ match: distinguishedName(app.certificate), policy: 'allow', format: 'exact' }];
  const list = { 'qom-type': 'authz-list', id: 'az0', policy: 'deny', rules };
  const serve = () =>
    startStorageDaemon(directory, [
      ['--object', `tls-creds-x509,id=t0,dir=${server},endpoint=server,verify-peer=on`],
      ['--object', JSON.stringify(list)],
      [
        '--nbd-server',
        `addr.type=inet,addr.host=${host},addr.port=${port},tls-creds=t0,tls-authz=az0,max-connections=0`,
      ],
      ['--blockdev', `file,node-name=n0,filename=${file},read-only=${writable ? 'off' : 'on'}`],
      ['--export', `nbd,id=e0,node-name=n0,name=orders,writable=${writable ? 'on' : 'off'}`],
    ]);
  const request: BridgeRequest = {
    address: { host, port },
    exportName: 'orders',
    tlsName: 'id-paris',
    credentialsDirectory: credentials,
    socketPath,
    reconnectDelaySeconds: 10,
  };
  const tls = {
    serverName: 'paris',
    trusted: authority.certificate,
    certificate: app.certificate,
    privateKey: app.privateKey,
  };
  const connectDirectly = () => connectNbd({ address: { host, port }, exportName: 'orders', tls });
  return { directory, local, credentials, request, serve, connectDirectly };
}

function connectThrough(socketPath: string, exportName = 'orders') {
  return connectNbd({ address: { socketPath }, exportName });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('what a program writes to the socket is on the volume, and closing leaves nothing', async () => {
  const { request, serve, connectDirectly, local } = await mappedVolume();
  await serve();

  const bridge = await bridgeVolume(request);
  const named = await connectThrough(request.socketPath);
  const unnamed = await connectThrough(request.socketPath, '');
  await named.write(MIB, Buffer.alloc(4096, 7));
  assert.deepEqual(await unnamed.read(MIB, 4096), Buffer.alloc(4096, 7));
  assert.equal((await stat(request.socketPath)).mode & 0o777, 0o600);
  await Promise.all([named.disconnect(), unnamed.disconnect()]);
  await bridge.close();
  await bridge.close();

  const direct = await connectDirectly();
  assert.deepEqual(await direct.read(MIB, 4096), Buffer.alloc(4096, 7));
  await direct.disconnect();
  assert.deepEqual(await bridge.ended, { closed: true, said: '' });
  assert.deepEqual(await readdir(local), []);
  assert.equal(isAlive(bridge.pid), false);
});

test('fio and nbdcopy work through the bridge with the URI that it tells', async () => {
  const { request, serve, directory } = await mappedVolume();
  await serve();
  const bridge = await bridgeVolume(request);

  await run(
    'fio',
    [
      ...['--name=host', '--ioengine=nbd', `--uri=${bridge.uri}`, '--rw=randwrite', '--bs=4k'],
      ...['--size=16M', '--iodepth=16', '--verify=crc32c', '--verify_fatal=1'],
    ],
    { cwd: directory },
  );
  const copy = join(directory, 'copy.raw');
  await run('nbdcopy', [bridge.uri, copy]);

  await bridge.close();
  await run('cmp', [copy, join(directory, 'orders.raw')]);
});

test('requests wait for a server that comes back', async () => {
  const { request, serve } = await mappedVolume();
  const daemon = await serve();
  const bridge = await bridgeVolume(request);
  const nbd = await connectThrough(request.socketPath);
  await nbd.write(0, Buffer.alloc(4096, 1));

  await daemon.end('SIGKILL');
  const waiting = Promise.all([1, 2, 3].map((i) => nbd.write(i * 4096, Buffer.alloc(4096, 2))));
  await serve();

  await waiting;
  assert.deepEqual(await nbd.read(4096, 4096), Buffer.alloc(4096, 2));
  await nbd.disconnect();
  await bridge.close();
});

test('requests fail when the server stays away longer than they may wait', async () => {
  const { request, serve } = await mappedVolume();
  const daemon = await serve();
  const bridge = await bridgeVolume({ ...request, reconnectDelaySeconds: 1 });
  const nbd = await connectThrough(request.socketPath);

  await daemon.end('SIGKILL');

  await assert.rejects(nbd.write(0, Buffer.alloc(4096)), /EIO/);
  await nbd.disconnect();
  await bridge.close();
});

test('a bridge whose daemon dies says so and leaves nothing', async () => {
  const { request, serve, local } = await mappedVolume();
  await serve();
  const bridge = await bridgeVolume(request);

  process.kill(bridge.pid, 'SIGKILL');

  assert.equal((await bridge.ended).closed, false);
  assert.deepEqual(await readdir(local), []);
});

test('each refusal says what was wrong, and leaves nothing', async () => {
  const { request, serve, local, directory } = await mappedVolume();
  const refused = async (
    change: Partial<BridgeRequest>,
    code: BridgeRefused['code'],
    sentence: RegExp,
  ): Promise<void> => {
    await assert.rejects(bridgeVolume({ ...request, ...change }), (reason) => {
      assert.ok(reason instanceof BridgeRefused, String(reason));
      assert.equal(reason.code, code);
      assert.match(reason.message, sentence);
      return true;
    });
    assert.deepEqual(await readdir(local), []);
  };
  await refused({}, 'server_unreachable', /^No server answers at 127\.0\.1\.21:\d+\. Check/);
  await serve();
  await refused({ exportName: 'ordres' }, 'no_such_export', /does not serve 'ordres'/);
  await refused({ tlsName: 'id-lyon' }, 'server_not_trusted', /not prove that it is 'id-lyon'/);
  await refused({ credentialsDirectory: '/nonexistent' }, 'no_credentials', /client-cert\.pem/);
  await refused(
    { socketPath: join(directory, 'orders.raw') },
    'socket_path_unusable',
    /is not a socket/,
  );
  await refused({ socketPath: '/nonexistent/s' }, 'socket_path_unusable', /directory exists/);
  await refused(
    { socketPath: join(local, 'x'.repeat(80)) },
    'socket_path_unusable',
    /is too long: at most \d+ bytes/,
  );
  const other = join(directory, 'other');
  await writeTlsDirectory(other, { trusted: [authority.certificate], client: stranger });
  await refused(
    { credentialsDirectory: other },
    'certificate_refused',
    /does not admit 'O=Baton host,CN=app2'/,
  );
  const past = new Date('2020-01-01T00:00:00Z');
  const old = await issueHostCertificate(authority, { hostName: 'app1' }, past);
  await writeTlsDirectory(other, { trusted: [authority.certificate], client: old });
  await refused(
    { credentialsDirectory: other },
    'certificate_expired',
    /ended at 2021-12-31T00:00/,
  );
});

test('a volume that is served read-only is bridged read-only when asked for', async () => {
  const { request, serve } = await mappedVolume({ writable: false });
  await serve();
  await assert.rejects(bridgeVolume(request), /serves 'orders' read-only/);

  const bridge = await bridgeVolume({ ...request, readOnly: true });

  const nbd = await connectThrough(request.socketPath);
  assert.equal(nbd.info.readOnly, true);
  assert.equal((await nbd.read(0, 4096)).length, 4096);
  await nbd.disconnect();
  await bridge.close();
});

test('a detached bridge outlives its maker, and the loss of its server', async () => {
  const { request, serve, local } = await mappedVolume();
  const daemon = await serve();
  const module = JSON.stringify(join(import.meta.dirname, '../../src/attach/bridge-volume.ts'));
  const maker = `import { bridgeVolumeDetached } from ${module};
    const { pid } = await bridgeVolumeDetached(${JSON.stringify(request)});
    process.stdout.write(String(pid));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', maker], {
    timeout: 10_000,
  });
  const pid = Number(stdout);
  const nbd = await connectThrough(request.socketPath);

  await daemon.end('SIGKILL');
  const waiting = nbd.write(0, Buffer.alloc(4096, 9));
  await serve();
  await waiting;

  await assert.rejects(
    bridgeVolumeDetached(request),
    (reason) => reason instanceof BridgeRefused && reason.code === 'socket_in_use',
  );
  await nbd.disconnect();
  assert.ok(isAlive(pid));
  assert.equal(await endBridge(request.socketPath), true);
  assert.equal(await endBridge(request.socketPath), false);
  assert.deepEqual(await readdir(local), []);
  await waitFor('the daemon to be gone', () => !isAlive(pid));
});

test('what a killed bridge left behind does not stand in the way', async () => {
  const { request, serve } = await mappedVolume();
  await serve();
  const { pid, pidFile } = await bridgeVolumeDetached(request);
  process.kill(pid, 'SIGKILL');
  await waitFor('the daemon to be gone', async () => {
    const refused = connectThrough(request.socketPath).then(
      (nbd) => nbd.disconnect().then(() => false),
      () => true,
    );
    return refused;
  });
  // The pid may be another program's by now.
  await writeFile(pidFile, `${process.pid}\n`);

  const bridge = await bridgeVolume(request);

  await bridge.close();
});
