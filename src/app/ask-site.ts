import type { SiteId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { Errand, ErrandAnswer } from '../ports/errands.ts';
import type { AppPorts } from './app-ports.ts';
import { showBothSites } from './both-sites.ts';
import type { BothSites, SeenGroup } from './both-sites.ts';
import { runErrand } from './run-errand.ts';

export interface AskSite {
  readonly errand: Errand;
  /** Who asked. */
  readonly by: string;
  /** Where something new is to be; of what exists the holder is found. */
  readonly at?: SiteId | undefined;
}

/**
 * Has a request carried out at the site that may: the holder, and for a failover the other one.
 *
 * @throws Refusal of the use case that the verb names, `not_found`, `peer_unreachable`, `in_use`
 *   for a volume that is in a pair, at whichever end
 */
export async function askSite(ports: AppPorts, { errand, by, at }: AskSite): Promise<ErrandAnswer> {
  const view = await showBothSites(ports);
  if (errand.verb === 'delete_volume') refuseEndOfPair(view, errand.volumeId);
  const to = at ?? siteFor(view, errand);
  if (to === ports.here) return runErrand(ports, errand, by);
  const site = view.sites.find(({ id }) => id === to);
  if (site === undefined) return refuse({ code: 'not_found', what: 'peer', id: to });
  if (!site.answers) refuse({ code: 'peer_unreachable', siteId: to, detail: 'no heartbeat' });
  return ports.peer.runErrand(to, { errand, by });
}

function siteFor(view: BothSites, errand: Errand): SiteId {
  const group = groupOf(view, errand);
  const { holder } = group.ownership;
  if (errand.verb !== 'fail_over') return holder;
  if (group.session === undefined) return refuse({ code: 'not_protected', groupId: group.id });
  return holder === view.here ? group.session.peerId : view.here;
}

function groupOf({ groups, here }: BothSites, errand: Errand): SeenGroup {
  if ('groupId' in errand) {
    const { groupId: id } = errand;
    return groups.find((g) => g.id === id) ?? refuse({ code: 'not_found', what: 'group', id });
  }
  const id = 'volumeId' in errand ? errand.volumeId : firstVolumeOf(errand, here);
  const found = groups.find((g) => g.volumes.some((v) => v.id === id));
  return found ?? refuse({ code: 'not_found', what: 'volume', id });
}

/** A new group is made where its volumes are. */
function firstVolumeOf(errand: Errand, here: SiteId): string {
  const [first] = errand.verb === 'create_group' ? errand.volumeIds : [];
  return first ?? here;
}

function refuseEndOfPair({ groups }: BothSites, id: string): void {
  const volumes = groups.flatMap((group) => group.volumes);
  const ends = volumes.filter((v) => v.id === id || v.standIn?.volumeId === id);
  const standIn = ends.find((v) => v.standIn !== undefined)?.standIn;
  if (standIn === undefined) return;
  refuse({ code: 'in_use', what: 'volume', id, by: `pair ${standIn.pairId}` });
}
