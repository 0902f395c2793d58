/** The tokens of sites that somebody signed in to, in a file that only they can read. */
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Terminal } from './terminal.ts';

export interface SavedSite {
  readonly url: string;
  readonly token: string;
  readonly user: string;
  /** The authority that was pinned at sign-in. */
  readonly authorityPem?: string;
  /** One of two for trying out: never meant unless it is named. */
  readonly isOfPair?: boolean;
}

const FILE = 'sites.json';

/** Newest sign-in last: it is the one that is meant when no site is named. */
export async function savedSites(terminal: Pick<Terminal, 'env'>): Promise<readonly SavedSite[]> {
  try {
    return JSON.parse(await readFile(join(directory(terminal), FILE), 'utf8')) as SavedSite[];
  } catch {
    return [];
  }
}

export async function saveSite(terminal: Pick<Terminal, 'env'>, site: SavedSite): Promise<void> {
  const others = (await savedSites(terminal)).filter(({ url }) => url !== site.url);
  await write(terminal, [...others, site]);
}

export async function forgetSite(terminal: Pick<Terminal, 'env'>, url: string): Promise<void> {
  const others = (await savedSites(terminal)).filter((site) => site.url !== url);
  await write(terminal, others);
}

async function write(terminal: Pick<Terminal, 'env'>, sites: readonly SavedSite[]): Promise<void> {
  const home = directory(terminal);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const fresh = join(home, `.${FILE}.${process.pid}`);
  await writeFile(fresh, `${JSON.stringify(sites, undefined, 2)}\n`, { mode: 0o600 });
  await chmod(fresh, 0o600);
  await rename(fresh, join(home, FILE));
}

function directory({ env }: Pick<Terminal, 'env'>): string {
  return join(env['XDG_CONFIG_HOME'] ?? join(env['HOME'] ?? homedir(), '.config'), 'baton');
}
