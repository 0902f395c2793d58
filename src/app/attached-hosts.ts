/**
 * Which hosts have a volume attached: their agents say so with each question, and the kernel lists
 * the connections of all others. What agents said is remembered, not kept: they say it again.
 */
import type { Group } from '../domain/group.ts';
import type { GroupId, Instant, VolumeId } from '../domain/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { AppPorts } from './app-ports.ts';

/** An agent asks at least every few seconds; one that is silent for so long is not there. */
const FORGET_AFTER_MS = 30_000;

export interface AttachedHost {
  readonly host: string;
  /** Where its agent asks from. */
  readonly address: string;
  readonly volumeId: VolumeId;
  readonly groupId: GroupId;
  /** `closed`: its requests fail, see `why`. */
  readonly state: AttachedState;
  readonly why: string | undefined;
  /** In this state, as far as this site remembers. */
  readonly since: Instant;
  readonly lastSeenAt: Instant;
}

export type AttachedState = 'open' | 'waiting' | 'closed';

export type AttachedReport = Pick<
  AttachedHost,
  'host' | 'address' | 'volumeId' | 'groupId' | 'state' | 'why'
>;

export class AttachedHosts {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #log: Log;
  readonly #seen = new Map<string, AttachedHost>();

  constructor(clock: Pick<Clock, 'now'>, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  report(told: AttachedReport): void {
    const { host, volumeId, groupId, state, why } = told;
    const key = `${host} ${volumeId}`;
    const now = this.#clock.now();
    const before = this.#seen.get(key);
    const isSame = before?.state === state && before.why === why;
    this.#seen.set(key, { ...told, since: isSame ? before.since : now, lastSeenAt: now });
    if (isSame) return;
    const line = { event: 'host_attached', host, volumeId, groupId, toState: state, why };
    if (state === 'closed') this.#log.warn(line);
    else this.#log.info(line);
  }

  of(groupId: GroupId): readonly AttachedHost[] {
    const oldest = this.#clock.now() - FORGET_AFTER_MS;
    for (const [key, { lastSeenAt }] of this.#seen) if (lastSeenAt < oldest) this.#seen.delete(key);
    return [...this.#seen.values()].filter((one) => one.groupId === groupId);
  }
}

/** @throws Refusal `not_found` */
export async function listAttachedHosts(
  { store, attached }: Pick<AppPorts, 'store' | 'attached'>,
  volumeId: VolumeId,
): Promise<readonly AttachedHost[]> {
  const { groupId } = await store.read((tx) => tx.volumes.need(volumeId));
  return attached.of(groupId).filter((one) => one.volumeId === volumeId);
}

/** What a handover means for those who are connected now. */
export interface HostsAtHandover {
  /** Their agents follow: they notice a pause. */
  readonly follow: readonly { readonly host: string; readonly address: string }[];
  /** Connections of programs that follow nobody, by where they come from. */
  readonly cut: readonly { readonly address: string; readonly connections: number }[];
}

type Deps = Pick<AppPorts, 'engine' | 'attached' | 'hostConnections'>;

/**
 * An agent has one connection for each volume that it has open; what an address has beyond those of
 * its agents is somebody else's.
 */
export async function hostsAtHandover(ports: Deps, group: Group): Promise<HostsAtHandover> {
  const attached = ports.attached.of(group.id);
  const agents = Map.groupBy(attached, ({ host, address }) => `${host} ${address}`);
  const follow = [...agents.values()].flatMap(([one]) =>
    one === undefined ? [] : [{ host: one.host, address: one.address }],
  );
  const { serving, address: at } = await ports.engine.inspect(group.id);
  if (!serving || at === undefined) return { follow, cut: [] };
  const addresses = await ports.hostConnections.addresses(at.host, at.port);
  const cut = [...Map.groupBy(addresses, (address) => address)].flatMap(([address, all]) => {
    const own = attached.filter((one) => one.address === address && one.state === 'open').length;
    const connections = all.length - own;
    return connections > 0 ? [{ address, connections }] : [];
  });
  return { follow, cut };
}
