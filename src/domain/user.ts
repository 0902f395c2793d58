import type { Instant, SignInId, UserId } from './ids.ts';

/** From most to least; each may do what those after it may. */
export const roles = ['administrator', 'storage_operator', 'dr_operator', 'viewer'] as const;
export type Role = (typeof roles)[number];

export interface User {
  readonly id: UserId;
  readonly name: string;
  readonly role: Role;
  /** scrypt, with its parameters and salt: `scrypt$N$r$p$salt$hash`. */
  readonly passwordHash: string;
  readonly createdAt: Instant;
}

/** A bearer token; only its SHA-256 is kept. */
export interface Token {
  readonly id: string;
  /** What the token may be called in lists; it opens nothing. */
  readonly signInId: SignInId;
  readonly userId: UserId;
  readonly createdAt: Instant;
  readonly expiresAt: Instant;
  /** The address that it was asked from, where the dialect shows it. */
  readonly from: string | undefined;
  /** What the client calls itself. */
  readonly application: string | undefined;
}

/**
 * What a request needs. Storage operators make, change and move volumes; DR operators move and
 * protect what exists; only administrators pair sites and manage users and hosts' certificates.
 */
export type Need = 'view' | 'storage' | 'recovery' | 'administer';

const grants: { readonly [R in Role]: readonly Need[] } = {
  administrator: ['view', 'storage', 'recovery', 'administer'],
  storage_operator: ['view', 'storage', 'recovery'],
  dr_operator: ['view', 'recovery'],
  viewer: ['view'],
};

export function may(role: Role, need: Need): boolean {
  return grants[role].includes(need);
}
