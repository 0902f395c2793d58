/** Whether a drill's report is what a site signed. Nobody is asked: all that it takes is in the file. */
import { X509Certificate, createHash, verify } from 'node:crypto';
import { canonicalText } from '../domain/drill.ts';
import type { SignedDrill } from '../domain/drill.ts';
import { reportInPage } from '../domain/drill-page.ts';

export interface Verified {
  readonly drill: SignedDrill;
  /** SHA-256 of the authority that vouches for the site: compare it with the one that you know. */
  readonly authorityFingerprint: string;
  readonly signedBy: string;
}

/** It is not what was signed, or not signed by whom it says. */
export class NotGenuine extends Error {
  override readonly name = 'NotGenuine';
}

/**
 * @param text a report as JSON, or the page that carries one
 * @throws NotGenuine with what does not fit
 */
export function verifyDrill(text: string): Verified {
  const drill = parse(text);
  const { report, hash, signature, certificate, authority } = drill;
  const canonical = canonicalText(report);
  if (createHash('sha256').update(canonical).digest('hex') !== hash) {
    throw new NotGenuine('the report was changed: its hash is another one');
  }
  const leaf = new X509Certificate(certificate);
  const root = new X509Certificate(authority);
  if (!verify('sha256', Buffer.from(canonical), leaf.publicKey, Buffer.from(signature, 'base64'))) {
    throw new NotGenuine('the signature does not fit the report and the certificate');
  }
  if (!leaf.checkIssued(root) || !leaf.verify(root.publicKey)) {
    throw new NotGenuine('the certificate is not from the authority in the file');
  }
  // All of it: hosts have certificates of the same authority, and names of their choice in them.
  if (!root.ca || leaf.subject !== `O=Baton site\nCN=${report.site.id}`) {
    throw new NotGenuine(`the certificate is not that of site ${report.site.name}`);
  }
  return { drill, authorityFingerprint: root.fingerprint256, signedBy: report.site.name };
}

/**
 * Of reports in their order: each names the one before it.
 *
 * @throws NotGenuine where one is missing or another
 */
export function verifyChain(all: readonly SignedDrill[]): void {
  for (const [index, { report }] of all.entries()) {
    const before = all[index - 1];
    if (before === undefined || report.previous?.hash === before.hash) continue;
    throw new NotGenuine(
      `drill ${report.drillId} does not follow drill ${before.report.drillId}: ` +
        'one is missing between them, or they are not in their order',
    );
  }
}

function parse(text: string): SignedDrill {
  const json = text.trimStart().startsWith('<') ? reportInPage(text) : text;
  if (json === undefined) throw new NotGenuine('there is no report in this page');
  try {
    const drill = JSON.parse(json) as SignedDrill;
    const parts = [drill.hash, drill.signature, drill.certificate, drill.authority];
    const isWhole = parts.every((part) => typeof part === 'string');
    if (isWhole && drill.report.format === 'baton-drill-1') return drill;
  } catch (cause) {
    throw new NotGenuine('this is no report of a drill', { cause });
  }
  throw new NotGenuine('this is no report of a drill');
}
