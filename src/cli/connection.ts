/**
 * Which site is meant, and who asks. From most to least explicit:
 *
 *   --pair DIR --at NAME     two sites for trying out: everything is in DIR/pair.json
 *   --site URL               with BATON_TOKEN, or BATON_USER and BATON_PASSWORD, or `baton login`
 *   nothing                  the site of the last `baton login`
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { forgetSite, saveSite, savedSites } from './credentials.ts';
import type { SavedSite } from './credentials.ts';
import { UsageError } from './exit-codes.ts';
import { ProblemAnswer, askSite, signInTo } from './native-client.ts';
import type { NativeRequest, NativeSite } from './native-client.ts';
import type { Terminal } from './terminal.ts';

/** The options that every command takes. */
export interface ConnectionOptions {
  readonly site?: string;
  readonly ca?: string;
  readonly pair?: string;
  readonly at?: string;
}

export interface Api {
  readonly site: NativeSite;
  /** @throws ProblemAnswer, SiteUnreachable */
  readonly ask: <Answer>(asked: NativeRequest) => Promise<Answer>;
  /** All pages of a list. */
  readonly list: <Item>(path: string) => Promise<readonly Item[]>;
}

interface Target {
  readonly site: NativeSite;
  /** Gets another token when the one at hand is not good any more. */
  readonly signIn: (() => Promise<NativeSite>) | undefined;
}

/** @throws UsageError when no site is named, ProblemAnswer, SiteUnreachable */
export async function connect(terminal: Terminal, options: ConnectionOptions): Promise<Api> {
  const target = await findTarget(terminal, options);
  let { site } = target;
  if (site.token === undefined && target.signIn !== undefined) site = await target.signIn();

  const ask = async <Answer>(asked: NativeRequest): Promise<Answer> => {
    try {
      return await askSite<Answer>(site, asked);
    } catch (error) {
      const isStale = error instanceof ProblemAnswer && error.status === 401;
      if (!isStale || target.signIn === undefined) throw error;
      site = await target.signIn();
      return askSite<Answer>(site, asked);
    }
  };
  const list = async <Item>(path: string): Promise<readonly Item[]> => {
    const items: Item[] = [];
    for (let offset: number | undefined = 0; offset !== undefined;) {
      const mark = path.includes('?') ? '&' : '?';
      const page: { readonly items: readonly Item[]; readonly nextOffset?: number } = await ask({
        method: 'GET',
        path: `${path}${mark}limit=1000&offset=${offset}`,
      });
      items.push(...page.items);
      offset = page.nextOffset;
    }
    return items;
  };
  return {
    get site() {
      return site;
    },
    ask,
    list,
  };
}

async function findTarget(terminal: Terminal, options: ConnectionOptions): Promise<Target> {
  const { env } = terminal;
  const pair = options.pair ?? (options.site === undefined ? env['BATON_PAIR_DIR'] : undefined);
  if (pair !== undefined) return pairTarget(terminal, pair, options.at ?? env['BATON_AT']);
  const saved = await savedSites(terminal);
  const last = saved.findLast(({ isOfPair }) => isOfPair !== true);
  const url = siteUrl(options.site ?? env['BATON_SITE'] ?? last?.url);
  const known = saved.find((site) => site.url === url);
  const authorityPem = await authority(options.ca ?? env['BATON_CA'], known);
  const [token, name, password] = [env['BATON_TOKEN'], env['BATON_USER'], env['BATON_PASSWORD']];
  const site = { url, ...(authorityPem !== undefined && { authorityPem }) };
  if (token !== undefined) return { site: { ...site, token }, signIn: undefined };
  if (name !== undefined && password !== undefined) {
    return { site, signIn: () => signInTo(site, { name, password }) };
  }
  return { site: known === undefined ? site : { ...site, token: known.token }, signIn: undefined };
}

interface PairFile {
  readonly sites: readonly {
    readonly name: string;
    readonly native: string;
    readonly caFile: string;
    readonly username: string;
    readonly password: string;
  }[];
}

async function pairTarget(
  terminal: Terminal,
  directory: string,
  at: string | undefined,
): Promise<Target> {
  const file = join(directory, 'pair.json');
  const text = await readFile(file, 'utf8').catch(() => {
    throw new UsageError(`there is no ${file}: "baton pair up --dir ${directory}" makes one`);
  });
  const { sites } = JSON.parse(text) as PairFile;
  const names = sites.map(({ name }) => name).join(' or ');
  if (at === undefined) throw new UsageError(`--at tells which of the two sites: ${names}`);
  const meant = sites.find(({ name }) => name === at);
  if (meant === undefined) throw new UsageError(`--at: wanted ${names}, got "${at}"`);
  const { native: url, caFile, username: user, password } = meant;
  const authorityPem = await readAuthority(caFile);
  const site = { url, authorityPem };
  const saved = (await savedSites(terminal)).find((s) => s.url === url);
  const signIn = async (): Promise<NativeSite> => {
    const signedIn = await signInTo(site, { name: user, password });
    // One sign-in serves many commands; where nothing can be kept, each signs in.
    const kept = { ...signedIn, user, authorityPem, isOfPair: true };
    await saveSite(terminal, kept).catch(() => undefined);
    return signedIn;
  };
  const isSame = saved?.authorityPem === authorityPem && saved.user === user;
  return { site: isSame ? { ...site, token: saved.token } : site, signIn };
}

/** `baton login`: checks the password and keeps the token. */
export async function login(
  terminal: Terminal,
  options: ConnectionOptions & { readonly user: string; readonly password: string },
): Promise<SavedSite> {
  const url = siteUrl(options.site ?? terminal.env['BATON_SITE']);
  const authorityPem = await authority(options.ca ?? terminal.env['BATON_CA'], undefined);
  const site = { url, ...(authorityPem !== undefined && { authorityPem }) };
  const { user, password } = options;
  const saved = { ...(await signInTo(site, { name: user, password })), user };
  await saveSite(terminal, saved);
  return saved;
}

/** `baton logout`: ends the token there and forgets it here. */
export async function logout(terminal: Terminal, options: ConnectionOptions): Promise<string> {
  const api = await connect(terminal, options);
  const { url } = api.site;
  try {
    await api.ask({ method: 'POST', path: '/sign-out' });
  } catch (error) {
    if (!(error instanceof ProblemAnswer && error.status === 401)) throw error;
  } finally {
    await forgetSite(terminal, url);
  }
  return url;
}

function siteUrl(text: string | undefined): string {
  if (text === undefined) {
    throw new UsageError('which site? Give --site URL, set BATON_SITE, or sign in: baton login');
  }
  const url = URL.parse(text.includes('://') ? text : `https://${text}`);
  if (url?.protocol !== 'https:') {
    throw new UsageError(`--site: wanted a URL such as https://10.0.0.1:8443, got "${text}"`);
  }
  const path = url.pathname === '/' ? '/api/v1' : url.pathname.replace(/\/$/, '');
  return url.origin + path;
}

async function authority(
  file: string | undefined,
  known: SavedSite | undefined,
): Promise<string | undefined> {
  return file === undefined ? known?.authorityPem : readAuthority(file);
}

function readAuthority(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new UsageError(`the certificate file ${file} cannot be read`, { cause });
  });
}
