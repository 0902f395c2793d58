/** A fork that nobody wants any more. Its bytes are nowhere else. */
import { isReturnedTo } from '../domain/failover-window.ts';
import type { Fork } from '../domain/fork.ts';
import type { ForkId, SiteId } from '../domain/ids.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import type { Transaction } from '../ports/store.ts';
import { sessionOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';
import { confirmationFor } from './confirmation.ts';

type Deps = Pick<AppPorts, 'store' | 'engine' | 'peer' | 'here' | 'log'>;

export interface DiscardFork {
  readonly forkId: ForkId;
  /** What the preflight printed: that the caller has seen what is thrown away. */
  readonly confirmation?: string | undefined;
}

export interface DiscardPreflight {
  readonly fork: Fork;
  readonly blockedBy: readonly string[];
  readonly confirmation: string | undefined;
}

/** @throws Refusal `not_found` */
export function preflightDiscard(
  { store, here }: Pick<Deps, 'store' | 'here'>,
  { forkId }: DiscardFork,
): Promise<DiscardPreflight> {
  return store.read(async (tx) => {
    const fork = await tx.forks.need(forkId);
    try {
      await requireFree(tx, fork, here);
      return { fork, blockedBy: [], confirmation: tokenOf(fork) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { fork, blockedBy: [error.message], confirmation: undefined };
    }
  });
}

/**
 * Deletes a fork and its bytes, at the site that has them. After a crash a repeat finishes it.
 *
 * @throws Refusal `not_found`, also of one that is discarded already; `in_use` when the bytes are at
 *   the other site, a copy shows it, another fork stands on it, or a failover may be rolled back to it;
 *   `confirmation_needed`. Nothing is changed then.
 */
export async function discardFork(
  ports: Deps,
  { forkId, confirmation }: DiscardFork,
): Promise<void> {
  const { store, here } = ports;
  const fork = await store.read(async (tx) => {
    const found = await tx.forks.need(forkId);
    await requireFree(tx, found, here);
    return found;
  });
  const token = tokenOf(fork);
  if (confirmation !== token) {
    const consequence = `the ${fork.allocatedBytes} bytes of fork ${fork.name} are deleted for good`;
    refuse({ code: 'confirmation_needed', token, consequence });
  }
  await removeFork(ports, fork);
}

/**
 * The same for whoever has looked at it already.
 *
 * @throws Refusal `in_use` of `Engine.discardFork`
 */
export async function removeFork(ports: Deps, { id, groupId }: Fork): Promise<void> {
  const { store, engine } = ports;
  await engine.discardFork(groupId, id);
  const session = await store.transaction(async (tx) => {
    await tx.forks.remove(id);
    return sessionOf(tx, groupId);
  });
  if (session !== undefined) await tellPeer(ports, session.peerId, id);
}

async function requireFree(
  tx: Transaction,
  { id, name, groupId, siteId }: Fork,
  here: SiteId,
): Promise<void> {
  const inUse = (by: string): never => refuse({ code: 'in_use', what: 'fork', id: name, by });
  if (siteId !== here) inUse(`site ${siteId}, which has its bytes`);
  const group = await tx.groups.get(groupId);
  if (group !== undefined && isReturnedTo(group, id)) {
    inUse('a failover that is provisional, and may be rolled back to it');
  }
  const copies = await tx.copies.where({ groupId });
  const shown = copies.find(({ of }) => 'forkId' in of && of.forkId === id);
  if (shown !== undefined) inUse(`copy ${shown.name}, which shows it`);
}

/** The other site's list is told; when it does not hear, its own clock ends the row. */
async function tellPeer({ peer, log }: Deps, to: SiteId, forkId: ForkId): Promise<void> {
  try {
    await peer.dropFork(to, forkId);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    log.warn({ event: 'fork_drop_untold', forkId, to, error });
  }
}

function tokenOf({ id, allocatedBytes }: Fork): string {
  return confirmationFor('discard', id, allocatedBytes);
}
