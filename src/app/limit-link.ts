import { refuse } from '../domain/refusal.ts';
import type { SiteId } from '../domain/ids.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'engine'>;

/** Less would not end before the next cycle begins. */
export const MIN_BYTES_PER_SECOND = 64 * 1024;

/**
 * One limit for all that this site sends to a peer together, at once and from now on, also after a
 * restart. Each send gets an equal part of it, and no more than its session's own limit.
 *
 * @param bytesPerSecond `null` lifts it
 * @throws Refusal `not_found`, `invalid`
 */
export async function limitLink(
  { store, engine }: Deps,
  { peerId, bytesPerSecond }: { readonly peerId: SiteId; readonly bytesPerSecond: number | null },
): Promise<void> {
  const limit = bytesPerSecond ?? undefined;
  const isFit =
    limit === undefined || (Number.isSafeInteger(limit) && limit >= MIN_BYTES_PER_SECOND);
  if (!isFit) {
    const wanted = `a whole number from ${MIN_BYTES_PER_SECOND}`;
    refuse({ code: 'invalid', field: 'bytesPerSecond', wanted, seen: String(limit) });
  }
  await store.transaction((tx) =>
    tx.peers.change(peerId, (p) => ({ ...p, bytesPerSecond: limit })),
  );
  await engine.limitLink(peerId, limit);
}

/** The engine forgets its links' limits with this process. */
export async function applyLinkLimits({ store, engine }: Deps): Promise<void> {
  const peers = await store.read((tx) => tx.peers.all());
  for (const { id, bytesPerSecond } of peers) await engine.limitLink(id, bytesPerSecond);
}
