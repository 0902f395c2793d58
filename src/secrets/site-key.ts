import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KEY_BYTES } from './site-vault.ts';

/**
 * The site's key, made at the first start. A backup of the store is worth nothing for secrets
 * without this file, and this file nothing without the store: keep them apart.
 *
 * @throws Error when the file is not a key, or others than its owner may read it
 */
export async function keepSiteKey(path: string): Promise<Buffer> {
  const kept = await readFile(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (kept === undefined) return makeKey(path);
  if (kept.length !== KEY_BYTES) {
    throw new Error(`${path}: wanted a key of ${KEY_BYTES} bytes, found ${kept.length}`);
  }
  const mode = (await stat(path)).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new Error(`${path}: wanted mode 600, found ${mode.toString(8)}: others may read it`);
  }
  return kept;
}

async function makeKey(path: string): Promise<Buffer> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const key = randomBytes(KEY_BYTES);
  // Whole or not at all: half a key would look like another one.
  const fresh = `${path}.new`;
  const file = await open(fresh, 'w', 0o600);
  try {
    await file.writeFile(key);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
  return key;
}
