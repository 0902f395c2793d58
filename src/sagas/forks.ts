import { forkName, FORK_TERM_MS } from '../domain/fork.ts';
import type { Fork } from '../domain/fork.ts';
import type { ForkId, GroupId, Instant, SiteId } from '../domain/ids.ts';
import type { Fork as EngineFork } from '../ports/engine.ts';

export interface NewFork {
  readonly forkId: ForkId;
  readonly groupId: GroupId;
  /** The group's. */
  readonly name: string;
  readonly here: SiteId;
  readonly origin: Fork['origin'];
  readonly now: Instant;
}

/** The row of a history that the engine has just set aside at this site. */
export function newFork(
  { forkId, groupId, name, here, origin, now }: NewFork,
  aside: EngineFork,
): Fork {
  return {
    id: forkId,
    groupId,
    name: forkName(name, origin, now),
    siteId: here,
    basePointId: aside.basePointId,
    origin,
    allocatedBytes: aside.allocatedBytes,
    setAsideAt: now,
    expiresAt: now + FORK_TERM_MS,
  };
}
