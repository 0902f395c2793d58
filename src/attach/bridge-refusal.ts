import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectNbd } from '../engines/nbd/connection.ts';
import { NbdRefused } from '../engines/nbd/errors.ts';
import type { NbdRefusal } from '../engines/nbd/errors.ts';
import { describeAddress } from '../engines/nbd/target.ts';
import type { NbdAddress, NbdTls } from '../engines/nbd/target.ts';

export type BridgeRefusal =
  | 'no_credentials'
  | 'certificate_expired'
  | 'certificate_refused'
  | 'server_not_trusted'
  | 'server_unreachable'
  | 'server_without_tls'
  | 'no_such_export'
  | 'read_only'
  | 'not_nbd'
  | 'socket_in_use'
  | 'socket_path_unusable'
  | 'file_path_unusable'
  | 'host_cannot'
  | 'not_followed'
  | 'agent_running'
  | 'daemon_missing'
  | 'daemon_failed';

/** No bridge was made and nothing was left. The message says what was wrong and what to do. */
export class BridgeRefused extends Error {
  override readonly name = 'BridgeRefused';
  readonly code: BridgeRefusal;

  constructor(code: BridgeRefusal, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface BridgedExport {
  readonly address: NbdAddress;
  readonly exportName: string;
  /** The name that the server's certificate must carry: the id of the site. */
  readonly tlsName: string;
  /** Holds `ca-cert.pem`, `client-cert.pem` and `client-key.pem`. */
  readonly credentialsDirectory: string;
  /** Serve it read-only here. */
  readonly readOnly?: boolean;
}

/**
 * Opens and closes the export once, so that what would fail is told in our words before a daemon is
 * started.
 *
 * @throws BridgeRefused
 */
export async function checkExport(wanted: BridgedExport, connectTimeoutMs: number): Promise<void> {
  const { address, exportName } = wanted;
  const tls = await readCredentials(wanted);
  try {
    const nbd = await connectNbd({ address, exportName, tls, connectTimeoutMs });
    await nbd.disconnect();
    if (nbd.info.readOnly && !wanted.readOnly)
      throw new BridgeRefused('read_only', readOnly(wanted));
  } catch (reason) {
    if (!(reason instanceof NbdRefused)) throw reason;
    const [code, sentence] = said[reason.code];
    throw new BridgeRefused(code, sentence(wanted, ownSubject(tls)), { cause: reason });
  }
}

async function readCredentials(wanted: BridgedExport): Promise<NbdTls> {
  const read = (name: string): Promise<string> =>
    readFile(join(wanted.credentialsDirectory, name), 'utf8');
  let tls;
  try {
    const [trusted, certificate, privateKey] = await Promise.all([
      read('ca-cert.pem'),
      read('client-cert.pem'),
      read('client-key.pem'),
    ]);
    tls = { serverName: wanted.tlsName, trusted, certificate, privateKey };
  } catch (cause) {
    throw new BridgeRefused(
      'no_credentials',
      `No host certificate can be read in ${wanted.credentialsDirectory}. ` +
        'Wanted there: ca-cert.pem, client-cert.pem and client-key.pem, as the site issued them.',
      { cause },
    );
  }
  const { validToDate } = new X509Certificate(tls.certificate);
  if (validToDate.getTime() > Date.now()) return tls;
  throw new BridgeRefused(
    'certificate_expired',
    `The host certificate in ${wanted.credentialsDirectory} ended at ${validToDate.toISOString()}. ` +
      'Have the site issue a new one.',
  );
}

type Sentence = (wanted: BridgedExport, ownSubject: string) => string;

const unreachable: Sentence = ({ address }) =>
  `No server answers at ${describeAddress(address)}. ` +
  'Check the address, that the site runs, and that no firewall is in between.';

const notNbd: Sentence = ({ address }) =>
  `What answers at ${describeAddress(address)} does not serve volumes as Baton does. ` +
  'Check the address and the port.';

const readOnly = ({ address, exportName }: BridgedExport): string =>
  `${describeAddress(address)} serves '${exportName}' read-only. ` +
  'Ask for a read-only bridge, or attach at the site that holds the group.';

/** How each refusal of the NBD client is told to somebody at a host. */
const said: { readonly [C in NbdRefusal]: readonly [BridgeRefusal, Sentence] } = {
  unreachable: ['server_unreachable', unreachable],
  timed_out: ['server_unreachable', unreachable],
  not_nbd: ['not_nbd', notNbd],
  refused: ['not_nbd', notNbd],
  tls_required: ['server_without_tls', notNbd],
  tls_not_offered: [
    'server_without_tls',
    ({ address }) =>
      `The server at ${describeAddress(address)} does not offer TLS, so it is no site of Baton. ` +
      'Check the address and the port.',
  ],
  server_not_trusted: [
    'server_not_trusted',
    ({ address, tlsName, credentialsDirectory }) =>
      `The server at ${describeAddress(address)} could not prove that it is '${tlsName}'. ` +
      `Check the address, and that ca-cert.pem in ${credentialsDirectory} is that site's.`,
  ],
  client_refused: [
    'certificate_refused',
    ({ address, exportName }, ownSubject) =>
      `The server at ${describeAddress(address)} does not admit '${ownSubject}'. ` +
      `Check that '${exportName}' is mapped to this host and that the site issued its certificate.`,
  ],
  no_such_export: [
    'no_such_export',
    ({ address, exportName }) =>
      `The server at ${describeAddress(address)} does not serve '${exportName}'. ` +
      "Check the volume's name, and that this site holds its group.",
  ],
};

function ownSubject({ certificate }: NbdTls): string {
  if (certificate === undefined) return '';
  return new X509Certificate(certificate).subject.split('\n').join(',');
}
