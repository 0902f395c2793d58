import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { Extension, JsonName } from '@peculiar/x509';
import { checkName } from '../domain/names.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const AUTHORITY_DAYS = 20 * 365;
/** Below the 825 days beyond which some TLS clients refuse a server's certificate. */
const LEAF_DAYS = 2 * 365;
/** A peer or host whose clock is behind by less than this accepts a certificate made just now. */
const CLOCK_SKEW_MS = DAY_MS;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A certificate and its private key, both PEM. The key is PKCS#8, not encrypted. */
export interface Credential {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface LeafContent {
  readonly subject: JsonName;
  readonly usages: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/**
 * Makes a site's own certificate authority, valid for 20 years: `O=Baton authority,OU=<site
 * name>,CN=<site id>`. Each call makes another one.
 */
export async function createAuthority(
  { siteId, siteName }: { readonly siteId: string; readonly siteName: string },
  now = new Date(),
): Promise<Credential> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerialNumber(),
    name: [
      { O: ['Baton authority'] },
      { OU: [siteName.slice(0, 64)] },
      { CN: [checkName(siteId, 'siteId')] },
    ],
    ...validity(now, AUTHORITY_DAYS),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), privateKey: await privateKeyPem(keys) };
}

/**
 * Issues the certificate that a site serves with and shows to its peers, valid for 2 years:
 * `O=Baton site,CN=<site id>`, for the site's id and the given names and addresses.
 *
 * @throws Refusal `invalid` — see `issueHostCertificate`
 */
export function issueSiteCertificate(
  authority: Credential,
  {
    siteId,
    names,
    addresses,
  }: {
    readonly siteId: string;
    readonly names: readonly string[];
    readonly addresses: readonly string[];
  },
  now = new Date(),
): Promise<Credential> {
  return issueLeaf(
    authority,
    {
      subject: [{ O: ['Baton site'] }, { CN: [checkName(siteId, 'siteId')] }],
      usages: [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth],
      dnsNames: [...new Set([siteId, ...names])],
      ipAddresses: [...new Set(addresses)],
    },
    now,
  );
}

/**
 * Issues the certificate that a host attaches with, valid for 2 years: `O=Baton host,CN=<host
 * name>`.
 *
 * A daemon compares the whole subject with its authorization list as text, and GnuTLS escapes some
 * characters in that text: so the name is from the narrow alphabet of all names, at most 64 long.
 *
 * @throws Refusal `invalid` — the name has other characters
 */
export function issueHostCertificate(
  authority: Credential,
  { hostName }: { readonly hostName: string },
  now = new Date(),
): Promise<Credential> {
  return issueLeaf(
    authority,
    {
      subject: [{ O: ['Baton host'] }, { CN: [checkName(hostName, 'hostName')] }],
      usages: [ExtendedKeyUsage.clientAuth],
      dnsNames: [],
      ipAddresses: [],
    },
    now,
  );
}

/** Issues a leaf with a new key and serial number. */
export async function issueLeaf(
  authority: Credential,
  { subject, usages, dnsNames, ipAddresses }: LeafContent,
  now: Date,
): Promise<Credential> {
  const issuer = new X509Certificate(authority.certificate);
  const keys = await generateKeys();
  const alternatives = [
    ...dnsNames.map((value) => ({ type: 'dns', value }) as const),
    ...ipAddresses.map((value) => ({ type: 'ip', value }) as const),
  ];
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    // Not critical: GnuTLS as QEMU uses it wants key encipherment too of a critical one, which
    // an elliptic curve key cannot do.
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, false),
    new ExtendedKeyUsageExtension([...usages], false),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
    await AuthorityKeyIdentifierExtension.create(issuer),
  ];
  if (alternatives.length > 0) extensions.push(new SubjectAlternativeNameExtension(alternatives));
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    issuer: issuer.subjectName,
    subject,
    ...validity(now, LEAF_DAYS),
    publicKey: keys.publicKey,
    signingKey: createPrivateKey(authority.privateKey).toCryptoKey(algorithm, false, ['sign']),
    signingAlgorithm: algorithm,
    extensions,
  });
  return { certificate: pem(certificate), privateKey: await privateKeyPem(keys) };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function privateKeyPem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return `${PemConverter.encode(bytes, 'PRIVATE KEY')}\n`;
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

function validity(now: Date, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  const at = now.getTime();
  return { notBefore: new Date(at - CLOCK_SKEW_MS), notAfter: new Date(at + days * DAY_MS) };
}

/** 127 random bits: positive and never zero, as X.509 wants it. */
function newSerialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
