import type { Peer } from '../domain/site.ts';
import type { SiteId } from '../domain/ids.ts';

/** How a site introduces itself when two are paired. */
export interface Introduction {
  readonly siteId: SiteId;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly authorityPem: string;
}

/** What a pairing token says: where to go, whom to expect there, and the one-time secret. */
export interface Invitation {
  /** Of the other site; absent in a token of an older release. */
  readonly name?: string | undefined;
  readonly host: string;
  readonly port: number;
  /** SHA-256 of the other site's authority certificate, hex. */
  readonly authorityFingerprint: string;
  readonly secret: string;
}

export interface Pairing {
  /** This site, as it introduces itself. */
  introduction(): Introduction;

  authorityFingerprint(): string;

  /**
   * Redeems an invitation: both sides know each other when this resolves.
   *
   * @throws Refusal `peer_unreachable`; `peer_untrusted` when another site answers there, or it
   *   does not know the secret; nothing is stored then
   */
  introduce(invitation: Invitation, self: Introduction): Promise<Introduction>;

  /** From now on accept the peer's certificates, on every listener and in every data plane. */
  trust(peer: Peer): Promise<void>;

  /** From now on do not. */
  distrust(siteId: SiteId): Promise<void>;
}
