/**
 * A site's certificates on disk, below `<data>/pki`:
 *
 *   authority/            made at the first start; vouches for the site and its hosts
 *   site/                 for serving hosts: trusts our authority
 *   peers/<site id>/      for the link to that peer: the same leaf, trusts the peer's authority only
 *
 * What makes certificates is loaded where one is made: a site that has its own starts sooner.
 */
import { X509Certificate } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Credential, issueSiteCertificate } from '../certificates/authority.ts';
import { readAuthority, writeAuthority } from '../certificates/authority-files.ts';
import { isRenewalDue } from '../certificates/expiry.ts';
import { writeTlsDirectory } from '../certificates/tls-directory.ts';
import type { SiteId } from '../domain/ids.ts';
import type { Peer, Site } from '../domain/site.ts';
import type { HostCertificates } from '../ports/host-certificates.ts';

export interface SiteIdentity {
  readonly authorityPem: string;
  readonly leaf: Credential;
  /** The leaf and its authority, for servers that show both. */
  readonly chainPem: string;
  readonly siteDirectory: string;
  /** For operators and clients: `ca-cert.pem` of this site. */
  readonly authorityFile: string;
  readonly peerDirectory: (id: SiteId) => string;
  readonly trust: (peer: Peer) => Promise<void>;
  readonly distrust: (id: SiteId) => Promise<void>;
  readonly hostCertificates: HostCertificates;
}

/** Loads the site's certificates, making or renewing what is missing, ending, or of another address. */
export async function siteIdentity(
  dataDirectory: string,
  site: Site,
  address: string,
  peers: readonly Peer[],
): Promise<SiteIdentity> {
  const pki = join(dataDirectory, 'pki');
  const siteDirectory = join(pki, 'site');
  const peerDirectory = (id: SiteId): string => join(pki, 'peers', id);
  const authority = await keepAuthority(join(pki, 'authority'), site);
  const leaf = await keepLeaf(siteDirectory, authority, site, address);
  const trust = (peer: Peer): Promise<void> =>
    writeTlsDirectory(peerDirectory(peer.id), {
      trusted: [peer.authorityPem],
      server: leaf,
      client: leaf,
    });

  for (const peer of peers) await trust(peer);
  await dropStrangers(join(pki, 'peers'), peers);

  return {
    authorityPem: authority.certificate,
    leaf,
    chainPem: leaf.certificate + authority.certificate,
    siteDirectory,
    authorityFile: join(siteDirectory, 'ca-cert.pem'),
    peerDirectory,
    trust,
    distrust: (id) => rm(peerDirectory(id), { recursive: true, force: true }),
    hostCertificates: {
      issue: async (hostName) => {
        const { issueHostCertificate } = await import('../certificates/authority.ts');
        const { certificate, privateKey } = await issueHostCertificate(authority, { hostName });
        return {
          'ca-cert.pem': authority.certificate,
          'client-cert.pem': certificate,
          'client-key.pem': privateKey,
        };
      },
    },
  };
}

async function keepAuthority(directory: string, { id, name }: Site): Promise<Credential> {
  const kept = await readAuthority(directory);
  if (kept !== undefined) return kept;
  const { createAuthority } = await import('../certificates/authority.ts');
  const made = await createAuthority({ siteId: id, siteName: name });
  await writeAuthority(directory, made);
  return made;
}

async function keepLeaf(
  directory: string,
  authority: Credential,
  { id, name }: Site,
  address: string,
): Promise<Credential> {
  const kept = await readLeaf(directory);
  const leaf =
    kept !== undefined && fits(kept, name, address)
      ? kept
      : await newLeaf(authority, { siteId: id, names: [name, 'localhost'], addresses: [address] });
  await writeTlsDirectory(directory, {
    trusted: [authority.certificate],
    server: leaf,
    client: leaf,
  });
  return leaf;
}

async function newLeaf(
  authority: Credential,
  content: Parameters<typeof issueSiteCertificate>[1],
): Promise<Credential> {
  const { issueSiteCertificate } = await import('../certificates/authority.ts');
  return issueSiteCertificate(authority, content);
}

async function readLeaf(directory: string): Promise<Credential | undefined> {
  try {
    return {
      certificate: await readFile(join(directory, 'server-cert.pem'), 'utf8'),
      privateKey: await readFile(join(directory, 'server-key.pem'), 'utf8'),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function fits(leaf: Credential, name: string, address: string): boolean {
  const certificate = new X509Certificate(leaf.certificate);
  const ours =
    certificate.checkIP(address) !== undefined && certificate.checkHost(name) !== undefined;
  return ours && !isRenewalDue(leaf.certificate, new Date());
}

/** Directories of sites that are no longer peers, left by a crash. */
async function dropStrangers(directory: string, peers: readonly Peer[]): Promise<void> {
  const known = new Set<string>(peers.map((p) => p.id));
  const present = await readdir(directory).catch(() => []);
  for (const id of present) {
    if (!known.has(id)) await rm(join(directory, id), { recursive: true, force: true });
  }
}
