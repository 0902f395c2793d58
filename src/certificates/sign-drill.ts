import { createHash, sign } from 'node:crypto';
import { canonicalText } from '../domain/drill.ts';
import type { DrillReport, SignedDrill } from '../domain/drill.ts';
import type { Credential } from './authority.ts';

/** The report under the site's key, with the certificates that say whose key that is. */
export function signDrill(
  report: DrillReport,
  { certificate, privateKey }: Credential,
  authority: string,
): SignedDrill {
  const text = canonicalText(report);
  return {
    report,
    hash: createHash('sha256').update(text).digest('hex'),
    signature: sign('sha256', Buffer.from(text), privateKey).toString('base64'),
    certificate,
    authority,
  };
}
