/**
 * What `baton host enrol` writes and a host's agent reads: one directory, for its owner only.
 *
 *   bundle.json                 the host, and each site: where it answers, and the agent's token
 *   <site>/ca-cert.pem …        the host's certificate from that site, as QEMU and libnbd look for it
 */
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Enrolment } from './answers.ts';
import { UsageError } from './exit-codes.ts';
import type { NativeSite } from './native-client.ts';

const BUNDLE = 'bundle.json';
const AUTHORITY = 'ca-cert.pem';

interface BundleFile {
  readonly version: 1;
  readonly host: string;
  readonly sites: readonly {
    readonly id: string;
    readonly name: string;
    readonly url: string;
    readonly token: string;
  }[];
}

export interface HostBundle {
  readonly host: string;
  readonly sites: readonly BundledSite[];
}

export interface BundledSite extends NativeSite {
  readonly id: string;
  readonly name: string;
  readonly token: string;
  readonly authorityPem: string;
  /** Holds `ca-cert.pem`, `client-cert.pem` and `client-key.pem` of that site. */
  readonly credentialsDirectory: string;
}

/** Certificates first: where `bundle.json` is, all that it speaks of is. */
export async function writeBundle(directory: string, { host, sites }: Enrolment): Promise<void> {
  for (const { siteName, files } of sites) {
    await writePrivately(join(directory, siteName), Object.entries(files));
  }
  const bundle: BundleFile = {
    version: 1,
    host,
    sites: sites.map(({ siteId, siteName, url, token }) => ({
      ...{ id: siteId, name: siteName, url, token },
    })),
  };
  await writePrivately(directory, [[BUNDLE, `${JSON.stringify(bundle, undefined, 2)}\n`]]);
}

/** Files in a directory, readable by its owner only; each is replaced as a whole. */
export async function writePrivately(
  directory: string,
  files: readonly (readonly [name: string, text: string])[],
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  for (const [name, text] of files) {
    const file = join(directory, name);
    const fresh = join(directory, `.${name}.${process.pid}`);
    await writeFile(fresh, text, { mode: 0o600 });
    await chmod(fresh, 0o600);
    await rename(fresh, file);
  }
}

/** @throws UsageError when the directory holds no bundle */
export async function readBundle(directory: string): Promise<HostBundle> {
  const file = join(directory, BUNDLE);
  try {
    const { version, host, sites } = JSON.parse(await readFile(file, 'utf8')) as BundleFile;
    if (version !== 1) throw new Error(`wanted version 1, got ${String(version)}`);
    const bundled = sites.map(async (site) => {
      const credentialsDirectory = join(directory, site.name);
      const authorityPem = await readFile(join(credentialsDirectory, AUTHORITY), 'utf8');
      return { ...site, authorityPem, credentialsDirectory };
    });
    return { host, sites: await Promise.all(bundled) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${directory} holds no bundle of "baton host enrol": ${why}`, { cause });
  }
}
