import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { Compile } from 'typebox/compile';
import { Refusal, refuse } from '../domain/refusal.ts';
import type { Reason } from '../domain/refusal.ts';
import type { SiteId } from '../domain/ids.ts';
import type { Introduction, Invitation, Pairing } from '../ports/pairing.ts';
import { fingerprintOf } from './certificate-check.ts';
import { postJson } from './post-json.ts';
import { introduce as message, PATH } from './v1/messages.ts';

const TIMEOUT_MS = 10_000;

const validator = Compile(message.answer);

export interface PairingOptions {
  readonly introduction: Introduction;
  /** Lets this site's data planes know or forget the peer's authority. */
  readonly trust: Pairing['trust'];
  readonly distrust: Pairing['distrust'];
}

export function pairing({ introduction, trust, distrust }: PairingOptions): Pairing {
  return {
    introduction: () => introduction,
    authorityFingerprint: () => fingerprintOf(new X509Certificate(introduction.authorityPem)),
    introduce: (invitation, self) => introduceTo(invitation, self),
    trust,
    distrust,
  };
}

/** The token names the authority, so the secret is shown to the site that made it and no other. */
async function introduceTo(invitation: Invitation, self: Introduction): Promise<Introduction> {
  const { host, port, secret } = invitation;
  const socket = await reach(invitation);
  try {
    requireAuthority(socket, invitation);
    const body = { secret, introduction: self };
    const path = `${PATH}/introduce`;
    const answer = await postJson({
      host,
      port,
      path,
      body,
      timeoutMs: TIMEOUT_MS,
      connection: socket,
    });
    if (answer.status === 200 && validator.Check(answer.body))
      return answer.body as unknown as Introduction;
    const { reason } = (answer.body ?? {}) as { readonly reason?: Reason };
    if (reason !== undefined) refuse(reason);
    return refuse({ code: 'peer_untrusted', detail: `it answered HTTP ${answer.status}` });
  } finally {
    socket.destroy();
  }
}

async function reach({ host, port }: Invitation): Promise<TLSSocket> {
  // No authority to verify against yet: `requireAuthority` looks before anything is sent.
  const socket = connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return socket;
  } catch (error) {
    socket.destroy();
    const detail = `${host}:${port}: ${error instanceof Error ? error.message : String(error)}`;
    const unknown = 'of the pairing token' as SiteId;
    throw new Refusal({ code: 'peer_unreachable', siteId: unknown, detail }, { cause: error });
  }
}

function requireAuthority(socket: TLSSocket, { authorityFingerprint }: Invitation): void {
  const leaf = socket.getPeerX509Certificate();
  const issuer = leaf?.issuerCertificate;
  const vouched =
    leaf !== undefined &&
    issuer !== undefined &&
    fingerprintOf(issuer) === authorityFingerprint &&
    leaf.checkIssued(issuer) &&
    leaf.verify(issuer.publicKey);
  if (vouched) return;
  refuse({
    code: 'peer_untrusted',
    detail: 'another site answers at the address of the pairing token',
  });
}
