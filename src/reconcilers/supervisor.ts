/**
 * Keeps every group that this site holds open to its hosts, whatever dies, and nothing else.
 * Remembers what it last saw of each data plane for the heartbeats.
 */
import { isDeepStrictEqual } from 'node:util';
import type { AppPorts } from '../app/app-ports.ts';
import { keepCopiesOpen } from '../app/copies.ts';
import type { DataPlanes } from '../app/meet-peer.ts';
import { openHeldGroup } from '../app/open-group.ts';
import { setAsidePresent } from '../app/set-aside-present.ts';
import { mayServe } from '../domain/group.ts';
import { isHeldBack } from '../domain/synchrony.ts';
import type { Group } from '../domain/group.ts';
import type { GroupId } from '../domain/ids.ts';
import type { GroupInspection } from '../ports/engine.ts';
import type { FirstWords } from './first-words.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

const REST_MS = 500;

export interface Supervisor extends Loop {
  readonly dataPlanes: DataPlanes;
}

export function supervisor(ports: AppPorts, firstWords: FirstWords): Supervisor {
  const memory: Memory = { seen: new Map(), opened: new Map() };
  const { seen } = memory;
  const round = async (): Promise<void> => {
    const groups = await ports.store.read((tx) => tx.groups.all());
    for (const gone of seen.keys()) if (!groups.some((g) => g.id === gone)) seen.delete(gone);
    await Promise.all(groups.map((group) => supervise(ports, group, memory, firstWords)));
    await keepCopiesOpen(ports);
  };
  return {
    ...loop(ports, 'supervisor', REST_MS, round),
    dataPlanes: (groupId) => {
      const inspection = seen.get(groupId);
      const { dataPlane = 'stopped', instance } = inspection ?? {};
      return { dataPlane, instance };
    },
  };
}

interface Memory {
  readonly seen: Map<GroupId, GroupInspection>;
  /** To which hosts each group was opened last by this process. */
  readonly opened: Map<GroupId, readonly string[]>;
}

async function supervise(
  ports: AppPorts,
  { id: groupId }: Group,
  { seen, opened }: Memory,
  firstWords: FirstWords,
): Promise<void> {
  const { store, engine, here, log } = ports;
  try {
    const inspection = await engine.inspect(groupId);
    seen.set(groupId, inspection);
    // Read after the look: a decision on an older row could open what was just fenced.
    const group = await store.read((tx) => tx.groups.get(groupId));
    if (group === undefined) return;
    const serves = await shouldServe(ports, group);
    const mayOpen = inspection.serving || (await isSettled(ports, group, firstWords));
    if (serves && mayOpen && inspection.dataPlane !== 'hung')
      await keepOpen(ports, group, inspection, opened);
    if (group.ownership.holder !== here && inspection.hasPresent) {
      await setAsidePresent(ports, { groupId });
    }
    if (group.ownership.holder !== here && inspection.serving) {
      log.error({ event: 'group_fenced_not_holder', groupId, holder: group.ownership.holder });
      await engine.fence(groupId);
    }
  } catch (error) {
    log.error({ event: 'supervision_failed', groupId, error });
  }
}

/**
 * Opens what is closed, and opens again what was opened to other hosts than the store has now: a
 * crash may have come between the two.
 */
async function keepOpen(
  ports: AppPorts,
  group: Group,
  { serving, dataPlane }: GroupInspection,
  opened: Memory['opened'],
): Promise<void> {
  const { id: groupId } = group;
  const sessions = await ports.store.read((tx) => tx.sessions.where({ groupId }));
  const hosts = sessions.some(isHeldBack) ? [] : group.hosts;
  if (serving && isDeepStrictEqual(opened.get(groupId), hosts)) return;
  if (!serving) ports.log.warn({ event: 'group_opened_again', groupId, dataPlane });
  await openHeldGroup(ports, groupId);
  opened.set(groupId, hosts);
}

/** The peer that a group is shared with has had its say. One that is open already is not closed for it. */
async function isSettled(
  { store }: AppPorts,
  { id: groupId }: Group,
  firstWords: FirstWords,
): Promise<boolean> {
  const sessions = await store.read((tx) => tx.sessions.where({ groupId }));
  return sessions.every(({ peerId }) => firstWords.has(peerId));
}

/** Operations whose own steps close and open the group's exports. */
const openAndCloseThemselves = new Set([
  'resize-volume',
  'move-volume',
  'delete-volume',
  'delete-group',
  'failover',
  'go-back',
]);

async function shouldServe({ store, here }: AppPorts, group: Group): Promise<boolean> {
  if (!mayServe(group, here)) return false;
  return store.read(async (tx) => {
    const volumes = await tx.volumes.where({ groupId: group.id });
    const ready = volumes.some(({ state }) => state === 'ready' || state === 'importing');
    const operation = group.operation && (await tx.sagas.get(group.operation));
    return ready && !openAndCloseThemselves.has(operation?.kind ?? '');
  });
}
