import type { GroupId, SiteId } from '../../domain/ids.ts';
import { QmpClosed, QmpTimeout } from '../qmp/errors.ts';

/** A send that is under way, as somebody limits it. In bytes per second; undefined: no limit. */
export interface LimitedSend {
  readonly groupId: GroupId;
  readonly peerId: SiteId;
  own: number | undefined;
  readonly apply: (limit: number | undefined) => Promise<void>;
}

/**
 * The limits of all sends at this site. Sends to one peer share its link's limit in equal parts:
 * each group's daemon is another process, which knows nothing of the others.
 */
export class SendLimits {
  readonly #links = new Map<SiteId, number>();
  readonly #sends = new Set<LimitedSend>();

  /** The send is under way from now until its `leave`; the others' parts become smaller. */
  async enter(send: LimitedSend): Promise<void> {
    this.#sends.add(send);
    await this.#spread(send.peerId);
  }

  async leave(send: LimitedSend): Promise<void> {
    this.#sends.delete(send);
    await this.#spread(send.peerId);
  }

  /** @returns whether the group has a send under way */
  async changeOwn(groupId: GroupId, limit: number | undefined): Promise<boolean> {
    const found = [...this.#sends].filter((send) => send.groupId === groupId);
    for (const send of found) {
      send.own = limit;
      await this.#spread(send.peerId);
    }
    return found.length > 0;
  }

  async changeLink(peerId: SiteId, limit: number | undefined): Promise<void> {
    if (limit === undefined) this.#links.delete(peerId);
    else this.#links.set(peerId, limit);
    await this.#spread(peerId);
  }

  async #spread(peerId: SiteId): Promise<void> {
    const sends = [...this.#sends].filter((send) => send.peerId === peerId);
    const link = this.#links.get(peerId);
    const part = link === undefined ? undefined : Math.max(1, Math.floor(link / sends.length));
    const applied = await Promise.allSettled(
      sends.map((send) => send.apply(least(send.own, part))),
    );
    for (const one of applied) {
      // A data plane that ended or hangs sends nothing; whoever waits for it finds that out.
      if (one.status === 'rejected' && !isAway(one.reason)) throw one.reason;
    }
  }
}

function isAway(cause: unknown): boolean {
  return cause instanceof QmpClosed || cause instanceof QmpTimeout;
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
