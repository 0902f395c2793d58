import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createAuthority,
  issueHostCertificate,
  issueSiteCertificate,
} from '../../src/certificates/authority.ts';
import type { Credential } from '../../src/certificates/authority.ts';
import { signDrill } from '../../src/certificates/sign-drill.ts';
import { verifyDrill } from '../../src/cli/verify-drill.ts';
import type { DrillReport } from '../../src/domain/drill.ts';

const siteId = '0b7c4a52-9f63-4f0e-8a57-3a1c52f0d8e4';
const authority = await createAuthority({ siteId, siteName: 'Lyon' });
const lyon = await issueSiteCertificate(authority, { siteId, names: [], addresses: [] });
const app1 = await issueHostCertificate(authority, { hostName: 'app1' });

/** A report in the name of a site, under somebody's key. */
function signed(id: string, signer: Credential): string {
  const report = { format: 'baton-drill-1', site: { id, name: 'Lyon' } } as DrillReport;
  return JSON.stringify(signDrill(report, signer, authority.certificate));
}

test("a report counts under the certificate of its own site, and not under a host's", () => {
  assert.equal(verifyDrill(signed(siteId, lyon)).signedBy, 'Lyon');

  const forged: readonly (readonly [id: string, signer: Credential])[] = [
    ['app1', app1],
    ['', app1],
    [siteId, app1],
    ['Baton host', app1],
    ['', lyon],
    [siteId.slice(1), lyon],
  ];
  for (const [id, signer] of forged) {
    assert.throws(() => verifyDrill(signed(id, signer)), /not that of site Lyon/, `as "${id}"`);
  }
});
