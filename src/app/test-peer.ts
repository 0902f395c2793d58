import type { SiteId } from '../domain/ids.ts';
import type { AppPorts } from './app-ports.ts';

/**
 * Asks a peer something now, whatever the link was like before. Returns when it has answered.
 *
 * @throws Refusal `not_found`, `peer_unreachable`
 */
export async function testPeer(
  { store, peer }: Pick<AppPorts, 'store' | 'peer'>,
  { peerId }: { readonly peerId: SiteId },
): Promise<void> {
  await store.read((tx) => tx.peers.need(peerId));
  await peer.showHoldings(peerId);
}
