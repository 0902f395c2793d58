import type { Host } from '../domain/host.ts';
import { newId } from '../domain/ids.ts';
import type { GroupId, HostId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { mayServe } from '../domain/group.ts';
import { requireHolder } from '../domain/ownership.ts';
import { refuse } from '../domain/refusal.ts';
import type { HostBundle } from '../ports/host-certificates.ts';
import { serveGroup } from '../sagas/operation.ts';
import type { AppPorts } from './app-ports.ts';
import { refuseStandIn } from './pair-volumes.ts';

/**
 * Makes a host known here and issues its certificate. The key is in the answer and nowhere else.
 *
 * @throws Refusal `invalid`, `already_exists`
 */
export async function createHost(
  { store, clock, certificates }: Pick<AppPorts, 'store' | 'clock' | 'certificates'>,
  { name }: { readonly name: string },
): Promise<{ readonly host: Host; readonly bundle: HostBundle }> {
  checkName(name);
  const host = await store.transaction(async (tx) => {
    if ((await tx.hosts.where({ name })).length > 0) {
      refuse({ code: 'already_exists', what: 'host', name });
    }
    return tx.hosts.insert({ id: newId<HostId>(), name, createdAt: clock.now() });
  });
  return { host, bundle: await certificates.issue(name) };
}

/**
 * Issues another certificate for a host that is known here. Earlier ones stay good until they end.
 *
 * @throws Refusal `not_found`
 */
export async function renewHostCertificate(
  { store, certificates }: Pick<AppPorts, 'store' | 'certificates'>,
  { hostId }: { readonly hostId: HostId },
): Promise<HostBundle> {
  const { name } = await store.read((tx) => tx.hosts.need(hostId));
  return certificates.issue(name);
}

/** @throws Refusal `not_found`, or `in_use` while a group is mapped to it */
export function deleteHost(
  { store }: Pick<AppPorts, 'store'>,
  { hostId }: { readonly hostId: HostId },
): Promise<void> {
  return store.transaction(async (tx) => {
    const { name } = await tx.hosts.need(hostId);
    const by = (await tx.groups.all()).find((g) => g.hosts.includes(name));
    if (by !== undefined)
      refuse({ code: 'in_use', what: 'host', id: name, by: `group ${by.name}` });
    await tx.hosts.remove(hostId);
  });
}

export interface Mapping {
  readonly groupId: GroupId;
  readonly hostId: HostId;
}

/**
 * Lets a host attach every volume of the group, here and, with the next cycle, at the destination.
 * A repeat changes nothing.
 *
 * @throws Refusal `not_found`, `not_holder`, `in_use` for a volume that is another's stand-in
 */
export function mapHost(ports: Deps, { groupId, hostId }: Mapping): Promise<void> {
  return changeHosts(ports, groupId, hostId, (hosts, name) =>
    hosts.includes(name) ? hosts : [...hosts, name],
  );
}

/** Takes it back; the host is disconnected. A repeat changes nothing. */
export function unmapHost(ports: Deps, { groupId, hostId }: Mapping): Promise<void> {
  return changeHosts(ports, groupId, hostId, (hosts, name) => hosts.filter((h) => h !== name));
}

type Deps = Pick<AppPorts, 'clock' | 'store' | 'engine' | 'here' | 'gate'>;

async function changeHosts(
  ports: Deps,
  groupId: GroupId,
  hostId: HostId,
  change: (hosts: readonly string[], name: string) => readonly string[],
): Promise<void> {
  const group = await ports.store.transaction(async (tx) => {
    const { name } = await tx.hosts.need(hostId);
    const { ownership } = await tx.groups.need(groupId);
    requireHolder(groupId, ownership, ports.here);
    for (const { id } of await tx.volumes.where({ groupId })) await refuseStandIn(tx, id);
    return tx.groups.change(groupId, (g) => ({ ...g, hosts: change(g.hosts, name) }));
  });
  if (mayServe(group, ports.here) && group.volumeIds.length > 0) await serveGroup(ports, groupId);
}
