import type { Instant } from './ids.ts';

/** Who asked for which change, from where, and what came of it. */
export interface AuditEntry {
  readonly id: string;
  readonly at: Instant;
  readonly user: string;
  readonly from: string;
  /** Method and route, or the reconciler's own words. */
  readonly what: string;
  readonly target: string | undefined;
  readonly result: string;
}
