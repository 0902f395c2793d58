import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Credential } from './authority.ts';
import { replaceFile } from './tls-directory.ts';

const CERTIFICATE = 'authority-cert.pem';
const KEY = 'authority-key.pem';

/** @returns the authority kept in the directory, or undefined when there is none yet */
export async function readAuthority(directory: string): Promise<Credential | undefined> {
  try {
    const certificate = await readFile(join(directory, CERTIFICATE), 'utf8');
    const privateKey = await readFile(join(directory, KEY), 'utf8');
    return { certificate, privateKey };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Keeps an authority, its key first: a certificate without a key would be used by nobody. */
export async function writeAuthority(directory: string, authority: Credential): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await replaceFile(directory, KEY, authority.privateKey);
  await replaceFile(directory, CERTIFICATE, authority.certificate);
}
