import type { Fork } from '../domain/fork.ts';
import type { ForkId, GroupId, SiteId } from '../domain/ids.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import { sessionOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'engine' | 'peer' | 'here' | 'log'>;

export function listForks(
  { store }: Pick<Deps, 'store'>,
  filter: { readonly groupId?: GroupId | undefined },
): Promise<readonly Fork[]> {
  return store.read((tx) => tx.forks.where(filter.groupId ? { groupId: filter.groupId } : {}));
}

/**
 * Deletes a fork and its bytes, at the site that has them.
 *
 * @throws Refusal `not_found`, `in_use` when the bytes are at the other site
 */
export async function discardFork(
  ports: Deps,
  { forkId }: { readonly forkId: ForkId },
): Promise<void> {
  const { store, engine, here } = ports;
  const fork = await store.read((tx) => tx.forks.need(forkId));
  if (fork.siteId !== here) {
    refuse({
      code: 'in_use',
      what: 'fork',
      id: fork.name,
      by: `site ${fork.siteId}, which has its bytes`,
    });
  }
  await engine.discardFork(fork.groupId, forkId);
  const session = await store.transaction(async (tx) => {
    await tx.forks.remove(forkId);
    return sessionOf(tx, fork.groupId);
  });
  if (session !== undefined) await tellPeer(ports, session.peerId, forkId);
}

/** Deletes what nobody decided about within its term. */
export async function discardExpiredForks(ports: Deps & Pick<AppPorts, 'clock'>): Promise<void> {
  const { store, clock, here, log } = ports;
  const now = clock.now();
  const expired = (await store.read((tx) => tx.forks.all())).filter((f) => f.expiresAt <= now);
  for (const { id, name, siteId, groupId } of expired) {
    if (siteId === here) await discardFork(ports, { forkId: id });
    else await store.transaction((tx) => tx.forks.remove(id));
    log.info({ event: 'fork_expired', forkId: id, name, groupId });
  }
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

/** The other site's word that a history was set aside there. A repeat changes nothing. */
export function noteFork({ store }: Pick<Deps, 'store'>, fork: Fork): Promise<void> {
  return store.transaction(async (tx) => {
    if ((await tx.forks.get(fork.id)) === undefined) await tx.forks.insert(fork);
  });
}

/** The other site's word that a fork of its own is gone. */
export function dropFork(
  { store }: Pick<Deps, 'store'>,
  from: SiteId,
  forkId: ForkId,
): Promise<void> {
  return store.transaction(async (tx) => {
    const fork = await tx.forks.get(forkId);
    if (fork?.siteId === from) await tx.forks.remove(forkId);
  });
}
