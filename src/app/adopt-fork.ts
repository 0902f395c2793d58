import type { Fork } from '../domain/fork.ts';
import type { Group } from '../domain/group.ts';
import type { ForkId, GroupId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { Fork as EngineFork } from '../ports/engine.ts';
import type { Transaction } from '../ports/store.ts';

/** @throws Refusal `not_found` unless it is a fork of the group */
export async function needFork(tx: Transaction, groupId: GroupId, forkId: ForkId): Promise<Fork> {
  const fork = await tx.forks.need(forkId);
  return fork.groupId === groupId ? fork : refuse({ code: 'not_found', what: 'fork', id: forkId });
}

/**
 * A history can be a group's present only with the volumes that the group has now.
 *
 * @throws Refusal `in_use` (its bytes are at the other site), `unsupported`
 */
export function requireAdoptable(
  { name, volumeIds }: Group,
  fork: Fork,
  kept: readonly EngineFork[],
): void {
  const here = kept.find(({ forkId }) => forkId === fork.id);
  if (here === undefined) {
    const by = `site ${fork.siteId}, which has its bytes: ask there`;
    return refuse({ code: 'in_use', what: 'fork', id: fork.name, by });
  }
  const its = here.volumes.map(({ volumeId }) => volumeId);
  if (its.length === volumeIds.length && its.every((id) => volumeIds.includes(id))) return;
  const why = `it has other volumes than group ${name} has now; clone it instead`;
  refuse({ code: 'unsupported', what: `making fork ${fork.name} the present`, why });
}
