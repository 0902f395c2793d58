/** A group returns to the site that it was taken from: that site's half of `roll-back`. */
import type { HistoryAside } from '../domain/failover-window.ts';
import type { Group } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import type { HistoryId, SiteId } from '../domain/ids.ts';
import { requireEpoch } from '../domain/ownership.ts';
import { refuse } from '../domain/refusal.ts';
import { afterHandover } from '../domain/replication-session.ts';
import type { AdoptedFork } from '../ports/engine-copies.ts';
import type { PrepareHandover, ReturnGroup } from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import { adopt, recordAdopted } from '../sagas/adopt.ts';
import { newFork } from '../sagas/forks.ts';
import { needSession } from '../sagas/offer.ts';
import { lockGroup, openGroup } from '../sagas/operation.ts';
import { needFork, requireAdoptable } from './adopt-fork.ts';
import type { AppPorts } from './app-ports.ts';
import { requireRoomToServe } from './take-group.ts';

/**
 * Locks the group here, so that it can be returned, or says why this site cannot take it back.
 *
 * @returns where what it had is
 * @throws Refusal `stale_epoch`, `operation_running`, `not_protected`, `no_space`, `wrong_state` (its
 *   own history is not set aside), `not_found` (it was deleted), `unsupported` (the group has other
 *   volumes by now)
 */
export async function prepareReturn(
  { store, engine, here }: Pick<AppPorts, 'store' | 'engine' | 'here'>,
  { groupId, epoch, sagaId }: PrepareHandover,
): Promise<HistoryAside> {
  await requireRoomToServe({ engine, here });
  const { forks } = await engine.inspect(groupId);
  return store.transaction(async (tx) => {
    const group = await tx.groups.need(groupId);
    requireEpoch(groupId, group.ownership, epoch);
    await needSession(tx, groupId);
    const aside = needAside(group);
    if (aside.forkId !== undefined) {
      requireAdoptable(group, await needFork(tx, groupId, aside.forkId), forks);
    }
    await lockGroup(tx, groupId, sagaId);
    return aside;
  });
}

/**
 * The group is this site's again, as it was when it was taken: what was set aside is the present, its
 * points are the group's, and hosts that knew its history go on with it. Who may attach is what it was
 * there last: a host that was unmapped meanwhile stays outside. Returns when it is served.
 *
 * A repeat does what is left to do. Until the row says that this site holds the group nobody is served,
 * and the lock keeps everything else away.
 *
 * @throws Refusal `stale_epoch` — also when this site took it by itself, to stand on something else;
 *   `operation_running` while a failover is about to do that; of `Engine.adoptFork`
 */
export async function takeBack(ports: Ports, from: SiteId, request: ReturnGroup): Promise<void> {
  const { groupId, epoch, aside } = request;
  const { ownership } = await ports.store.read((tx) => mayTakeBack(tx, ports, request));
  if (ownership.epoch < epoch) {
    const { forkId } = aside;
    const adopted =
      forkId === undefined
        ? undefined
        : await adopt(ports, groupId, { forkId, copyId: undefined }, request.spareForkId);
    await ports.store.transaction((tx) => record(tx, ports, from, request, adopted));
  }
  await openGroup(ports, groupId);
}

type Ports = Pick<AppPorts, 'store' | 'engine' | 'clock' | 'here' | 'gate'>;

/** @returns the group; at the request's epoch when it was taken back already */
async function mayTakeBack(
  tx: Transaction,
  { here }: Ports,
  { groupId, epoch }: ReturnGroup,
): Promise<Group> {
  const group = await tx.groups.need(groupId);
  const { ownership, operation } = group;
  const isTaken = ownership.holder === here && ownership.epoch === epoch && !ownership.forced;
  if (isTaken) return group;
  requireEpoch(groupId, ownership, epoch - 1);
  const own = operation && (await tx.sagas.get(operation));
  if (own) refuse({ code: 'operation_running', groupId, sagaId: own.id, kind: own.kind });
  return group;
}

async function record(
  tx: Transaction,
  ports: Ports,
  from: SiteId,
  request: ReturnGroup,
  adopted: AdoptedFork | undefined,
): Promise<void> {
  const { groupId, epoch, aside } = request;
  const { here, clock } = ports;
  const { ownership, overtaken } = await mayTakeBack(tx, ports, request);
  if (ownership.epoch === epoch) return;
  const { basePointId, forkId } = aside;
  if (adopted !== undefined && forkId !== undefined) {
    await recordAdopted(tx, groupId, basePointId, { forkId, copyId: undefined }, adopted);
  }
  const isKnown = overtaken?.epoch === ownership.epoch;
  // Where it is not known any more, hosts are asked before they go on.
  const history = isKnown ? overtaken.history : { id: newId<HistoryId>(), pointId: basePointId };
  const { name } = await tx.groups.change(groupId, (g) => ({
    ...g,
    ownership: { holder: here, epoch, forced: false, history },
    operation: undefined,
    overtaken: undefined,
    standsOn: basePointId,
    offline: false,
    hosts: request.hosts,
  }));
  const now = clock.now();
  const session = await needSession(tx, groupId);
  await tx.sessions.change(session.id, (s) => ({
    ...afterHandover(s, 'source', true, now),
    peerId: from,
  }));
  if (adopted?.aside === undefined) return;
  const { forkId: spareForkId } = adopted.aside;
  await tx.forks.insert(
    newFork({ forkId: spareForkId, groupId, name, here, origin: 'rollback', now }, adopted.aside),
  );
}

function needAside({ name, ownership, overtaken }: Group): HistoryAside {
  const aside = overtaken?.epoch === ownership.epoch ? overtaken.aside : undefined;
  if (aside !== undefined) return aside;
  return refuse({
    code: 'wrong_state',
    what: 'group',
    id: name,
    state: `without what this site had before epoch ${ownership.epoch}`,
    event: 'return',
    allowedIn: ['it has set its own history aside'],
  });
}
