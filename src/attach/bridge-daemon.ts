import type { BridgedExport } from './bridge-refusal.ts';

export interface BridgeDaemon extends BridgedExport {
  /** Where the daemon listens. */
  readonly socketPath: string;
  readonly pidFile: string;
  /** Requests wait so long for a lost server, in seconds, and fail afterwards. */
  readonly reconnectDelaySeconds: number;
}

/**
 * The whole daemon as arguments: it needs no further orders.
 *
 *   host ── unix socket ──▶ export 'orders' ─┐
 *                      └──▶ export ''       ─┴─▶ NBD client ══ TLS ══▶ site
 */
export function daemonArguments(daemon: BridgeDaemon): readonly string[] {
  const { address, exportName, reconnectDelaySeconds } = daemon;
  const readOnly = daemon.readOnly ?? false;
  const credentials = {
    'qom-type': 'tls-creds-x509',
    id: 'tls',
    dir: daemon.credentialsDirectory,
    endpoint: 'client',
    'verify-peer': true,
    // The server may be a site whose authority is not the one that issued our certificate.
    'sanity-check': false,
  };
  const volume = {
    driver: 'nbd',
    'node-name': 'volume',
    'read-only': readOnly,
    server:
      'host' in address
        ? { type: 'inet', host: address.host, port: `${address.port}` }
        : { type: 'unix', path: address.socketPath },
    export: exportName,
    'tls-creds': 'tls',
    'tls-hostname': daemon.tlsName,
    'reconnect-delay': reconnectDelaySeconds,
  };
  const listener = { addr: { type: 'unix', path: daemon.socketPath }, 'max-connections': 0 };
  const names = exportName === '' ? [''] : [exportName, ''];
  const exports = names.map((name, i) => ({
    ...{ type: 'nbd', id: `export-${i}`, 'node-name': 'volume', name, writable: !readOnly },
  }));
  return [
    ...['--object', JSON.stringify(credentials)],
    ...['--blockdev', JSON.stringify(volume)],
    ...['--nbd-server', JSON.stringify(listener)],
    ...exports.flatMap((served) => ['--export', JSON.stringify(served)]),
    ...['--pidfile', daemon.pidFile],
  ];
}
