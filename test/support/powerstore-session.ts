/** A volume group that is replicated through the PowerStore API, between two sites in memory. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { beatFor, meetPeer } from '../../src/app/meet-peer.ts';
import { isId } from '../../src/domain/ids.ts';
import type { GroupId } from '../../src/domain/ids.ts';
import { powerstorePair, refusedAt } from './powerstore-api.ts';
import type { PowerStoreAnswer, PowerStoreApi, PowerStorePair } from './powerstore-api.ts';

const MIB = 1024 * 1024;

export type Json = Readonly<Record<string, unknown>>;

export interface World extends PowerStorePair {
  readonly groupId: string;
  readonly sessionId: string;
  readonly policyId: string;
  readonly ruleId: string;
}

/** Group `orders` of one volume, protected by policy `gold`, its first copy made. */
export async function protectedGroup(t: TestContext): Promise<World> {
  const pair = await powerstorePair(t);
  const { here, lyon } = pair;
  const rule = { name: 'five', rpo: 'Five_Minutes', remote_system_id: 'name:lyon' };
  const ruleId = await here.made('replication_rule', rule);
  const policyId = await here.made('policy', {
    name: 'gold',
    replication_rule_ids: ['name:five'],
    snapshot_rule_ids: null,
  });
  const groupId = await here.made('volume_group', { name: 'orders' });
  await here.made('volume', { name: 'data', size: MIB, volume_group_id: groupId });
  const assign = { protection_policy_id: policyId, description: '' };
  assert.equal((await here.call('PATCH', `volume_group/${groupId}`, assign)).status, 204);
  const { rows } = await here.call('GET', `replication_session?local_resource_id=eq.${groupId}`);
  const sessionId = String(rows[0]?.['id']);
  assert.ok(isId(sessionId));
  assert.equal((await here.call('POST', `replication_session/${sessionId}/sync`)).status, 204);
  await cycleEnded(here);
  assert.ok((await lyon.app.listAllPoints()).length > 0);
  return { ...pair, groupId, sessionId, policyId, ruleId };
}

export async function cycleEnded({ site }: PowerStoreApi): Promise<void> {
  for (const { id } of await site.app.listJobs({ kind: 'replicate' })) await site.ended(id);
}

const SHOWN = 'state,role,resource_type,local_resource_id,remote_system_id,replication_rule_id';

export async function sessionAt(api: PowerStoreApi, { sessionId }: World) {
  const path = `replication_session/${sessionId}?select=${SHOWN}`;
  const { status, body } = await api.call('GET', path);
  assert.equal(status, 200);
  return body;
}

export function act(
  api: PowerStoreApi,
  { sessionId }: World,
  action: string,
  body?: unknown,
): Promise<PowerStoreAnswer> {
  return api.call('POST', `replication_session/${sessionId}/${action}`, body);
}

/** Everything that both sites know but who asked for what. */
async function everything({ paris, lyon }: World): Promise<unknown> {
  const of = ({ ports }: typeof paris) =>
    ports.store.read(async (tx) => [
      await tx.groups.all(),
      await tx.volumes.all(),
      await tx.sessions.all(),
      await tx.points.all(),
      await tx.policies.all(),
      await tx.rules.all(),
      (await tx.sagas.all()).length,
    ]);
  return [await of(paris), await of(lyon)];
}

export function refused(
  world: World,
  status: number,
  asking: () => Promise<PowerStoreAnswer>,
): Promise<PowerStoreAnswer> {
  return refusedAt(() => everything(world), status, asking);
}

/** Paris hears of what Lyon did, as with the next heartbeat. */
export async function hear({ paris, lyon, groupId }: World): Promise<void> {
  const shared = [{ groupId: groupId as GroupId }];
  const plane = { dataPlane: 'running', instance: undefined } as const;
  await meetPeer(paris.ports, await beatFor(lyon.ports, paris.id, () => plane, shared));
}
