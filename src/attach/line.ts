/**
 * A line carries the requests of some bridges to the site that holds their volumes. When they move, a
 * line to the other site takes its place, and each bridge sends again what was not answered:
 *
 *   host ─▶ bridge ─ unix ─▶ line ══ TLS ══▶ paris      host ─▶ bridge ─ unix ─▶ line ══ TLS ══▶ lyon
 *
 * It speaks TLS with the certificate that the site issued, from here to the site's own daemon; the
 * bridge only ever knows a local socket. A wall is a line to nowhere: it answers all with an error.
 */
import type { Serving } from './follow-plan.ts';

export interface CarriedVolume {
  readonly volumeId: string;
  readonly sizeBytes: number;
}

interface LineFiles {
  readonly socketPath: string;
  readonly pidFile: string;
}

export interface LineOptions extends LineFiles {
  /** Where all of them are open; each under its own export's name. */
  readonly volumes: readonly (CarriedVolume & { readonly serves: Serving })[];
  readonly credentialsDirectory: string;
  readonly patienceSeconds: number;
}

/** All that the daemon has to be told. It serves each volume under its id. */
export function lineArguments(options: LineOptions): readonly string[] {
  const { volumes, credentialsDirectory: dir, patienceSeconds } = options;
  const credentials = {
    'qom-type': 'tls-creds-x509',
    id: 'tls',
    dir,
    endpoint: 'client',
    'verify-peer': true,
  };
  const nodes = volumes.map(({ serves }, index) => ({
    driver: 'nbd',
    'node-name': nodeName(index),
    server: { type: 'inet', host: serves.host, port: `${serves.port}` },
    export: serves.exportName,
    'tls-creds': 'tls',
    'tls-hostname': serves.tlsName,
    'reconnect-delay': patienceSeconds,
  }));
  return [...['--object', JSON.stringify(credentials)], ...serve(nodes, volumes, options)];
}

/** A volume, every request to which fails at once. */
export function wallArguments(volume: CarriedVolume, files: LineFiles): readonly string[] {
  const node = {
    driver: 'blkdebug',
    'node-name': nodeName(0),
    image: { driver: 'null-co', size: volume.sizeBytes, 'read-zeroes': false },
    // A server looks for holes before it reads: of a hole it would answer zeros, and where only the
    // read fails it parts with the bridge, which would come back and ask again for ever.
    'inject-error': [
      { event: 'none', errno: EIO },
      { event: 'none', errno: EIO, iotype: 'block-status' },
    ],
  };
  return serve([node], [volume], files);
}

const EIO = 5;

function serve(
  nodes: readonly object[],
  volumes: readonly CarriedVolume[],
  { socketPath, pidFile }: LineFiles,
): readonly string[] {
  const listener = { addr: { type: 'unix', path: socketPath }, 'max-connections': 0 };
  const exports = volumes.map(({ volumeId }, index) => ({
    type: 'nbd',
    id: `export-${index}`,
    'node-name': nodeName(index),
    name: volumeId,
    writable: true,
  }));
  return [
    ...nodes.flatMap((node) => ['--blockdev', JSON.stringify(node)]),
    ...['--nbd-server', JSON.stringify(listener)],
    ...exports.flatMap((one) => ['--export', JSON.stringify(one)]),
    ...['--pidfile', pidFile],
  ];
}

function nodeName(index: number): string {
  return `volume-${index}`;
}
