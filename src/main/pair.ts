/** Two paired sites on this machine, for trying out and for testing automation. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { askSite, ProblemAnswer, signInTo, SiteUnreachable } from '../cli/native-client.ts';
import type { NativeSite } from '../cli/native-client.ts';
import { processLog } from './log.ts';
import { FIRST_PASSWORD } from './serve.ts';
import {
  needPair,
  pairFile,
  planPair,
  readPair,
  siteConfigFile,
  siteConfigs,
  siteLogFile,
  sitePidFile,
} from './pair-files.ts';
import type { PairDescription, PairedSite, PairOptions } from './pair-files.ts';
import { openSite } from './start-site.ts';

const UP_LIMIT_MS = 30_000;
const DOWN_LIMIT_MS = 15_000;
const POLL_MS = 50;

export interface PairStatus extends PairDescription {
  readonly sites: readonly (PairedSite & {
    readonly state: 'up' | 'down';
    readonly pid?: number;
  })[];
}

/**
 * Starts two sites and pairs them; returns when both answer. A repeat starts what is missing and
 * changes nothing else.
 *
 * @throws Error when a site does not come up, with the last lines of its log
 */
export async function pairUp(options: PairOptions): Promise<PairDescription> {
  const pair = readPair(options.dir) ?? (await layOut(options));
  const [a, b] = await Promise.all(
    pair.sites.map(async (site) => waitForSite(pair.dir, site, await startServer(pair.dir, site))),
  );
  if (options.unpaired !== true && a !== undefined && b !== undefined) await introduce(a, b);
  return pair;
}

/** A server that was started here, as far as its starter can see it. */
export interface StartedServer {
  hasEnded(): boolean;
}

/** Starts one site of a pair; does nothing when it runs. */
export async function startServer(
  dir: string,
  { name, password }: PairedSite,
): Promise<StartedServer | undefined> {
  if ((await serverPid(dir, name)) !== undefined) return undefined;
  const log = openSync(siteLogFile(dir, name), 'a');
  try {
    const program = join(import.meta.dirname, 'baton.ts');
    const server = spawn(
      process.execPath,
      [program, 'serve', '--config', siteConfigFile(dir, name)],
      {
        detached: true,
        stdio: ['ignore', log, log],
        env: { ...process.env, [FIRST_PASSWORD]: password },
      },
    );
    server.unref();
    return { hasEnded: () => server.exitCode !== null || server.signalCode !== null };
  } finally {
    closeSync(log);
  }
}

/** @returns the site, signed in, once it answers */
export async function waitForSite(
  dir: string,
  site: PairedSite,
  server: StartedServer | undefined,
): Promise<NativeSite> {
  const until = performance.now() + UP_LIMIT_MS;
  for (;;) {
    try {
      return await signedIn(site);
    } catch (error) {
      const starting =
        error instanceof SiteUnreachable || (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!starting) throw error;
      const ended = server?.hasEnded() ?? (await serverPid(dir, site.name)) === undefined;
      if (ended || performance.now() > until) {
        const why = ended ? 'ended' : `does not answer within ${UP_LIMIT_MS / 1000} s`;
        throw new Error(`site ${site.name} ${why}:\n${logTail(dir, site.name)}`, { cause: error });
      }
      await delay(POLL_MS);
    }
  }
}

export async function signedIn({
  native,
  caFile,
  username,
  password,
}: PairedSite): Promise<NativeSite> {
  const authorityPem = await readFile(caFile, 'utf8');
  return signInTo({ url: native, authorityPem }, { name: username, password });
}

export async function pairStatus(dir: string): Promise<PairStatus> {
  const pair = needPair(dir);
  const sites = await Promise.all(
    pair.sites.map(async (site) => {
      const pid = await serverPid(pair.dir, site.name);
      return {
        ...site,
        state: pid === undefined ? ('down' as const) : ('up' as const),
        ...(pid && { pid }),
      };
    }),
  );
  return { ...pair, sites };
}

/** Stops every process of the pair, data planes included, whatever was killed before. Data stays. */
export async function pairDown(dir: string): Promise<void> {
  const pair = needPair(dir);
  await Promise.all(pair.sites.map(({ name }) => stopServer(pair.dir, name)));
  for (const config of siteConfigs(pair)) {
    const { engine, close } = await openSite(config, processLog(config.name, 'error'));
    try {
      for (const groupId of await engine.groups()) await engine.stop(groupId);
    } finally {
      await close();
    }
  }
}

async function layOut(options: PairOptions): Promise<PairDescription> {
  const { pair, files } = planPair(
    options,
    options.password ?? randomBytes(9).toString('base64url'),
  );
  for (const [path, text] of files) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, text);
  }
  await writeFile(pairFile(pair.dir), `${JSON.stringify(pair, undefined, 2)}\n`, { mode: 0o600 });
  await chmod(pair.dir, 0o700);
  return pair;
}

async function introduce(a: NativeSite, b: NativeSite): Promise<void> {
  const { items } = await askSite<{ items: readonly unknown[] }>(b, {
    method: 'GET',
    path: '/peers',
  });
  if (items.length > 0) return;
  const { token } = await askSite<{ token: string }>(a, {
    method: 'POST',
    path: '/peers/invitations',
  });
  try {
    await askSite(b, { method: 'POST', path: '/peers', body: { token } });
  } catch (error) {
    // Another `pair up` was quicker.
    if (!(error instanceof ProblemAnswer && error.reason?.code === 'peer_untrusted')) throw error;
  }
}

/** The running server of a site; a pid that now belongs to another program does not count. */
async function serverPid(dir: string, name: string): Promise<number | undefined> {
  const pid = await readNumber(sitePidFile(dir, name));
  if (pid === undefined) return undefined;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.includes(siteConfigFile(dir, name)) ? pid : undefined;
}

async function stopServer(dir: string, name: string): Promise<void> {
  const pid = await serverPid(dir, name);
  if (pid === undefined) return;
  process.kill(pid, 'SIGTERM');
  const until = performance.now() + DOWN_LIMIT_MS;
  while (!(await hasEnded(pid))) {
    if (performance.now() > until) process.kill(pid, 'SIGKILL');
    await delay(POLL_MS);
  }
}

/**
 * A process that is about to end has no command line any more and still holds its files: it has
 * ended when it is gone, or waits only for its parent to look.
 */
async function hasEnded(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined || /^\d+ \(.*\) [ZX] /s.test(stat);
}

async function readNumber(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const number = Number.parseInt(text, 10);
  return Number.isSafeInteger(number) && number > 0 ? number : undefined;
}

function logTail(dir: string, name: string): string {
  return readFileSync(siteLogFile(dir, name), 'utf8').trim().split('\n').slice(-5).join('\n');
}
