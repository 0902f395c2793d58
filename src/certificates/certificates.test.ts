import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { createAuthority, issueHostCertificate, issueSiteCertificate } from './authority.ts';
import type { Credential } from './authority.ts';
import { daysLeft, isRenewalDue } from './expiry.ts';
import {
  distinguishedName,
  fingerprint,
  hostDistinguishedName,
  siteDistinguishedName,
} from './identity.ts';
import { writeTlsDirectory } from './tls-directory.ts';

const siteId = '6f1c2f0e-7d7e-4a43-9a55-0d6e6a3a1f11';
const paris = await createAuthority({ siteId, siteName: 'Paris, "La Défense"' });
const lyon = await createAuthority({ siteId: 'site-lyon', siteName: 'lyon' });
const names = { siteId, names: ['paris', 'localhost'], addresses: ['127.0.0.1', '::1'] };

test("a site's certificate is the site's, for its names and addresses", async () => {
  const { certificate } = await issueSiteCertificate(paris, names);
  const issued = new X509Certificate(certificate);

  assert.equal(distinguishedName(certificate), `O=Baton site,CN=${siteId}`);
  assert.equal(distinguishedName(certificate), siteDistinguishedName(siteId));
  assert.ok(issued.verify(new X509Certificate(paris.certificate).publicKey));
  assert.equal(issued.checkHost(siteId), siteId);
  assert.equal(issued.checkHost('paris'), 'paris');
  assert.equal(issued.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(issued.checkHost('lyon'), undefined);
  assert.equal(issued.ca, false);
  assert.equal(new X509Certificate(paris.certificate).ca, true);
});

test('certificates are valid a day ago already, a site for 2 years, an authority for 20', async () => {
  const now = new Date('2030-05-01T12:00:00Z');
  const authority = await createAuthority({ siteId, siteName: 'paris' }, now);
  const { certificate } = await issueSiteCertificate(authority, names, now);

  assert.equal(
    new X509Certificate(certificate).validFromDate.getTime(),
    now.getTime() - 86_400_000,
  );
  assert.equal(daysLeft(certificate, now), 730);
  assert.equal(daysLeft(authority.certificate, now), 7300);
  assert.equal(daysLeft(certificate, new Date('2032-05-01T12:00:00Z')), -1);
});

test('serial numbers and fingerprints differ between two certificates of one name', async () => {
  const first = await issueHostCertificate(paris, { hostName: 'app1' });
  const second = await issueHostCertificate(paris, { hostName: 'app1' });

  assert.equal(distinguishedName(first.certificate), hostDistinguishedName('app1'));
  assert.match(fingerprint(first.certificate), /^[0-9a-f]{64}$/);
  assert.notEqual(fingerprint(first.certificate), fingerprint(second.certificate));
  const serials = [first, second].map((c) => new X509Certificate(c.certificate).serialNumber);
  assert.notEqual(serials[0], serials[1]);
});

test('a name that an authorization list could misread is refused', async () => {
  for (const hostName of ['app1,O=Baton site', 'app 1', 'é', '', 'a'.repeat(65), 'app1\n']) {
    await assert.rejects(
      async () => issueHostCertificate(paris, { hostName }),
      (reason) => (reason as { name: string }).name === 'Refusal',
    );
  }
});

test('a leaf is due to be renewed in its last 90 days', async () => {
  const now = new Date('2030-05-01T12:00:00Z');
  const { certificate } = await issueSiteCertificate(paris, names, now);
  const afterDays = (days: number): Date => new Date(now.getTime() + days * 86_400_000);

  assert.equal(isRenewalDue(certificate, afterDays(640)), false);
  assert.equal(isRenewalDue(certificate, afterDays(641)), true);
});

test("Node's TLS accepts a site and a host, and refuses another site's host", async () => {
  const server = await issueSiteCertificate(paris, names);
  const host = await issueHostCertificate(paris, { hostName: 'app1' });
  const stranger = await issueHostCertificate(lyon, { hostName: 'app1' });

  assert.equal(await peerSeenBy(server, host), 'app1');
  await assert.rejects(peerSeenBy(server, stranger));
  await assert.rejects(
    peerSeenBy(host, host),
    /unsuitable certificate purpose|unsupported certificate/,
  );
});

/** @returns the common name that the server sees of the client, once both accepted the other */
async function peerSeenBy(server: Credential, client: Credential): Promise<string> {
  const listener = createServer({
    cert: server.certificate,
    key: server.privateKey,
    ca: paris.certificate,
    requestCert: true,
    rejectUnauthorized: true,
  });
  const seen = Promise.withResolvers<string>();
  const trusted = Promise.withResolvers<void>();
  listener.on('secureConnection', (socket) => {
    seen.resolve(String(socket.getPeerCertificate().subject.CN));
    socket.end();
  });
  listener.on('tlsClientError', seen.reject);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const own = { cert: client.certificate, key: client.privateKey };
  const socket = connect({ port, servername: siteId, ca: paris.certificate, ...own });
  socket.on('secureConnect', trusted.resolve);
  socket.on('error', trusted.reject);
  try {
    const [name] = await Promise.all([seen.promise, trusted.promise]);
    return name;
  } finally {
    socket.destroy();
    listener.close();
  }
}

test('a TLS directory is private, whole, and written again only where it differs', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'baton-test-'));
  t.after(() => rm(parent, { recursive: true }));
  const directory = join(parent, 'tls');
  const server = await issueSiteCertificate(paris, names);
  const files = { trusted: [paris.certificate, lyon.certificate], server, client: server };

  await writeTlsDirectory(directory, files);
  const before = await stat(join(directory, 'server-key.pem'));
  await writeFile(join(directory, 'client-key.pem'), 'torn', { mode: 0o644 });
  await writeTlsDirectory(directory, files);

  assert.deepEqual((await readdir(directory)).toSorted(), [
    'ca-cert.pem',
    'client-cert.pem',
    'client-key.pem',
    'dh-params.pem',
    'server-cert.pem',
    'server-key.pem',
  ]);
  assert.equal((await stat(directory)).mode & 0o777, 0o700);
  for (const name of await readdir(directory)) {
    assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600);
  }
  assert.equal((await stat(join(directory, 'server-key.pem'))).ino, before.ino);
  assert.equal(await readFile(join(directory, 'client-key.pem'), 'utf8'), server.privateKey);
  const authorities = await readFile(join(directory, 'ca-cert.pem'), 'utf8');
  assert.equal(authorities, paris.certificate + lyon.certificate);
});
