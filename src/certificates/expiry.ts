import 'reflect-metadata';
import {
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from '@peculiar/x509';
import { issueLeaf } from './authority.ts';
import type { Credential } from './authority.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** A leaf with fewer days left is replaced. */
export const RENEW_BELOW_DAYS = 90;

/** @returns whole days until the certificate ends; 0 on its last day, negative afterwards */
export function daysLeft(certificatePem: string, now: Date): number {
  const { notAfter } = new X509Certificate(certificatePem);
  return Math.floor((notAfter.getTime() - now.getTime()) / DAY_MS);
}

export function isRenewalDue(certificatePem: string, now: Date): boolean {
  return daysLeft(certificatePem, now) < RENEW_BELOW_DAYS;
}

/**
 * Replaces a leaf that has fewer than 90 days left by one with the same subject, names and usages,
 * a new key and 2 more years. The old one stays valid until it ends.
 *
 * @returns the new leaf; undefined while none is due
 */
export async function renewIfDue(
  authority: Credential,
  certificatePem: string,
  now: Date,
): Promise<Credential | undefined> {
  if (!isRenewalDue(certificatePem, now)) return undefined;
  const old = new X509Certificate(certificatePem);
  const names = old.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const valuesOf = (type: string): readonly string[] =>
    names.filter((name) => name.type === type).map(({ value }) => value);
  return issueLeaf(
    authority,
    {
      subject: old.subjectName.toJSON(),
      usages: old.getExtension(ExtendedKeyUsageExtension)?.usages.map(String) ?? [],
      dnsNames: valuesOf('dns'),
      ipAddresses: valuesOf('ip'),
    },
    now,
  );
}
