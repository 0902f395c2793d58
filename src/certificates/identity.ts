import { X509Certificate } from 'node:crypto';

/** @returns SHA-256 over the certificate, 64 lower-case hexadecimal digits */
export function fingerprint(certificatePem: string): string {
  return new X509Certificate(certificatePem).fingerprint256.replaceAll(':', '').toLowerCase();
}

/**
 * The subject as a daemon's authorization list compares it: `O=Baton host,CN=app1`. QEMU takes it
 * from GnuTLS in the order in which the certificate holds it, the opposite of what most tools print.
 * Right for certificates that were issued here, whose names need no escapes.
 */
export function distinguishedName(certificatePem: string): string {
  return new X509Certificate(certificatePem).subject.split('\n').join(',');
}

/** The subject of a host's certificate in an authorization list, from the host's name alone. */
export function hostDistinguishedName(hostName: string): string {
  return `O=Baton host,CN=${hostName}`;
}

/** The subject of a site's certificate in an authorization list, from the site's id alone. */
export function siteDistinguishedName(siteId: string): string {
  return `O=Baton site,CN=${siteId}`;
}
