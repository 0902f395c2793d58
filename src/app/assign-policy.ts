import type { GroupId, PolicyId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { refuse } from '../domain/refusal.ts';
import { sessionOf } from '../sagas/offer.ts';
import { assign } from '../sagas/policies.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { beginProtection, endProtection } from './protect-group.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

export interface AssignPolicy {
  readonly groupId: GroupId;
  readonly policyId: PolicyId;
}

/**
 * Protects a group as the policy says. A group without volumes is protected as soon as it has one, one
 * that is imported as soon as it is cut over;
 * a session to the policy's peer that the group has already comes under the policy. A repeat
 * changes nothing.
 *
 * @returns the job that begins the replication, when one has to begin: if it is undone, the policy
 *   is not assigned either
 * @throws Refusal `not_found`, `not_holder`, `operation_running`, `already_protected` when the group
 *   is replicated to another site
 */
export function assignPolicy(
  { store, clock, here }: Deps,
  { groupId, policyId }: AssignPolicy,
): Promise<Job | undefined> {
  return store.transaction(async (tx) => {
    const group = await tx.groups.need(groupId);
    requireHolder(groupId, group.ownership, here);
    const { ruleId } = await tx.policies.need(policyId);
    const { peerId, rpoSeconds, retainedPoints } = await tx.rules.need(ruleId);
    const session = await sessionOf(tx, groupId);
    if (session !== undefined && session.peerId !== peerId) {
      refuse({ code: 'already_protected', groupId, sessionId: session.id });
    }
    await assign(tx, groupId, policyId);
    if (session !== undefined) {
      if (group.policyId !== policyId) {
        await tx.sessions.change(session.id, (s) => ({
          ...s,
          rpoSeconds,
          retainedPoints: retainedPoints ?? s.retainedPoints,
        }));
      }
      return undefined;
    }
    if (group.volumeIds.length === 0 || group.importing !== undefined) return undefined;
    return beginProtection(
      tx,
      { clock, here },
      { groupId, peerId, rpoSeconds, retainedPoints },
      policyId,
    );
  });
}

/**
 * Ends a group's protection; the destination keeps its copy. A repeat changes nothing.
 *
 * @param force although the other site does not answer, or at a destination whose source is gone
 * @returns the job that ends the session, when there is one
 * @throws Refusal `not_found`, `not_holder`, `operation_running`, `wrong_state`
 */
export function unassignPolicy(
  { store, clock, here }: Deps,
  { groupId, force = false }: { readonly groupId: GroupId; readonly force?: boolean | undefined },
): Promise<Job | undefined> {
  return store.transaction(async (tx) => {
    const group = await tx.groups.need(groupId);
    if (group.policyId === undefined) return undefined;
    if ((await sessionOf(tx, groupId)) !== undefined) {
      return endProtection(tx, { clock, here }, { groupId, discardCopy: false, force });
    }
    requireHolder(groupId, group.ownership, here);
    await assign(tx, groupId, undefined);
    return undefined;
  });
}
