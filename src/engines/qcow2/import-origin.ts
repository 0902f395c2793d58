/**
 * A foreign volume as a node of a daemon:
 *
 *   origin (the image's format) ─▶ origin.f (nbd, iscsi, file, http)
 *
 * Secrets travel over the daemon's monitor, never in a command line.
 */
import { createPrivateKey, randomBytes } from 'node:crypto';
import { mkdir, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseLun } from '../../domain/import-source.ts';
import type { SourceEndpoint, SourceSecret, SourceVolume } from '../../domain/import-source.ts';
import { Failure, refuse } from '../../domain/refusal.ts';
import type { SourceAccess } from '../../ports/importer.ts';
import type { Vault } from '../../ports/vault.ts';
import type { QmpClient } from '../qmp/client.ts';
import { addNode, addObject, deleteObject } from '../qmp/commands.ts';
import type { Fields } from '../qmp/fields.ts';
import { queryObjects } from '../qmp/queries.ts';
import { fileNode } from './nodes.ts';

/** How long hosts wait for a source whose connection broke before their requests fail. */
const RECONNECT_SECONDS = 10;

/**
 * Of a web server one part is asked for at a time, and no more than this: of several at once QEMU's
 * client at times never hears of the last (seen with 10.0: 5 of 71 copies stood still).
 */
export const WEB_PART_BYTES = 64 * 1024;

export interface Origin {
  readonly node: string;
  readonly source: SourceAccess;
  readonly volume: SourceVolume;
  /** Read it although somebody else has it open for writing. */
  readonly isLook: boolean;
  /** Nobody waits for a connection that broke: it may be another source by then. */
  readonly isKept?: boolean;
  /** For certificates, made when it is missing. */
  readonly tlsDirectory: string;
  readonly initiatorName: string;
  readonly vault: Vault | undefined;
}

/** @throws QmpError what the daemon says about a source that it cannot open */
export async function openOrigin(qmp: QmpClient, origin: Origin): Promise<void> {
  const { node, volume, isLook } = origin;
  const { format } = volume;
  const readOnly = isLook || volume.readOnly;
  const protocol = await protocolOptions(qmp, origin, readOnly);
  const isImage = format !== 'raw';
  await addNode(qmp, {
    driver: format,
    'node-name': node,
    'read-only': readOnly,
    discard: 'unmap',
    // What stands beneath an image is refused when it is probed, and never followed.
    ...(isImage && ['qcow2', 'vmdk'].includes(format) && { backing: null }),
    file: { ...protocol, 'node-name': fileNode(node) },
  });
}

async function protocolOptions(qmp: QmpClient, origin: Origin, readOnly: boolean): Promise<Fields> {
  const { source, volume, isLook, isKept = false, initiatorName } = origin;
  const { endpoint } = source;
  const common = { 'read-only': readOnly, discard: 'unmap' };
  switch (endpoint.kind) {
    case 'nbd':
      return {
        ...common,
        driver: 'nbd',
        server: { type: 'inet', host: endpoint.host, port: `${endpoint.port}` },
        export: volume.locator,
        'reconnect-delay': isLook || isKept ? 0 : RECONNECT_SECONDS,
        ...(await tlsOptions(qmp, origin)),
      };
    case 'iscsi': {
      const at = parseLun(volume.locator);
      if (at === undefined) throw new Failure(`${volume.locator} is no target and LUN`);
      const { host, port, chapUser } = endpoint;
      return {
        ...common,
        driver: 'iscsi',
        transport: 'tcp',
        portal: `${host.includes(':') ? `[${host}]` : host}:${port}`,
        target: at.target,
        lun: at.lun,
        'initiator-name': endpoint.initiatorName ?? initiatorName,
        ...(chapUser !== undefined && { user: chapUser, ...(await passwordOption(qmp, origin)) }),
      };
    }
    case 'file':
      return {
        ...common,
        driver: await fileDriver(endpoint, volume),
        filename: await pathOf(endpoint, volume),
        cache: { direct: false, 'no-flush': false },
        ...(isLook && { locking: 'off' }),
      };
    case 'http':
      return {
        driver: endpoint.baseUrl.startsWith('https:') ? 'https' : 'http',
        'read-only': true,
        url: urlOf(endpoint, volume),
        ...(endpoint.user !== undefined && {
          username: endpoint.user,
          ...(await passwordOption(qmp, origin)),
        }),
      };
  }
}

export function urlOf(
  { baseUrl }: Extract<SourceEndpoint, { kind: 'http' }>,
  { locator }: Pick<SourceVolume, 'locator'>,
): string {
  const path = locator.split('/').map(encodeURIComponent).join('/');
  return `${baseUrl.replace(/\/+$/, '')}/${path}`;
}

/**
 * The real path of an image or block device below the source's directory.
 *
 * @throws Refusal `source_unreachable` when it is elsewhere, through links too, or is no such thing
 */
export async function pathOf(
  { directory }: Extract<SourceEndpoint, { kind: 'file' }>,
  { locator }: Pick<SourceVolume, 'locator'>,
): Promise<string> {
  const unreachable = (detail: string): never =>
    refuse({ code: 'source_unreachable', source: directory, detail });
  const root = await realpath(directory).catch(() => unreachable('there is no such directory'));
  const path = await realpath(join(root, locator)).catch(() => unreachable(`no file ${locator}`));
  if (!path.startsWith(`${root === '/' ? '' : root}/`)) unreachable(`${locator} leads out of it`);
  const found = await stat(path);
  if (!found.isFile() && !found.isBlockDevice()) {
    unreachable(`${locator} is neither a file nor a block device`);
  }
  return path;
}

async function fileDriver(
  endpoint: Extract<SourceEndpoint, { kind: 'file' }>,
  volume: SourceVolume,
): Promise<'file' | 'host_device'> {
  return (await stat(await pathOf(endpoint, volume))).isBlockDevice() ? 'host_device' : 'file';
}

export function secretOf(
  { id, sealedSecret }: SourceAccess,
  vault: Vault | undefined,
): SourceSecret {
  if (sealedSecret === undefined) return {};
  if (vault === undefined) throw new Failure(`source ${id}: this engine cannot open its secret`);
  return JSON.parse(vault.open(sealedSecret, id)) as SourceSecret;
}

/** Gives the daemon a secret under a name of the source's. @returns its id */
async function addSecret(qmp: QmpClient, id: string, data: string): Promise<string> {
  // It may be another one by now.
  await deleteObject(qmp, id);
  await addObject(qmp, 'secret', id, {
    data: Buffer.from(data).toString('base64'),
    format: 'base64',
  });
  return id;
}

async function passwordOption(qmp: QmpClient, { source, vault }: Origin): Promise<Fields> {
  const { password = '' } = secretOf(source, vault);
  const id = `secret-${source.id}`;
  if ((await queryObjects(qmp)).includes(id)) return { 'password-secret': id };
  return { 'password-secret': await addSecret(qmp, id, password) };
}

async function tlsOptions(qmp: QmpClient, origin: Origin): Promise<Fields> {
  const { source, tlsDirectory, vault } = origin;
  const { endpoint } = source;
  if (endpoint.kind !== 'nbd' || endpoint.tls === undefined) return {};
  const { authority, certificate, serverName = endpoint.host } = endpoint.tls;
  const id = `tls-${source.id}`;
  const options = { 'tls-creds': id, 'tls-hostname': serverName };
  if ((await queryObjects(qmp)).includes(id)) return options;
  await mkdir(tlsDirectory, { recursive: true, mode: 0o700 });
  const write = (name: string, text: string): Promise<void> =>
    writeFile(join(tlsDirectory, name), text, { mode: 0o600 });
  await write('ca-cert.pem', authority);
  const { privateKey } = secretOf(source, vault);
  if (certificate === undefined || privateKey === undefined) {
    await Promise.all(
      ['client-cert.pem', 'client-key.pem'].map((name) =>
        rm(join(tlsDirectory, name), { force: true }),
      ),
    );
    await addObject(qmp, 'tls-creds-x509', id, credentials(tlsDirectory));
    return options;
  }
  // On disk the key is encrypted, too; the daemon alone gets the words that open it.
  const passphrase = randomBytes(24).toString('base64url');
  const format = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase } as const;
  await write('client-cert.pem', certificate);
  await write('client-key.pem', createPrivateKey(privateKey).export(format));
  const passwordid = await addSecret(qmp, `key-${source.id}`, passphrase);
  await addObject(qmp, 'tls-creds-x509', id, { ...credentials(tlsDirectory), passwordid });
  return options;
}

function credentials(dir: string): Fields {
  // The source's authority did not issue a certificate of ours that may be beside it.
  return { dir, endpoint: 'client', 'verify-peer': true, 'sanity-check': false };
}
