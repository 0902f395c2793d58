import { X509Certificate } from 'node:crypto';
import type { SiteId } from '../domain/ids.ts';
import type { Peer } from '../domain/site.ts';

/** The name that a site's certificate carries, and nobody else's. */
const siteSubject = /^O=Baton site\nCN=([0-9a-f-]{36})$/;

/** The site that a certificate speaks for, if anybody pinned vouches for it. */
export function claimedSite(certificate: X509Certificate): SiteId | undefined {
  return siteSubject.exec(certificate.subject)?.[1] as SiteId | undefined;
}

/**
 * Whether the certificate is the peer's own: issued by the authority pinned at pairing, in its
 * term, in the peer's name. TLS has shown already that the other side has its key.
 */
export function isPeersCertificate(certificate: X509Certificate, peer: Peer, now: Date): boolean {
  const authority = new X509Certificate(peer.authorityPem);
  return (
    claimedSite(certificate) === peer.id &&
    certificate.checkIssued(authority) &&
    certificate.verify(authority.publicKey) &&
    now >= new Date(certificate.validFrom) &&
    now <= new Date(certificate.validTo)
  );
}

/** SHA-256 of the certificate, hex without colons. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}
