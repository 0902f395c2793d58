import type { SiteId } from '../domain/ids.ts';

/**
 * Which peers have had their say since this process started: one answered, or was silent for so long
 * that it counts as away. Before that a site opens no group that it shares with the peer: its own
 * store may be older than what the peer knows, and the peer may have taken the group meanwhile.
 */
export class FirstWords {
  readonly #heard = new Set<SiteId>();

  hear(peerId: SiteId): void {
    this.#heard.add(peerId);
  }

  has(peerId: SiteId): boolean {
    return this.#heard.has(peerId);
  }
}
