import type { Group } from '../domain/group.ts';
import type { Instant, SiteId } from '../domain/ids.ts';
import type { ReplicationRule } from '../domain/protection-policy.ts';
import type { Transaction } from '../ports/store.ts';
import { sessionOf } from '../sagas/offer.ts';
import { protect } from '../sagas/protect.ts';
import type { AppPorts } from './app-ports.ts';
import { beginProtection } from './protect-group.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here'>;

/** After a try that did not work the next one waits for so long. */
const RETRY_MS = 5000;

/** Begins to replicate each group that has a policy and, since now, a volume of its own. */
export async function applyPolicies({ store, clock, here }: Deps): Promise<void> {
  const now = clock.now();
  const due = await store.read(async (tx) => {
    const groups = await tx.groups.all();
    const rules = await Promise.all(groups.map((g) => dueRule(tx, g, here, now)));
    return groups.filter((_, index) => rules[index] !== undefined);
  });
  for (const { id: groupId } of due) {
    await store.transaction(async (tx) => {
      const group = await tx.groups.get(groupId);
      const rule = group && (await dueRule(tx, group, here, now));
      if (rule === undefined) return;
      const { peerId, rpoSeconds, retainedPoints } = rule;
      await beginProtection(tx, { clock, here }, { groupId, peerId, rpoSeconds, retainedPoints });
    });
  }
}

async function dueRule(
  tx: Transaction,
  { id: groupId, policyId, ownership, operation, importing, volumeIds }: Group,
  here: SiteId,
  now: Instant,
): Promise<ReplicationRule | undefined> {
  const mayBegin = policyId !== undefined && operation === undefined && volumeIds.length > 0;
  if (!mayBegin || importing !== undefined || ownership.holder !== here) return undefined;
  if ((await sessionOf(tx, groupId)) !== undefined) return undefined;
  const last = (await tx.sagas.where({ groupId, kind: protect.kind })).at(-1);
  if (last?.state === 'undone' && now - (last.endedAt ?? now) < RETRY_MS) return undefined;
  const { ruleId } = await tx.policies.need(policyId);
  const rule = await tx.rules.need(ruleId);
  return (await tx.links.get(rule.peerId))?.state === 'down' ? undefined : rule;
}
