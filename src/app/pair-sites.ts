/**
 * Two sites come to know each other.
 *
 *   here: invite ── the token, by hand ──▶ there: joinPeer
 *   here: acceptIntroduction ◀── their introduction and the secret, by TLS ── there
 *   both keep the other's certificate authority and trust nothing else under its name
 */
import { createHash, randomBytes } from 'node:crypto';
import { isId } from '../domain/ids.ts';
import type { SiteId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { PAIRING_TOKEN_TERM_MS } from '../domain/pairing.ts';
import { refuse } from '../domain/refusal.ts';
import type { Peer } from '../domain/site.ts';
import type { Introduction, Invitation } from '../ports/pairing.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'pairing' | 'here'>;

const PREFIX = 'baton1.';

/** Makes a one-time token for another site to join with. It is in the answer and nowhere else. */
export async function invitePeer({
  store,
  clock,
  pairing,
}: Pick<Deps, 'store' | 'clock' | 'pairing'>): Promise<{
  readonly token: string;
  readonly expiresAt: number;
}> {
  const secret = randomBytes(24).toString('base64url');
  const expiresAt = clock.now() + PAIRING_TOKEN_TERM_MS;
  await store.transaction(async (tx) => {
    for (const old of await tx.pairingTokens.all()) {
      if (old.expiresAt <= clock.now()) await tx.pairingTokens.remove(old.id);
    }
    await tx.pairingTokens.insert({ id: hashOf(secret), expiresAt });
  });
  const { name, host, port } = pairing.introduction();
  const authorityFingerprint = pairing.authorityFingerprint();
  const invitation: Invitation = { name, host, port, authorityFingerprint, secret };
  return {
    token: PREFIX + Buffer.from(JSON.stringify(invitation)).toString('base64url'),
    expiresAt,
  };
}

export interface JoinPeer {
  readonly token: string;
  /** Whom the caller means, where it says so: the token of another is refused before it is used. */
  readonly name?: string | undefined;
  readonly host?: string | undefined;
}

/**
 * Joins the site that made the token. Both know each other when this resolves; a repeat after a
 * lost answer needs a new token and changes nothing else. Of a token of this site's own that has
 * been joined with it finds the site that did, which needs to be named.
 *
 * @throws Refusal `invalid` (not a token, or not of whom the caller means), `already_exists` where
 *   it names whom this site knows, `peer_unreachable`, `peer_untrusted`
 */
export async function joinPeer(ports: Deps, { token, name, host }: JoinPeer): Promise<Peer> {
  const invitation = decode(token);
  if (invitation.authorityFingerprint === ports.pairing.authorityFingerprint()) {
    return joinedBy(ports, invitation, name);
  }
  if (name !== undefined) await refuseKnown(ports, name);
  refuseOther('name', invitation.name, name);
  refuseOther('host', invitation.host, host);
  const introduction = await ports.pairing.introduce(invitation, ports.pairing.introduction());
  return keepPeer(ports, introduction);
}

async function refuseKnown({ store }: Deps, name: string): Promise<void> {
  const [known] = await store.read((tx) => tx.peers.where({ name }));
  if (known !== undefined) refuse({ code: 'already_exists', what: 'peer', name });
}

function refuseOther(field: string, made: string | undefined, meant: string | undefined): void {
  if (made === undefined || meant === undefined || made === meant) return;
  refuse({ code: 'invalid', field, wanted: `${made}, which made the token`, seen: meant });
}

/** The other half of a pairing, for callers that ask for it at both sites. */
function joinedBy(
  { store }: Deps,
  { secret }: Invitation,
  name: string | undefined,
): Promise<Peer> {
  return store.read(async (tx) => {
    const isWaiting = (await tx.pairingTokens.get(hashOf(secret))) !== undefined;
    const [peer] = isWaiting || name === undefined ? [] : await tx.peers.where({ name });
    if (peer !== undefined) return peer;
    const wanted = 'the token of another site: this one is for the other site to join with, first';
    return refuse({ code: 'invalid', field: 'token', wanted, seen: 'one of this site' });
  });
}

/** Whether it could be one: a caller that takes other secrets, too, tells its users what is wanted. */
export function isPairingToken(text: string): boolean {
  return text.startsWith(PREFIX);
}

/**
 * The inviting side's part: the secret is right, so the other site is who the operator meant.
 *
 * @throws Refusal `peer_untrusted`
 */
export async function acceptIntroduction(
  ports: Deps,
  { secret, introduction }: { readonly secret: string; readonly introduction: Introduction },
): Promise<Introduction> {
  const id = hashOf(secret);
  await ports.store.transaction(async (tx) => {
    const token = await tx.pairingTokens.get(id);
    if (token === undefined || token.expiresAt <= ports.clock.now()) {
      refuse({ code: 'peer_untrusted', detail: 'the pairing token is unknown, used or expired' });
    }
    await tx.pairingTokens.remove(id);
  });
  await keepPeer(ports, introduction);
  return ports.pairing.introduction();
}

/**
 * Ends a pairing at this side.
 *
 * @throws Refusal `not_found`, `peer_in_use` while groups are replicated with it, `in_use` while a
 *   replication rule names it
 */
export async function removePeer(
  { store, pairing }: Pick<Deps, 'store' | 'pairing'>,
  { peerId }: { readonly peerId: SiteId },
): Promise<void> {
  await store.transaction(async (tx) => {
    await tx.peers.need(peerId);
    const sessions = await tx.sessions.where({ peerId });
    if (sessions.length > 0)
      refuse({ code: 'peer_in_use', siteId: peerId, groups: sessions.length });
    const rule = (await tx.rules.where({ peerId }))[0];
    if (rule !== undefined) {
      refuse({ code: 'in_use', what: 'peer', id: peerId, by: `replication rule ${rule.name}` });
    }
    await tx.peers.remove(peerId);
    await tx.links.remove(peerId);
  });
  await pairing.distrust(peerId);
}

async function keepPeer({ store, clock, pairing, here }: Deps, other: Introduction): Promise<Peer> {
  checkName(other.name, 'the other site’s name');
  if (!isId(other.siteId) || other.siteId === here) {
    refuse({
      code: 'peer_untrusted',
      detail: 'it gave no site id, or ours: a site cannot pair with itself',
    });
  }
  const { siteId: id, name, host, port, authorityPem } = other;
  const peer = await store.transaction(async (tx) => {
    const namesake = (await tx.peers.where({ name })).find((p) => p.id !== id);
    if (namesake !== undefined) refuse({ code: 'already_exists', what: 'peer', name });
    const known = await tx.peers.get(id);
    if (known === undefined) {
      return tx.peers.insert({ id, name, host, port, authorityPem, pairedAt: clock.now() });
    }
    return tx.peers.change(id, (p) => ({ ...p, name, host, port, authorityPem }));
  });
  await pairing.trust(peer);
  return peer;
}

function decode(token: string): Invitation {
  const wanted = `the token that the other site printed, beginning with ${PREFIX}`;
  const invalid = (): never =>
    refuse({
      code: 'invalid',
      field: 'token',
      wanted,
      seen: `${token.length} characters of something else`,
    });
  if (!isPairingToken(token)) invalid();
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(token.slice(PREFIX.length), 'base64url').toString());
  } catch {
    invalid();
  }
  const { name, host, port, authorityFingerprint, secret } = (parsed ?? {}) as Partial<
    Record<string, unknown>
  >;
  if (
    (name !== undefined && typeof name !== 'string') ||
    typeof host !== 'string' ||
    typeof port !== 'number' ||
    typeof authorityFingerprint !== 'string' ||
    typeof secret !== 'string'
  ) {
    return invalid();
  }
  return { name, host, port, authorityFingerprint, secret };
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
