/** Foreign systems beside nbdkit, for a story: an iSCSI target, NBD over TLS, a web server, a disk. */
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  createAuthority,
  issueHostCertificate,
  issueSiteCertificate,
} from '../../src/certificates/authority.ts';
import { newId } from '../../src/domain/ids.ts';
import { freePort, sparseFile, startNbdkit, startProgram, waitFor } from './nbd-servers.ts';

const run = promisify(execFile);
const HOST = '127.0.0.1';

/** Why there is no block device here; for a test's `skip`. */
export const whyNoBlockDevice =
  process.getuid?.() === 0 ? false : 'a loop device needs root, which this run has not';

export interface IscsiTarget {
  readonly endpoint: { readonly kind: 'iscsi'; readonly host: string; readonly port: number };
  readonly name: string;
  readonly files: readonly string[];
  readonly user: string;
  readonly password: string;
  /** Whoever logs in is sent to that portal from now on; it has to have another address. */
  readonly sendTo: (to: OtherPortal) => Promise<void>;
  /** A second target at the portal, which sends there. */
  readonly addMoved: (name: string, to: OtherPortal) => Promise<void>;
}

interface OtherPortal {
  readonly host: string;
  readonly port: number;
}

/** A tgtd of its own with one target, a disk for each size from LUN 1 on, and CHAP. */
export async function iscsiTarget(
  directory: string,
  sizesBytes: readonly number[],
  host = HOST,
): Promise<IscsiTarget> {
  await mkdir(directory, { recursive: true });
  const port = await freePort(host);
  const env = { ...process.env, TGT_IPC_SOCKET: join(directory, 'tgt') };
  const portal = ['--iscsi', `portal=${host}:${port}`];
  startProgram('tgtd', ['--foreground', '--control-port', '0', ...portal], env);
  const admin = (op: string, mode: string, ...more: readonly string[]): Promise<unknown> =>
    run('tgtadm', ['--lld', 'iscsi', '--op', op, '--mode', mode, ...more], { env });
  const name = 'iqn.2001-04.com.example:old';
  const [user, password] = ['baton', 'a CHAP secret of 25 bytes'];
  const target = ['--tid', '1'];
  await waitFor('tgtd takes commands', () =>
    admin('new', 'target', ...target, '--targetname', name).then(
      () => true,
      () => false,
    ),
  );
  const files: string[] = [];
  for (const [index, sizeBytes] of sizesBytes.entries()) {
    const file = await sparseFile(join(directory, `lun-${index + 1}.img`), sizeBytes);
    files.push(file);
    await admin('new', 'logicalunit', ...target, '--lun', `${index + 1}`, '--backing-store', file);
  }
  await admin('new', 'account', '--user', user, '--password', password);
  await admin('bind', 'account', ...target, '--user', user);
  await admin('bind', 'target', ...target, '--initiator-address', 'ALL');
  const redirect = async (tid: readonly string[], to: OtherPortal): Promise<void> => {
    const places = { Address: to.host, Port: `${to.port}`, Reason: 'Temporary' };
    for (const [key, value] of Object.entries(places)) {
      await admin('update', 'target', ...tid, '--name', `Redirect${key}`, '--value', value);
    }
  };
  const addMoved = async (other: string, to: OtherPortal): Promise<void> => {
    const tid = ['--tid', '2'];
    await admin('new', 'target', ...tid, '--targetname', other);
    await admin('bind', 'target', ...tid, '--initiator-address', 'ALL');
    await redirect(tid, to);
  };
  const sendTo = (to: OtherPortal): Promise<void> => redirect(target, to);
  const endpoint = { kind: 'iscsi', host, port } as const;
  return { endpoint, name, files, user, password, sendTo, addMoved };
}

export interface TlsServer {
  readonly file: string;
  readonly endpoint: object;
  readonly secret: { readonly privateKey: string };
  /** The same with an authority that did not issue the server's certificate. */
  readonly stranger: object;
}

/** An NBD server that talks TLS only, and only to whom its own authority knows. */
export async function tlsNbdServer(directory: string, sizeBytes: number): Promise<TlsServer> {
  await mkdir(directory, { recursive: true });
  const file = await sparseFile(join(directory, 'tls.img'), sizeBytes);
  const [authority, other] = await Promise.all(
    ['vault', 'stranger'].map((siteName) => createAuthority({ siteId: newId(), siteName })),
  );
  if (authority === undefined || other === undefined) throw new Error('no authority was made');
  const names = { names: ['vault.example'], addresses: [HOST] };
  const server = await issueSiteCertificate(authority, { siteId: newId(), ...names });
  const client = await issueHostCertificate(authority, { hostName: 'baton' });
  const files = {
    'ca-cert.pem': authority.certificate,
    'server-cert.pem': server.certificate,
    'server-key.pem': server.privateKey,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  const port = await freePort(HOST);
  const tls = [['--tls', 'require'], ['--tls-certificates', directory], '--tls-verify-peer'];
  await startNbdkit(directory, [...tls, ['--ipaddr', HOST], ['--port', `${port}`], 'file', file]);
  const endpointFor = (trusted: string): object => ({
    kind: 'nbd',
    host: HOST,
    port,
    tls: { authority: trusted, serverName: 'vault.example', certificate: client.certificate },
  });
  return {
    file,
    endpoint: endpointFor(authority.certificate),
    secret: { privateKey: client.privateKey },
    stranger: endpointFor(other.certificate),
  };
}

export interface WebServer {
  readonly baseUrl: string;
  readonly close: () => Promise<void>;
}

/** Serves a directory's files by ranges, to one user. */
export async function webServer(
  directory: string,
  { user, password }: { readonly user: string; readonly password: string },
): Promise<WebServer> {
  const wanted = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const server = createServer((request, response) => {
    const path = join(directory, decodeURIComponent(request.url ?? ''));
    const answer = async (): Promise<void> => {
      if (request.headers.authorization !== wanted) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="images"' }).end();
        return;
      }
      const file = await stat(path).catch(() => undefined);
      if (file?.isFile() !== true) {
        response.writeHead(404).end();
        return;
      }
      const parts = /^bytes=(?<from>\d+)-(?<to>\d+)$/.exec(request.headers.range ?? '')?.groups;
      const from = Number(parts?.['from'] ?? 0);
      const to = Math.min(Number(parts?.['to'] ?? Infinity), file.size - 1);
      response.writeHead(parts === undefined ? 200 : 206, {
        'accept-ranges': 'bytes',
        'content-length': to - from + 1,
        'content-range': `bytes ${from}-${to}/${file.size}`,
      });
      if (request.method === 'HEAD') response.end();
      else createReadStream(path, { start: from, end: to }).pipe(response);
    };
    answer().catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { baseUrl: `http://${HOST}:${port}`, close };
}

/** Another image with the same content, as qemu-img makes it. @returns its path */
export async function convertImage(image: string, format: string): Promise<string> {
  const converted = `${image.replace(/\.\w+$/, '')}.${format}`;
  await run('qemu-img', ['convert', '-O', format, image, converted]);
  return converted;
}

/** A block device of this machine over a file, and how to let go of it. */
export async function loopDevice(
  file: string,
): Promise<{ readonly path: string; readonly detach: () => Promise<void> }> {
  const { stdout } = await run('losetup', ['--find', '--show', file]);
  const path = stdout.trim();
  return { path, detach: async () => void (await run('losetup', ['--detach', path])) };
}
