import { createHash } from 'node:crypto';

/**
 * The token by which a destructive request shows that its caller has seen what it does: it follows
 * from the facts that the preflight saw, so when they have changed it no longer fits.
 */
export function confirmationFor(...facts: readonly (string | number)[]): string {
  return createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 12);
}
