import { isReturnedTo } from '../domain/failover-window.ts';
import type { Fork } from '../domain/fork.ts';
import type { ForkId, GroupId, Instant, SiteId } from '../domain/ids.ts';
import type { AppPorts } from './app-ports.ts';
import { removeFork } from './discard-fork.ts';

type Deps = Pick<AppPorts, 'store' | 'engine' | 'peer' | 'here' | 'log'>;

export function listForks(
  { store }: Pick<Deps, 'store'>,
  filter: { readonly groupId?: GroupId | undefined },
): Promise<readonly Fork[]> {
  return store.read((tx) => tx.forks.where(filter.groupId ? { groupId: filter.groupId } : {}));
}

/**
 * Counts down what is left of each fork's term. At the end its bytes go, unless they are needed; a
 * fork of the other site leaves the list here. One that cannot be discarded is tried again next time.
 */
export async function countDownForks(
  ports: Deps & Pick<AppPorts, 'clock'>,
  elapsedMs: number,
): Promise<void> {
  const { store, clock, here, log } = ports;
  const now = clock.now();
  const forks = await store.transaction(async (tx) => {
    const all = await tx.forks.all();
    return Promise.all(all.map(({ id }) => tx.forks.change(id, (f) => counted(f, elapsedMs, now))));
  });
  for (const { id: forkId, name, siteId, groupId, leftMs = 0 } of forks) {
    if (leftMs > 0) continue;
    try {
      if (siteId !== here) await store.transaction((tx) => tx.forks.remove(forkId));
      else if (await isNeeded(ports, forkId, groupId)) continue;
      else await removeFork(ports, await store.read((tx) => tx.forks.need(forkId)));
      log.info({ event: 'fork_expired', forkId, name, groupId });
    } catch (error) {
      log.error({ event: 'fork_not_discarded', forkId, name, groupId, error });
    }
  }
}

/** What is said of its end follows what is left, whatever the clock was when it was set aside. */
function counted(fork: Fork, elapsedMs: number, now: Instant): Fork {
  const before = fork.leftMs ?? fork.expiresAt - fork.setAsideAt;
  const leftMs = Math.max(0, before - elapsedMs);
  return { ...fork, leftMs, expiresAt: now + leftMs };
}

/** A copy shows it, or a failover may be rolled back to it. */
async function isNeeded(
  { store }: Pick<Deps, 'store'>,
  forkId: ForkId,
  groupId: GroupId,
): Promise<boolean> {
  const [copies, group] = await store.read((tx) =>
    Promise.all([tx.copies.where({ groupId }), tx.groups.get(groupId)]),
  );
  if (group !== undefined && isReturnedTo(group, forkId)) return true;
  return copies.some(({ of }) => 'forkId' in of && of.forkId === forkId);
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
