import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Nothing of it is the project's: it goes with the other packages that were fetched. */
const CACHE = resolve(import.meta.dirname, '../../node_modules/.python');

/**
 * A Python that has the packages of a requirements file and no others, fetched once and checked
 * against the file's hashes.
 *
 * @returns the path of its interpreter
 */
export async function pythonWith(requirements: string): Promise<string> {
  const text = await readFile(requirements, 'utf8');
  const directory = join(CACHE, createHash('sha256').update(text).digest('hex').slice(0, 16));
  const python = join(directory, 'bin', 'python');
  if (existsSync(python)) return python;
  const half = `${directory}.${process.pid}`;
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  const pinned = ['--require-hashes', '--no-deps', '--only-binary', ':all:', '-r', requirements];
  try {
    await run('python3', ['-m', 'venv', half]);
    await run(join(half, 'bin', 'python'), [...install, ...pinned]);
    // Another run may have been quicker; then its packages are as good.
    await rename(half, directory).catch(() => undefined);
  } finally {
    await rm(half, { recursive: true, force: true });
  }
  return python;
}
