import type { HostId, Instant } from './ids.ts';

/** A machine that may attach volumes. Its certificate's common name is its name. */
export interface Host {
  readonly id: HostId;
  readonly name: string;
  readonly createdAt: Instant;
  /** SHA-256 of what its agent brings; absent where it is not enrolled. */
  readonly agentTokenHash?: string;
}
