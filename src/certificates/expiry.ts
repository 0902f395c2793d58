import { X509Certificate } from 'node:crypto';

const DAY_MS = 24 * 60 * 60 * 1000;
/** A leaf with fewer days left is replaced. */
const RENEW_BELOW_DAYS = 90;

/** @returns whole days until the certificate ends; 0 on its last day, negative afterwards */
export function daysLeft(certificatePem: string, now: Date): number {
  const { validToDate } = new X509Certificate(certificatePem);
  return Math.floor((validToDate.getTime() - now.getTime()) / DAY_MS);
}

export function isRenewalDue(certificatePem: string, now: Date): boolean {
  return daysLeft(certificatePem, now) < RENEW_BELOW_DAYS;
}
