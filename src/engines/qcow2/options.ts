import type { SiteId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EngineRecords } from '../../ports/engine-records.ts';
import type { LinkCut, ListenerCut } from '../../ports/link-cut.ts';
import type { Log } from '../../ports/log.ts';
import type { Vault } from '../../ports/vault.ts';

export interface Qcow2EngineOptions {
  /** Holds one directory per group with all its layers. */
  readonly dataDirectory: string;
  /** For sockets, locks and logs of the daemons. Short: a unix socket's path has 107 bytes. */
  readonly runDirectory: string;
  /** Where hosts and peers reach the daemons. */
  readonly address: string;
  /** One for each group. */
  readonly ports?: PortRange;
  readonly records: EngineRecords;
  readonly clock: Clock;
  readonly tls: SiteTls;
  readonly linkCut: LinkCut & ListenerCut;
  readonly log?: Log;
  /** Opens secrets of sources; absent: no source that needs one can be imported. */
  readonly vault?: Vault | undefined;
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface SiteTls {
  /** ca-cert.pem of this site's authority, with server- and client- certificate and key. */
  readonly siteDirectory: string;
  /** The same certificates and keys beside ca-cert.pem of that peer's authority only. */
  peerDirectory(peerId: SiteId): string;
  /** The name that peers look for in this site's certificate: its id. */
  readonly tlsName: SiteId;
  /** How an authorization list writes the certificate of a host, and of a peer. */
  hostDistinguishedName(name: string): string;
  peerDistinguishedName(siteId: SiteId): string;
}

export const DEFAULT_PORTS: PortRange = { first: 10_900, last: 11_899 };

/** What the kernel takes, without the closing zero. */
const SOCKET_PATH_BYTES = 107;
const GROUP_ID_CHARACTERS = 36;
/** Also longer than `hash-` before a uuid and `.sock` behind it. */
const LONGEST_SUFFIX = '.rescue.sock';

/** @throws Failure when a daemon's socket in this directory could not be bound */
export function checkRunDirectory(runDirectory: string): void {
  const longest = Buffer.byteLength(runDirectory) + 1 + GROUP_ID_CHARACTERS + LONGEST_SUFFIX.length;
  if (longest <= SOCKET_PATH_BYTES) return;
  const allowed = SOCKET_PATH_BYTES - (longest - Buffer.byteLength(runDirectory));
  throw new Failure(
    `run directory ${runDirectory}: wanted a path of at most ${allowed} bytes, since the kernel ` +
      `limits a unix socket's path to ${SOCKET_PATH_BYTES}`,
  );
}
