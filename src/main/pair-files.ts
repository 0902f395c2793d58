/** What two paired sites for trying out look like on disk: `<dir>/pair.json` and a folder a site. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PROJECT_ID } from '../dialects/evs/ids.ts';
import { configFile, readConfig } from './config.ts';
import type { SiteConfig } from './config.ts';
import { DEFAULT_LISTENERS, dialectUrls, offsetPorts } from './listeners.ts';
import type { DialectName } from './listeners.ts';
import { PID_FILE } from './start-site.ts';

export interface PairOptions {
  readonly dir: string;
  readonly addressA?: string;
  readonly addressB?: string;
  readonly portOffset?: number;
  readonly password?: string;
  readonly unpaired?: boolean;
}

/** What `pair up --json` and `pair status --json` print. */
export interface PairDescription {
  readonly dir: string;
  readonly sites: readonly PairedSite[];
}

/** A site, and under each dialect's name where its clients go. */
export interface PairedSite extends Readonly<Record<DialectName, string>> {
  readonly name: string;
  readonly address: string;
  readonly username: string;
  readonly password: string;
  readonly caFile: string;
  /** The project of the OpenStack dialect. */
  readonly projectId: string;
}

export const SITE_NAMES = ['paris', 'lyon'] as const;

export const pairFile = (dir: string): string => join(resolve(dir), 'pair.json');
export const siteConfigFile = (dir: string, name: string): string =>
  join(resolve(dir), name, 'baton.toml');
const siteDataDirectory = (dir: string, name: string): string => join(resolve(dir), name, 'data');
export const siteLogFile = (dir: string, name: string): string =>
  join(resolve(dir), name, 'serve.log');
export const sitePidFile = (dir: string, name: string): string =>
  join(siteDataDirectory(dir, name), PID_FILE);

/** @returns undefined when the directory holds no pair */
export function readPair(dir: string): PairDescription | undefined {
  const file = pairFile(dir);
  if (!existsSync(file)) return undefined;
  return JSON.parse(readFileSync(file, 'utf8')) as PairDescription;
}

/** @throws Error when the directory holds no pair */
export function needPair(dir: string): PairDescription {
  const pair = readPair(dir);
  if (pair !== undefined) return pair;
  throw new Error(`${resolve(dir)} holds no pair of sites; "baton pair up --dir ${dir}" makes one`);
}

/** The sites of a pair as their servers are told. */
export function siteConfigs(pair: PairDescription): readonly SiteConfig[] {
  return pair.sites.map(({ name }) => readConfig({ config: siteConfigFile(pair.dir, name) }));
}

/** A new pair, described; nothing is written yet. */
export function planPair(
  { dir, addressA = '127.0.0.1', addressB = '127.0.0.2', portOffset = 0 }: PairOptions,
  password: string,
): {
  readonly pair: PairDescription;
  readonly files: readonly (readonly [path: string, text: string])[];
} {
  const root = resolve(dir);
  const configs = SITE_NAMES.map((name, index): SiteConfig => ({
    name,
    dataDirectory: siteDataDirectory(root, name),
    address: index === 0 ? addressA : addressB,
    ports: offsetPorts(DEFAULT_LISTENERS, portOffset),
  }));
  const sites = configs.map((config) => ({
    name: config.name,
    address: config.address,
    username: 'admin',
    password,
    caFile: join(config.dataDirectory, 'pki', 'site', 'ca-cert.pem'),
    ...dialectUrls(config),
    projectId: PROJECT_ID,
  }));
  const files = configs.map((c) => [siteConfigFile(root, c.name), configFile(c)] as const);
  return { pair: { dir: root, sites }, files };
}
