/** Where an NBD server listens. */
export type NbdAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

/** Mutual TLS: whom we trust, whom we expect, and who we are. All certificates are PEM. */
export interface NbdTls {
  /** The name or IP address that the server's certificate must carry. */
  readonly serverName: string;
  readonly trusted: string;
  readonly certificate?: string;
  readonly privateKey?: string;
}

export interface NbdServer {
  readonly address: NbdAddress;
  readonly tls?: NbdTls;
  /** Upper bound for connecting and negotiating, in milliseconds; 10,000 unless told. */
  readonly connectTimeoutMs?: number;
}

/** Which parts are holes or zeroes, or which the export's own file has: of QEMU, in `layers`. */
export type StatusKind = 'zeroes' | 'layers';

export interface NbdTarget extends NbdServer {
  readonly exportName: string;
  /**
   * The connection counts as lost when requests wait and nothing has moved for this long, in
   * milliseconds. Without it a silent link holds its requests for as long as the kernel does.
   */
  readonly stallTimeoutMs?: number;
  /** What block status tells of; `zeroes` unless told. */
  readonly status?: StatusKind;
  /** Requests on the wire at once; 64 unless told. More wait their turn. */
  readonly maxInFlight?: number;
}

export function describeAddress(address: NbdAddress): string {
  return 'host' in address ? `${address.host}:${address.port}` : address.socketPath;
}
