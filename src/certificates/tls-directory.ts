import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Credential } from './authority.ts';

/**
 * The group ffdhe2048 of RFC 7919, as PKCS #3. Without this file QEMU searches for primes of its own
 * whenever it loads a server's credentials, for a second or more, and every group waits meanwhile.
 */
const DIFFIE_HELLMAN_PARAMETERS = `-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
`;

export interface TlsFiles {
  /** Certificates of the authorities that the other side may come from. */
  readonly trusted: readonly string[];
  readonly server?: Credential;
  readonly client?: Credential;
}

/**
 * Lays certificates out as QEMU, libnbd and other users of GnuTLS look for them: `ca-cert.pem`, and
 * `server-` or `client-` with `cert.pem` and `key.pem`. The directory is 0700, each file 0600.
 *
 * Safe to repeat: a file that is as it should be is left alone, another is replaced as a whole, and a
 * certificate is never visible without being whole on disk. A crash may leave a new key beside an
 * old certificate; calling again mends it.
 */
export async function writeTlsDirectory(
  directory: string,
  { trusted, server, client }: TlsFiles,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const files: (readonly [name: string, content: string])[] = [['ca-cert.pem', trusted.join('')]];
  if (server) {
    files.push(['server-key.pem', server.privateKey], ['server-cert.pem', server.certificate]);
    files.push(['dh-params.pem', DIFFIE_HELLMAN_PARAMETERS]);
  }
  if (client) {
    files.push(['client-key.pem', client.privateKey], ['client-cert.pem', client.certificate]);
  }
  for (const [name, content] of files) await replaceFile(directory, name, content);
  await sync(directory);
}

/** Replaces a file as a whole, durably: never half of it is seen. */
export async function replaceFile(directory: string, name: string, content: string): Promise<void> {
  const path = join(directory, name);
  const present = await readFile(path, 'utf8').catch(() => undefined);
  if (present === content) {
    await chmod(path, 0o600);
    return;
  }
  const fresh = join(directory, `.${name}.${process.pid}.new`);
  await rm(fresh, { force: true });
  const file = await open(fresh, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
