import type { TLSSocket } from 'node:tls';
import type { FastifyInstance, FastifyPluginCallback, FastifyRequest } from 'fastify';
import type { AppPorts } from '../../app/app-ports.ts';
import { beatFor, meetPeer } from '../../app/meet-peer.ts';
import type { DataPlanes } from '../../app/meet-peer.ts';
import { enrolPeersHost } from '../../app/enrol-host.ts';
import { dropFork, noteFork } from '../../app/forks.ts';
import { describeHoldings } from '../../app/holdings.ts';
import { acceptIntroduction } from '../../app/pair-sites.ts';
import { hearPause } from '../../app/pause-session.ts';
import {
  acceptOffer,
  completePoint,
  describeGroup,
  digestRanges,
  endSession,
  hashPoint,
  receivePoint,
  resizeCopy,
} from '../../app/receive-for-peer.ts';
import { runErrandFor } from '../../app/run-errand.ts';
import { keepStandby, openStandby } from '../../app/stand-by.ts';
import { prepareReturn, takeBack } from '../../app/take-back.ts';
import { cancelHandover, prepareHandover, takeGroup } from '../../app/take-group.ts';
import type { Fork } from '../../domain/fork.ts';
import type { ForkId, GroupId, SiteId } from '../../domain/ids.ts';
import { Failure, Refusal, refuse } from '../../domain/refusal.ts';
import type { DigestRanges } from '../../ports/engine-comparison.ts';
import type { SentErrand } from '../../ports/errands.ts';
import type { Introduction } from '../../ports/pairing.ts';
import type {
  Beat,
  CompleteRequest,
  EndSession,
  GroupOffer,
  KeepStandby,
  PauseRequest,
  PrepareHandover,
  ReceiveRequest,
  ResizeRequest,
  ReturnGroup,
  StandbyRequest,
  TakeGroup,
} from '../../ports/peer.ts';
import { requirePeerOfGroup } from '../../app/peer-of-group.ts';
import { claimedSite, isPeersCertificate } from '../certificate-check.ts';
import { introduce, messages } from './messages.ts';
import type { MessageName } from './messages.ts';
import { validatorCompiler } from './validation.ts';

export interface PeerServerOptions {
  readonly ports: AppPorts;
  readonly dataPlanes: DataPlanes;
}

/** Answers version 1. Only a paired site's certificate is heard, but for the introduction. */
export const peerServer: FastifyPluginCallback<PeerServerOptions> = (http, options, done) => {
  const { ports, dataPlanes } = options;

  http.setValidatorCompiler(validatorCompiler);
  http.setErrorHandler((error, request, reply) => {
    if (error instanceof Refusal) return reply.code(409).send({ reason: error.reason });
    ports.log.warn({ event: 'peer_message_failed', url: request.url, error });
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    // What the world did to this site is the other one's business, too: its operator is told why.
    const isTold = status < 500 || error instanceof Failure;
    return reply
      .code(status)
      .send({ message: isTold ? (error as Error).message : 'internal error' });
  });

  http.post('/introduce', { schema: { body: introduce.body } }, async ({ body }) =>
    acceptIntroduction(ports, body as { secret: string; introduction: Introduction }),
  );

  // The schema of each message has been checked before; these casts only give it its name in ports/.
  answer<Beat>(http, ports, 'heartbeat', async (from, beat) => {
    await meetPeer(ports, { ...beat, siteId: from });
    return beatFor(ports, from, dataPlanes, beat.groups);
  });
  answer<GroupOffer>(http, ports, 'offer-group', (from, offer) => acceptOffer(ports, from, offer));
  answer<EndSession>(http, ports, 'end-session', (_from, end) => endSession(ports, end));
  answer<PauseRequest>(http, ports, 'pause-session', (_from, pause) => hearPause(ports, pause));
  answer<ReceiveRequest>(http, ports, 'receive-point', (from, receive) =>
    receivePoint(ports, from, receive),
  );
  answer<CompleteRequest>(http, ports, 'complete-point', (_from, complete) =>
    completePoint(ports, complete),
  );
  answer<StandbyRequest>(http, ports, 'open-standby', (from, open) =>
    openStandby(ports, from, open),
  );
  answer<KeepStandby>(http, ports, 'keep-standby', (_from, keep) => keepStandby(ports, keep));
  answer<PrepareHandover>(http, ports, 'prepare-handover', (_from, prepare) =>
    prepareHandover(ports, prepare),
  );
  answer<PrepareHandover>(http, ports, 'cancel-handover', (_from, cancel) =>
    cancelHandover(ports, cancel),
  );
  answer<TakeGroup>(http, ports, 'take-group', (from, take) => takeGroup(ports, from, take));
  answer<{ groupId: GroupId }>(http, ports, 'describe-group', (_from, { groupId }) =>
    describeGroup(ports, groupId),
  );
  answer<PrepareHandover>(http, ports, 'prepare-return', (_from, prepare) =>
    prepareReturn(ports, prepare),
  );
  answer<ReturnGroup>(http, ports, 'return-group', (from, group) => takeBack(ports, from, group));
  answer<Fork>(http, ports, 'note-fork', (_from, fork) => noteFork(ports, fork));
  answer<{ forkId: ForkId }>(http, ports, 'drop-fork', (from, { forkId }) =>
    dropFork(ports, from, forkId),
  );
  answer<ResizeRequest>(http, ports, 'resize-volume', (_from, resize) => resizeCopy(ports, resize));
  answer<object>(http, ports, 'show-holdings', () => describeHoldings(ports));
  answer<SentErrand>(http, ports, 'run-errand', (from, sent) => runErrandFor(ports, from, sent));
  answer<{ name: string }>(http, ports, 'enrol-host', (from, host) =>
    enrolPeersHost(ports, from, host),
  );
  answer<DigestRanges>(http, ports, 'digest-ranges', (_from, request) =>
    digestRanges(ports, request),
  );
  answer<Parameters<typeof hashPoint>[1]>(http, ports, 'hash-point', async (_from, point) => ({
    volumes: await hashPoint(ports, point),
  }));
  done();
};

function answer<Body>(
  http: FastifyInstance,
  ports: AppPorts,
  name: MessageName,
  handle: (from: SiteId, body: Body) => Promise<unknown>,
): void {
  http.post(`/${name}`, { schema: { body: messages[name].body } }, async (request) => {
    const from = await requirePeer(ports, request);
    const { groupId } = request.body as { readonly groupId?: GroupId };
    if (groupId !== undefined) await requirePeerOfGroup(ports, from, groupId);
    return (await handle(from, request.body as Body)) ?? {};
  });
}

/** @throws Refusal `peer_untrusted` */
async function requirePeer({ store, clock }: AppPorts, request: FastifyRequest): Promise<SiteId> {
  const certificate = (request.raw.socket as TLSSocket).getPeerX509Certificate();
  if (certificate === undefined) {
    return refuse({ code: 'peer_untrusted', detail: 'no certificate was shown' });
  }
  const claimed = claimedSite(certificate);
  const peer = claimed && (await store.read((tx) => tx.peers.get(claimed)));
  if (peer === undefined || !isPeersCertificate(certificate, peer, new Date(clock.now()))) {
    return refuse({
      code: 'peer_untrusted',
      detail: 'this site is not paired with the one that asked',
    });
  }
  return peer.id;
}
