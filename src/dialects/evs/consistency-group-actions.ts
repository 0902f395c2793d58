/**
 * What is done with a replication consistency group: one key in the body, whose value is null.
 *
 *   sync      inactive ─▶ copying ─▶ active       stop      paused, before its 200 is sent
 *   reverse   planned: the two zones change places, no write is lost
 *   failover  the production zone is gone; the other one goes on
 *   reprotect the way back, once it has returned
 */
import type { FastifyPluginAsync } from 'fastify';
import { callerName } from '../callers.ts';
import { clipped, isMembers } from './bodies.ts';
import { groupNamed, pairsOf, requireStatus } from './consistency-groups.ts';
import { Fault } from './errors.ts';
import type { EvsOptions } from './options.ts';
import { seeRegion } from './region.ts';
import type { Region, SeenGroup } from './region.ts';
import { statesOf } from './states.ts';

type Errand = Parameters<EvsOptions['app']['askSite']>[0]['errand'];

/** Looks whether the action is possible, as this API says, and says what is to be done. */
type Action = (region: Region, group: SeenGroup) => Errand;

const key = (verb: string): string => `os-${verb}-replication-consistency-group`;

const actions: ReadonlyMap<string, Action> = new Map<string, Action>([
  [
    key('sync'),
    (region, group) => {
      requireStatus(region, group, 'sync', ['available', 'error_reversing', 'error_failovering']);
      const pairs = pairsOf(region, group);
      const [first] = pairs;
      if (first === undefined || pairs.length < group.volumes.length) {
        throw new Fault(
          409,
          `Replication consistency group ${group.id} cannot be synchronized: wanted each of its ${group.volumes.length} volume(s) in a pair, ${pairs.length} are.`,
        );
      }
      const { holder } = group.ownership;
      const peerId = holder === first.homeId ? first.otherId : first.homeId;
      return { verb: 'replicate', groupId: group.id, peerId };
    },
  ],
  [
    key('stop'),
    (region, group) => {
      const anyTime = ['available', 'creating', 'error_reversing', 'error_failovering'];
      requireStatus(region, group, 'stop', anyTime);
      return { verb: 'pause', groupId: group.id };
    },
  ],
  [
    key('reverse'),
    (region, group) => {
      requireStatus(region, group, 'reverse', ['available', 'error_reversing']);
      requireSynchronized(region, group);
      return { verb: 'hand_over', groupId: group.id };
    },
  ],
  [
    key('failover'),
    (region, group) => {
      requireStatus(region, group, 'failover', [
        'available',
        'error_reversing',
        'error_failovering',
        'reversing',
      ]);
      requireFault(region, group);
      return { verb: 'fail_over', groupId: group.id };
    },
  ],
  [
    key('reprotect'),
    (region, group) => {
      requireStatus(region, group, 'reprotect', ['failovered']);
      if (statesOf(region, group).faultLevel !== '0') {
        throw new Fault(
          409,
          `Replication consistency group ${group.id} cannot be reprotected: the other zone does not answer.`,
        );
      }
      return { verb: 'reprotect', groupId: group.id };
    },
  ],
]);

export const consistencyGroupActions: FastifyPluginAsync<EvsOptions> = async (http, { app }) => {
  const config = { needs: 'recovery', isExtension: true } as const;
  const url = '/os-vendor-replication-consistency-groups/:id/action';

  http.post(url, { config }, async (request, reply) => {
    const region = await seeRegion(app);
    const group = groupNamed(region, (request.params as { readonly id: string }).id);
    const errand = actionIn(request.body)(region, group);
    await app.askSite({ errand, by: callerName(request) });
    return reply.code(200).send();
  });
};

/** @throws Fault 400 unless the body is one known key with the value null, or an empty object */
function actionIn(body: unknown): Action {
  const entries = isMembers(body) ? Object.entries(body) : [];
  const [entry] = entries;
  if (entry === undefined || entries.length > 1) {
    throw new Fault(400, 'Malformed request body: wanted one action.');
  }
  const [name, value] = entry;
  const action = actions.get(name);
  if (action === undefined) {
    const known = [...actions.keys()].join(', ');
    throw new Fault(400, `There is no such action: ${clipped(name)}; there are ${known}.`);
  }
  const isEmpty = value === null || (isMembers(value) && Object.keys(value).length === 0);
  if (isEmpty) return action;
  throw new Fault(400, `Invalid input for ${name}: wanted null.`);
}

/** A planned switch begins where both sides are level, or can be made so without a full copy. */
function requireSynchronized(region: Region, group: SeenGroup): void {
  const { session } = group;
  const { replicationStatus, faultLevel } = statesOf(region, group);
  const isSynchronous = session?.dataCondition !== undefined;
  const isLevel = isSynchronous
    ? replicationStatus === 'active'
    : replicationStatus === 'copying' && session?.newestPointAt !== undefined;
  if (isLevel) return;
  throw new Fault(
    409,
    `Replication consistency group ${group.id} has replication_status ${replicationStatus} and fault_level ${faultLevel}: reverse is possible when its synchronization is complete and it works normally.`,
  );
}

/** An unplanned switch loses what the other zone does not have, so it is for when this one is gone. */
function requireFault(region: Region, group: SeenGroup): void {
  const { faultLevel } = statesOf(region, group);
  if (faultLevel === '2') return;
  const why =
    faultLevel === '5'
      ? 'the zone that would take over does not answer'
      : 'its production zone answers; os-reverse-replication-consistency-group loses nothing';
  throw new Fault(
    409,
    `Replication consistency group ${group.id} cannot fail over with fault_level ${faultLevel}: ${why}.`,
  );
}
