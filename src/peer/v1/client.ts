import { Agent } from 'node:https';
import { Compile } from 'typebox/compile';
import type { Validator } from 'typebox/compile';
import type { SiteId } from '../../domain/ids.ts';
import { Failure, Refusal, refuse } from '../../domain/refusal.ts';
import type { Reason } from '../../domain/refusal.ts';
import type { Peer } from '../../domain/site.ts';
import type { PeerProtocol } from '../../ports/peer.ts';
import type { Store } from '../../ports/store.ts';
import { postJson } from '../post-json.ts';
import { messages, PATH } from './messages.ts';
import type { MessageName } from './messages.ts';

/** How long an answer may take. Sealing and serving many volumes is the slowest of the short ones. */
const TIMEOUT_MS: { readonly [N in MessageName]: number } = {
  heartbeat: 1000,
  'offer-group': 10_000,
  'end-session': 60_000,
  'pause-session': 10_000,
  'receive-point': 60_000,
  'complete-point': 60_000,
  'open-standby': 60_000,
  'keep-standby': 60_000,
  'prepare-handover': 10_000,
  'cancel-handover': 10_000,
  'take-group': 60_000,
  'describe-group': 10_000,
  'prepare-return': 10_000,
  'return-group': 60_000,
  'note-fork': 10_000,
  'drop-fork': 10_000,
  'resize-volume': 10_000,
  // A page that somebody waits for shows what is known when this is over.
  'show-holdings': 2000,
  'run-errand': 30_000,
  'enrol-host': 10_000,
  'digest-ranges': 10 * 60_000,
  'hash-point': 60 * 60_000,
};

/** A refusal's reason, or in words what went wrong there. */
interface NoAnswer {
  readonly reason: Reason;
  readonly message: unknown;
}

export interface SiteCredentials {
  /** This site's certificate and its authority's, as one PEM. */
  readonly certificateChain: string;
  readonly privateKey: string;
}

export interface PeerClient extends PeerProtocol {
  /** Ends every call to that peer that waits for an answer; each is refused `peer_unreachable`. */
  endCalls(to: SiteId): void;
  close(): void;
}

/** Speaks version 1 to the peers in the store, over mutual TLS against their pinned authorities. */
export function peerClient(
  { store, here }: { readonly store: Store; readonly here: SiteId },
  credentials: () => SiteCredentials,
): PeerClient {
  const agents = new Map<SiteId, { readonly pinned: string; readonly agent: Agent }>();
  const validators = new Map<MessageName, Validator>();
  const calls = new Map<SiteId, Set<AbortController>>();

  const agentFor = ({ id, authorityPem }: Peer): Agent => {
    const { certificateChain, privateKey } = credentials();
    const pinned = authorityPem + certificateChain;
    const known = agents.get(id);
    if (known?.pinned === pinned) return known.agent;
    known?.agent.destroy();
    const agent = new Agent({
      keepAlive: true,
      ca: authorityPem,
      cert: certificateChain,
      key: privateKey,
      servername: id,
      minVersion: 'TLSv1.3',
    });
    agents.set(id, { pinned, agent });
    return agent;
  };

  const validatorFor = (name: MessageName): Validator => {
    const known = validators.get(name);
    if (known !== undefined) return known;
    const made = Compile(messages[name].answer) as Validator;
    validators.set(name, made);
    return made;
  };

  async function call<Answer>(to: SiteId, name: MessageName, body: unknown): Promise<Answer> {
    const peer = await store.read((tx) => tx.peers.need(to));
    const { host, port } = peer;
    const path = `${PATH}/${name}`;
    const agent = agentFor(peer);
    const ending = new AbortController();
    const open = calls.get(to) ?? new Set();
    calls.set(to, open.add(ending));
    const answer = await postJson({
      host,
      port,
      path,
      body,
      timeoutMs: TIMEOUT_MS[name],
      signal: ending.signal,
      agent,
    })
      .catch((error: unknown) => {
        const detail = error instanceof Error ? error.message : String(error);
        const reason: Reason = { code: 'peer_unreachable', siteId: to, detail };
        throw new Refusal(reason, { cause: error });
      })
      .finally(() => open.delete(ending));
    if (answer.status === 200 && validatorFor(name).Check(answer.body))
      return answer.body as Answer;
    const { reason, message } = (answer.body ?? {}) as Partial<NoAnswer>;
    if (answer.status === 409 && reason !== undefined) return refuse(reason);
    const why = typeof message === 'string' ? `: ${message}` : ', not as version 1 says';
    throw new Failure(`site ${peer.name} answered ${name} with HTTP ${answer.status}${why}`);
  }

  return {
    heartbeat: (to, beat) => call(to, 'heartbeat', beat),
    offerGroup: (to, offer) => call(to, 'offer-group', offer),
    endSession: (to, end) => call(to, 'end-session', end),
    pauseSession: (to, pause) => call(to, 'pause-session', pause),
    receivePoint: (to, receive) => call(to, 'receive-point', receive),
    completePoint: (to, complete) => call(to, 'complete-point', complete),
    openStandby: (to, open) => call(to, 'open-standby', open),
    keepStandby: (to, keep) => call(to, 'keep-standby', keep),
    prepareHandover: (to, prepare) => call(to, 'prepare-handover', prepare),
    cancelHandover: (to, cancel) => call(to, 'cancel-handover', cancel),
    takeGroup: (to, take) => call(to, 'take-group', take),
    describeGroup: (to, groupId) => call(to, 'describe-group', { groupId }),
    prepareReturn: (to, prepare) => call(to, 'prepare-return', prepare),
    returnGroup: (to, group) => call(to, 'return-group', group),
    noteFork: (to, fork) => call(to, 'note-fork', fork),
    dropFork: (to, forkId) => call(to, 'drop-fork', { forkId }),
    resizeVolume: (to, resize) => call(to, 'resize-volume', resize),
    showHoldings: (to) => call(to, 'show-holdings', {}),
    runErrand: (to, errand) => call(to, 'run-errand', errand),
    enrolHost: (to, host) => call(to, 'enrol-host', host),
    digestRanges: (to, request) => call(to, 'digest-ranges', request),
    hashPoint: async (to, groupId, pointId) => {
      if (to === here) throw new Error('a site does not ask itself');
      const { volumes } = await call<{ volumes: Awaited<ReturnType<PeerProtocol['hashPoint']>> }>(
        to,
        'hash-point',
        { groupId, pointId },
      );
      return volumes;
    },
    endCalls: (to) => {
      for (const call of calls.get(to) ?? []) call.abort(new Error('its heartbeats are missing'));
    },
    close: () => {
      for (const { agent } of agents.values()) agent.destroy();
      agents.clear();
    },
  };
}
