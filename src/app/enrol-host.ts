import { createHash, randomBytes } from 'node:crypto';
import type { Host } from '../domain/host.ts';
import { newId } from '../domain/ids.ts';
import type { HostId, SiteId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { refuse } from '../domain/refusal.ts';
import type { HostEnrolment } from '../ports/peer.ts';
import type { Transaction } from '../ports/store.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'certificates' | 'here' | 'nativeUrl'>;

/**
 * Makes a host known here and at every peer, and issues what its agent needs to follow a volume from
 * one to the other. The keys are in the answer and nowhere else. Enrolling again issues others: the
 * agent that has the earlier ones is not answered any more, and its certificates stay good until
 * they end.
 *
 * @returns one part for each site, this one first
 * @throws Refusal `invalid`, `peer_unreachable`; `in_use` where a peer has a host of that name that
 *   is none of this site's business. Then nothing has changed here.
 */
export async function enrolHost(
  ports: Deps & Pick<AppPorts, 'peer'>,
  { name }: { readonly name: string },
): Promise<readonly HostEnrolment[]> {
  checkName(name);
  const peers = await ports.store.read((tx) => tx.peers.all());
  const there: HostEnrolment[] = [];
  for (const { id } of peers) there.push(await ports.peer.enrolHost(id, { name }));
  return [await enrolHere(ports, name), ...there];
}

/**
 * The same for a peer. A name that is known here stands for another machine as far as this site can
 * tell, unless all that it may attach is shared with that peer: who has the peer has that anyway.
 *
 * @throws Refusal `invalid`, `in_use`
 */
export async function enrolPeersHost(
  ports: Deps,
  from: SiteId,
  { name }: { readonly name: string },
): Promise<HostEnrolment> {
  checkName(name);
  await ports.store.read(async (tx) => {
    const groups = (await tx.groups.all()).filter((g) => g.hosts.includes(name));
    const shared = await tx.sessions.where({ peerId: from });
    const foreign = groups.find((g) => !shared.some(({ groupId }) => groupId === g.id));
    if (foreign === undefined) return;
    const by = `group ${foreign.name}, which site ${from} has no part in`;
    refuse({ code: 'in_use', what: 'host', id: name, by });
  });
  return enrolHere(ports, name);
}

async function enrolHere(ports: Deps, name: string): Promise<HostEnrolment> {
  const { store, clock, certificates, here, nativeUrl } = ports;
  const token = randomBytes(32).toString('base64url');
  const files = await certificates.issue(name);
  const siteName = await store.transaction(async (tx) => {
    const known = (await tx.hosts.where({ name }))[0];
    const host =
      known ?? (await tx.hosts.insert({ id: newId<HostId>(), name, createdAt: clock.now() }));
    await tx.hosts.change(host.id, (h) => ({ ...h, agentTokenHash: hashOf(token) }));
    return (await tx.site.need(here)).name;
  });
  return { siteId: here, siteName, url: nativeUrl, token, files };
}

/**
 * The host whose agent asks.
 *
 * @throws Refusal `unauthenticated`
 */
export async function requireAgent(tx: Transaction, token: string): Promise<Host> {
  const [host] = await tx.hosts.where({ agentTokenHash: hashOf(token) });
  return host ?? refuse({ code: 'unauthenticated', why: 'no host is enrolled with this token' });
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
