import type { Transaction } from '../ports/store.ts';

/**
 * How long an operation should take: as long as the last one of its kind that was done at this site.
 *
 * @returns whole seconds; undefined where there was none yet
 */
export async function lastTookSeconds(
  tx: Transaction,
  { kind }: { readonly kind: string },
): Promise<number | undefined> {
  const last = (await tx.sagas.where({ kind, state: 'done' })).at(-1);
  if (last?.endedAt === undefined) return undefined;
  // Below zero the clock was set back meanwhile.
  return Math.max(1, Math.ceil((last.endedAt - last.startedAt) / 1000));
}
