import type { Instant, SiteId } from './ids.ts';

/** This system. */
export interface Site {
  readonly id: SiteId;
  readonly name: string;
}

/** A site that this one is paired with. Its certificate authority is pinned at pairing. */
export interface Peer {
  readonly id: SiteId;
  readonly name: string;
  /** Where its peer protocol listens. */
  readonly host: string;
  readonly port: number;
  readonly authorityPem: string;
  readonly pairedAt: Instant;
  /** For all that is sent there together; absent: no limit. */
  readonly bytesPerSecond?: number | undefined;
}

/** Whether the other site answered lately, as the link watch sees it. */
export interface LinkState {
  readonly siteId: SiteId;
  readonly state: 'unknown' | 'up' | 'down';
  readonly since: Instant;
  readonly lastHeardAt: Instant | undefined;
  readonly detail: string | undefined;
}
