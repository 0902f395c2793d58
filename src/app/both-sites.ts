/**
 * Both sites as one: whoever asks at one of them sees the volumes and groups of both. Each group
 * is described by the site that holds it; where that one does not answer, by what is known here.
 */
import type { GroupId, SiteId } from '../domain/ids.ts';
import { Refusal } from '../domain/refusal.ts';
import type { Peer } from '../domain/site.ts';
import type { HeldGroup } from '../ports/errands.ts';
import type { AppPorts } from './app-ports.ts';
import { describe, describeHoldings } from './holdings.ts';

type Deps = Pick<AppPorts, 'store' | 'peer' | 'here'>;

export interface BothSites {
  readonly here: SiteId;
  /** This one first. */
  readonly sites: readonly SeenSite[];
  readonly groups: readonly SeenGroup[];
}

export interface SeenSite {
  readonly id: SiteId;
  readonly name: string;
  readonly answers: boolean;
}

export interface SeenGroup extends HeldGroup {
  /** The site where its volumes were made; it changes as little as their ids. */
  readonly homeId: SiteId;
  /** Its holder does not answer: this is what was known here before. */
  readonly isStale: boolean;
}

/** What both sites hold. Never throws for a silent peer: `answers` says it. */
export async function showBothSites(ports: Deps): Promise<BothSites> {
  const { store, here } = ports;
  const { site, peers, down, known } = await store.read(async (tx) => ({
    site: await tx.site.need(here),
    peers: await tx.peers.all(),
    down: (await tx.links.all()).filter((l) => l.state === 'down').map((l) => l.siteId),
    known: await Promise.all((await tx.groups.all()).map((group) => describe(tx, group))),
  }));
  const own = await describeHoldings(ports);
  const theirs = await Promise.all(
    peers.map(async (peer) => (down.includes(peer.id) ? undefined : holdingsOf(ports, peer))),
  );
  const told = [own, ...theirs.filter((answer) => answer !== undefined)];
  const fresh = told.flatMap(({ groups }) => groups.map((group) => ({ group, isStale: false })));
  const silent = new Set<SiteId>(peers.filter((_, i) => theirs[i] === undefined).map((p) => p.id));
  const before = known.filter(({ ownership, operation }) => {
    // On its way from one site to the other a group is nobody's for a moment. What is at rest, and
    // not held by the site that is said to hold it, is the copy of a group that is no more.
    return ownership.holder === here || silent.has(ownership.holder) || operation !== undefined;
  });
  const stale = before.map((group) => ({ group, isStale: silent.has(group.ownership.holder) }));
  const best = new Map<GroupId, { readonly group: HeldGroup; readonly isStale: boolean }>();
  for (const seen of [...fresh, ...stale]) {
    const other = best.get(seen.group.id);
    const isNewer = other && seen.group.ownership.epoch > other.group.ownership.epoch;
    if (other === undefined || isNewer) best.set(seen.group.id, seen);
  }
  return {
    here,
    sites: [
      { id: site.id, name: site.name, answers: true },
      ...peers.map(({ id, name }) => ({ id, name, answers: !silent.has(id) })),
    ],
    groups: [...best.values()].map(({ group, isStale }) => ({
      ...group,
      isStale,
      homeId: homeOf(group, here),
    })),
  };
}

async function holdingsOf(
  { peer }: Deps,
  { id }: Peer,
): Promise<{ readonly groups: readonly HeldGroup[] } | undefined> {
  try {
    return await peer.showHoldings(id);
  } catch (error) {
    if (error instanceof Refusal && error.reason.code === 'peer_unreachable') return undefined;
    throw error;
  }
}

/**
 * A group begins at epoch 1 where it is made, and each change of holder adds one; between two
 * sites it therefore is at home in every odd epoch.
 */
function homeOf({ ownership, session }: HeldGroup, here: SiteId): SiteId {
  const { holder, epoch } = ownership;
  if (session === undefined || epoch % 2 === 1) return holder;
  // At the holder the session's peer is the other site; at the destination that is the holder.
  return session.peerId === holder ? here : session.peerId;
}
