import { join } from 'node:path';
import {
  createAuthority,
  issueHostCertificate,
  issueSiteCertificate,
} from '../../src/certificates/authority.ts';
import { hostDistinguishedName, siteDistinguishedName } from '../../src/certificates/identity.ts';
import { writeTlsDirectory } from '../../src/certificates/tls-directory.ts';
import { newId } from '../../src/domain/ids.ts';
import type { SiteId } from '../../src/domain/ids.ts';

export interface BareSite {
  readonly tlsDirectory: string;
  readonly tlsName: string;
  readonly distinguishedName: string;
  readonly address: string;
  readonly port: number;
}

export interface BareCredentials {
  readonly a: BareSite;
  readonly b: BareSite;
  readonly host: { readonly tlsDirectory: string; readonly distinguishedName: string };
}

const HOST = 'bench-host';
const PORT = 10_809;

/** Certificates of the kind that Baton issues, so that both pay the same for TLS. */
export async function makeCredentials(
  directory: string,
  port: number = PORT,
): Promise<BareCredentials> {
  const authority = await createAuthority({ siteId: newId<SiteId>(), siteName: 'bench' });
  const trusted = [authority.certificate];
  const site = async (name: string, address: string): Promise<BareSite> => {
    const siteId = newId<SiteId>();
    const names = { siteId, names: [], addresses: [address] };
    const leaf = await issueSiteCertificate(authority, names);
    const tlsDirectory = join(directory, `tls-${name}`);
    await writeTlsDirectory(tlsDirectory, { trusted, server: leaf, client: leaf });
    const distinguishedName = siteDistinguishedName(siteId);
    return { tlsDirectory, tlsName: siteId, distinguishedName, address, port };
  };
  const client = await issueHostCertificate(authority, { hostName: HOST });
  const tlsDirectory = join(directory, 'tls-host');
  await writeTlsDirectory(tlsDirectory, { trusted, client });
  return {
    a: await site('a', '127.0.0.3'),
    b: await site('b', '127.0.0.4'),
    host: { tlsDirectory, distinguishedName: hostDistinguishedName(HOST) },
  };
}
