import type { GroupId, SiteId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import { sessionOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';

/**
 * A site speaks only of the groups that it shares with this one: of a group that is replicated with
 * another site, no third site's word counts, however well it is paired.
 *
 * @throws Refusal `peer_untrusted`
 */
export async function requirePeerOfGroup(
  { store }: Pick<AppPorts, 'store'>,
  from: SiteId,
  groupId: GroupId,
): Promise<void> {
  const session = await store.read((tx) => sessionOf(tx, groupId));
  if (session === undefined || session.peerId === from) return;
  const detail = `group ${groupId} is replicated with site ${session.peerId}, not with ${from}`;
  refuse({ code: 'peer_untrusted', detail });
}
