/** What can be learnt of a source before anything is opened for good. */
import { connect } from 'node:net';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageFormat, SourceVolume } from '../../domain/import-source.ts';
import { Failure, refuse } from '../../domain/refusal.ts';
import type { FoundVolume, SourceAccess } from '../../ports/importer.ts';
import { discoverLuns } from '../iscsi/discover.ts';
import type { FoundLun } from '../iscsi/discover.ts';
import { listExports } from '../nbd/connection.ts';
import type { NbdConnection } from '../nbd/connection.ts';
import { NbdRefused } from '../nbd/errors.ts';
import type { NbdServer } from '../nbd/target.ts';
import type { Site } from './group.ts';
import { look } from './import-look.ts';
import { openOrigin, secretOf } from './import-origin.ts';

const ANSWER_LIMIT_MS = 5_000;
const HTTP_UNAUTHORIZED = 401;
const HEAD_BYTES = 64 * 1024;
const LOOKED_AT = 'looked-at';

/** Whether somebody answers; also before a daemon that others wait for connects. */
export async function reachSource(site: Site, source: SourceAccess): Promise<void> {
  const { endpoint } = source;
  try {
    switch (endpoint.kind) {
      case 'nbd':
        return void (await exportNames(site, source));
      case 'iscsi':
        return await answers(endpoint.host, endpoint.port);
      case 'file':
        if ((await stat(endpoint.directory)).isDirectory()) return undefined;
        throw new Error('it is no directory');
      case 'http': {
        const { hostname, port, protocol } = new URL(endpoint.baseUrl);
        const usual = protocol === 'https:' ? 443 : 80;
        return await answers(hostname.replace(/^\[|\]$/g, ''), Number(port) || usual);
      }
    }
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    unreachable(source, cause);
  }
}

/** The same, and whether it lets this site in, as far as that shows before a volume is opened. */
export async function checkSource(site: Site, source: SourceAccess): Promise<void> {
  await reachSource(site, source);
  const { endpoint } = source;
  if (endpoint.kind === 'iscsi') await findLuns(site, source);
  if (endpoint.kind !== 'http') return;
  const { password } = secretOf(source, site.options.vault);
  const login = Buffer.from(`${endpoint.user}:${password}`).toString('base64');
  const headers = { ...(endpoint.user !== undefined && { authorization: `Basic ${login}` }) };
  const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
  const { status } = await fetch(endpoint.baseUrl, { method: 'HEAD', headers, signal }).catch(
    (error: unknown) => unreachable(source, error instanceof Error ? error.cause : error),
  );
  // A directory that has no page of its own is no trouble; its images are asked for one by one.
  if (status === HTTP_UNAUTHORIZED)
    unreachable(source, new Error('it wants another user or password'));
}

/** Undefined where the server keeps them to itself. */
async function exportNames(
  site: Site,
  source: SourceAccess,
): Promise<readonly string[] | undefined> {
  try {
    return await listExports(nbdServer(site, source));
  } catch (cause) {
    if (cause instanceof NbdRefused && cause.code === 'refused') return undefined;
    throw cause;
  }
}

async function findLuns(site: Site, source: SourceAccess): Promise<readonly FoundLun[]> {
  const { endpoint } = source;
  if (endpoint.kind !== 'iscsi') throw new Failure(`source ${source.name} does not speak iSCSI`);
  const { host, port, chapUser: user, initiatorName: ours = initiatorName(site) } = endpoint;
  const { password: secret = '' } = secretOf(source, site.options.vault);
  const chap = user === undefined ? undefined : { user, secret };
  const portal = { host, port, initiatorName: ours, limitMs: ANSWER_LIMIT_MS };
  try {
    return await discoverLuns({ ...portal, ...(chap && { chap }) }, (target, error) => {
      const why = error instanceof Error ? error.message : String(error);
      site.options.log?.warn({ event: 'target_not_listed', source: source.name, target, why });
    });
  } catch (cause) {
    return unreachable(source, cause);
  }
}

function unreachable({ name }: SourceAccess, cause: unknown): never {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return refuse({ code: 'source_unreachable', source: name, detail });
}

function nbdServer({ options }: Site, source: SourceAccess): NbdServer {
  const { endpoint } = source;
  if (endpoint.kind !== 'nbd') throw new Failure(`source ${source.name} does not speak NBD`);
  const { host, port, tls } = endpoint;
  const server = { address: { host, port }, connectTimeoutMs: ANSWER_LIMIT_MS };
  if (tls === undefined) return server;
  const { privateKey } = secretOf(source, options.vault);
  return {
    ...server,
    tls: {
      serverName: tls.serverName ?? host,
      trusted: tls.authority,
      ...(tls.certificate !== undefined && { certificate: tls.certificate }),
      ...(privateKey !== undefined && { privateKey }),
    },
  };
}

function answers(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.setTimeout(ANSWER_LIMIT_MS, () =>
      socket.destroy(new Error(`${host}:${port} did not answer within ${ANSWER_LIMIT_MS} ms`)),
    );
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}

export async function listVolumes(
  site: Site,
  source: SourceAccess,
): Promise<readonly FoundVolume[] | undefined> {
  const { endpoint } = source;
  await reachSource(site, source);
  switch (endpoint.kind) {
    case 'nbd': {
      const names = await exportNames(site, source).catch((cause: unknown) =>
        unreachable(source, cause),
      );
      return names?.map((locator) => ({ locator, sizeBytes: undefined }));
    }
    case 'iscsi':
      return (await findLuns(site, source)).map(({ target, lun, sizeBytes }) => ({
        locator: `${target}/${lun}`,
        sizeBytes,
      }));
    case 'file':
      return listFiles(endpoint.directory);
    case 'http':
      return undefined;
  }
}

async function listFiles(directory: string): Promise<readonly FoundVolume[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() || entry.isBlockDevice());
  return Promise.all(
    files.map(async ({ name }) => {
      const { size } = await stat(join(directory, name));
      return { locator: name, sizeBytes: name.endsWith('.qcow2') || size === 0 ? undefined : size };
    }),
  );
}

export async function probeVolume(
  site: Site,
  source: SourceAccess,
  volume: SourceVolume,
): Promise<{ readonly sizeBytes: number }> {
  await reachSource(site, source);
  try {
    return await look(site, async ({ qmp, tlsDirectory, show }) => {
      const origin = {
        node: LOOKED_AT,
        source,
        isLook: true,
        tlsDirectory,
        initiatorName: initiatorName(site),
        vault: site.options.vault,
      };
      if (volume.format !== 'raw') {
        const plain = { ...volume, format: 'raw' as const };
        await openOrigin(qmp, { ...origin, node: 'head', volume: plain });
        checkImage(volume, await head(await show('head')));
      }
      await openOrigin(qmp, { ...origin, volume });
      const { info } = await show(LOOKED_AT);
      return { sizeBytes: info.sizeBytes };
    });
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'QmpError') unreachable(source, cause);
    if (cause instanceof Error && cause.name === 'QmpTimeout') unreachable(source, cause);
    throw cause;
  }
}

export function initiatorName({ options }: Site): string {
  return `iqn.2026-11.org.baton:${options.tls.tlsName}`;
}

async function head(connection: NbdConnection): Promise<Buffer> {
  return connection.read(0, Math.min(HEAD_BYTES, connection.info.sizeBytes));
}

const magics: { readonly [F in Exclude<ImageFormat, 'raw'>]: readonly [at: number, text: string] } =
  {
    qcow2: [0, 'QFI\xfb'],
    vmdk: [0, 'KDMV'],
    vhdx: [0, 'vhdxfile'],
    vdi: [64, '\x7f\x10\xda\xbe'],
  };

const QCOW2_EXTERNAL_DATA = 4n;

/** An image that names other files is not followed: it could name any file of this machine. */
function checkImage({ format, locator }: SourceVolume, bytes: Buffer): void {
  if (format === 'raw') return;
  const [at, magic] = magics[format];
  if (bytes.toString('latin1', at, at + magic.length) !== magic) {
    const wanted = format === 'vmdk' ? 'a sparse vmdk image in one file' : `a ${format} image`;
    refuse({ code: 'invalid', field: `format of ${locator}`, wanted, seen: 'something else' });
  }
  const isQcow2 = format === 'qcow2';
  const hasBacking = isQcow2 && bytes.readBigUInt64BE(8) !== 0n;
  const version = isQcow2 ? bytes.readUInt32BE(4) : 0;
  const features = version >= 3 ? bytes.readBigUInt64BE(72) : 0n;
  const hasData = (features & QCOW2_EXTERNAL_DATA) !== 0n;
  const parent = /parentCID=([0-9a-f]+)/.exec(
    format === 'vmdk' ? bytes.toString('latin1') : '',
  )?.[1];
  if (!hasBacking && !hasData && (parent ?? 'ffffffff') === 'ffffffff') return;
  const why = 'it stands on other files; make one image of them first, as with qemu-img convert';
  refuse({ code: 'unsupported', what: `importing ${locator}`, why });
}
