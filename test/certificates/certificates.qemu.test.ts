import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
  freePort,
  startStorageDaemon,
  temporaryDirectory,
  waitFor,
} from '../support/nbd-servers.ts';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import { NbdRefused } from '../../src/engines/nbd/errors.ts';
import type { NbdTls } from '../../src/engines/nbd/target.ts';
import {
  createAuthority,
  issueHostCertificate,
  issueSiteCertificate,
} from '../../src/certificates/authority.ts';
import type { Credential } from '../../src/certificates/authority.ts';
import { distinguishedName } from '../../src/certificates/identity.ts';
import { writeTlsDirectory } from '../../src/certificates/tls-directory.ts';
import type { TlsFiles } from '../../src/certificates/tls-directory.ts';

const run = promisify(execFile);
const address = '127.0.1.21';
const paris = await createAuthority({ siteId: 'id-paris', siteName: 'Paris' });
const lyon = await createAuthority({ siteId: 'id-lyon', siteName: 'Lyon' });
const parisSite = await issueSiteCertificate(paris, {
  siteId: 'id-paris',
  names: ['paris', 'localhost'],
  addresses: [address],
});
const lyonSite = await issueSiteCertificate(lyon, {
  siteId: 'id-lyon',
  names: ['lyon'],
  addresses: ['127.0.1.22'],
});
const app = await issueHostCertificate(paris, { hostName: 'app_1.x-y' });
const stranger = await issueHostCertificate(paris, { hostName: 'app2' });

/** A daemon of that site which admits only these subjects. */
async function daemon(files: TlsFiles, allowed: readonly Credential[], options = '') {
  const directory = await temporaryDirectory();
  const tls = join(directory, 'tls');
  await writeTlsDirectory(tls, files);
  const port = await freePort(address);
  const rules = allowed.map(({ certificate }) => ({
    match: distinguishedName(certificate),
    policy: 'allow',
    format: 'exact',
  }));
  const list = { 'qom-type': 'authz-list', id: 'az0', policy: 'deny', rules };
  const process = await startStorageDaemon(directory, [
    ['--object', `tls-creds-x509,id=t0,dir=${tls},endpoint=server,verify-peer=on${options}`],
    ['--object', JSON.stringify(list)],
    '--nbd-server',
    `addr.type=inet,addr.host=${address},addr.port=${port},tls-creds=t0,tls-authz=az0`,
    ['--blockdev', 'null-co,node-name=n0,size=1048576,read-zeroes=on'],
    ['--export', 'nbd,id=e0,node-name=n0,name=orders,writable=on'],
  ]);
  return { directory, port, process };
}

function connectAs(port: number, who: Credential, trusted = paris, serverName = 'id-paris') {
  const tls: NbdTls = {
    serverName,
    trusted: trusted.certificate,
    certificate: who.certificate,
    privateKey: who.privateKey,
  };
  return connectNbd({ address: { host: address, port }, exportName: 'orders', tls });
}

function refused(code: NbdRefused['code']) {
  return (reason: unknown) => reason instanceof NbdRefused && reason.code === code;
}

const both = { trusted: [paris.certificate, lyon.certificate], server: parisSite };

test('a daemon admits the hosts and peers of its list, by name', async () => {
  const { port, process } = await daemon(both, [app, lyonSite]);

  await (await connectAs(port, app)).disconnect();
  await (await connectAs(port, lyonSite)).disconnect();

  await assert.rejects(connectAs(port, stranger), refused('client_refused'));
  await waitFor('the daemon says whom it denied', () =>
    process.said().includes('authz check for O=Baton host,CN=app2 is denied'),
  );
});

test('a host certificate of an unknown authority is refused', async () => {
  const other = await createAuthority({ siteId: 'id-paris', siteName: 'Paris' });
  const forged = await issueHostCertificate(other, { hostName: 'app_1.x-y' });
  const { port } = await daemon(both, [app]);

  await assert.rejects(connectAs(port, forged), refused('client_refused'));
});

test('a daemon without TLS, a client without TLS, and a wrong server name are told apart', async () => {
  const { port } = await daemon(both, [app]);
  const target = { address: { host: address, port }, exportName: 'orders' };

  await assert.rejects(connectNbd(target), refused('tls_required'));
  await assert.rejects(connectAs(port, app, paris, 'id-lyon'), refused('server_not_trusted'));
  await assert.rejects(connectAs(port, app, lyon), refused('server_not_trusted'));
  await (await connectAs(port, app, paris, address)).disconnect();
  await (await connectAs(port, app, paris, 'paris')).disconnect();
});

test('a site that trusts only its peer starts with the sanity check off', async () => {
  const files = { trusted: [lyon.certificate], server: parisSite };
  await assert.rejects(daemon(files, [lyonSite]), /failed validation against/);

  const { port } = await daemon(files, [lyonSite], ',sanity-check=off');

  await (await connectAs(port, lyonSite)).disconnect();
  await assert.rejects(connectAs(port, app), refused('client_refused'));
});

test('a daemon reads from its peer, each with its own certificate', async () => {
  const source = await daemon(both, [lyonSite]);
  const directory = await temporaryDirectory();
  const tls = join(directory, 'tls');
  await writeTlsDirectory(tls, { trusted: [paris.certificate], client: lyonSite });
  const socketPath = join(directory, 'nbd.sock');
  const node = {
    driver: 'nbd',
    'node-name': 'n0',
    server: { type: 'inet', host: address, port: `${source.port}` },
    export: 'orders',
    'tls-creds': 't0',
    'tls-hostname': 'id-paris',
  };
  await startStorageDaemon(directory, [
    ['--object', `tls-creds-x509,id=t0,dir=${tls},endpoint=client,sanity-check=off`],
    ['--blockdev', JSON.stringify(node)],
    ['--nbd-server', `addr.type=unix,addr.path=${socketPath}`],
    ['--export', 'nbd,id=e0,node-name=n0,name=relayed'],
  ]);

  const nbd = await connectNbd({ address: { socketPath }, exportName: 'relayed' });

  assert.deepEqual(await nbd.read(0, 4096), Buffer.alloc(4096));
  await nbd.disconnect();
});

test('libnbd attaches with a URI and a directory, and checks the address in it', async () => {
  const { port, directory } = await daemon(both, [app]);
  const tls = join(directory, 'host');
  await writeTlsDirectory(tls, { trusted: [paris.certificate], client: app });
  const uri = `nbds://${address}:${port}/orders?tls-certificates=${tls}`;

  const { stdout } = await run('nbdinfo', ['--size', uri]);
  assert.equal(stdout.trim(), '1048576');

  await writeTlsDirectory(tls, { trusted: [paris.certificate], client: stranger });
  await assert.rejects(run('nbdinfo', [uri]));
  const elsewhere = await daemon(
    { trusted: both.trusted, server: lyonSite },
    [app],
    ',sanity-check=off',
  );
  await writeTlsDirectory(tls, { trusted: [lyon.certificate], client: app });
  await assert.rejects(
    run('nbdinfo', [`nbds://${address}:${elsewhere.port}/orders?tls-certificates=${tls}`]),
    /certificate verification/,
  );
});
