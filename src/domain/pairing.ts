import type { Instant } from './ids.ts';

/** One use, short life; only the SHA-256 of its secret is kept. */
export interface PairingToken {
  readonly id: string;
  readonly expiresAt: Instant;
}

export const PAIRING_TOKEN_TERM_MS = 60 * 60 * 1000;
