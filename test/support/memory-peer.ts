import { Failure, Refusal } from '../../src/domain/refusal.ts';
import type { GroupId, SiteId } from '../../src/domain/ids.ts';
import type { AppPorts } from '../../src/app/app-ports.ts';
import { enrolPeersHost } from '../../src/app/enrol-host.ts';
import { dropFork, noteFork } from '../../src/app/forks.ts';
import { describeHoldings } from '../../src/app/holdings.ts';
import { beatFor, meetPeer } from '../../src/app/meet-peer.ts';
import type { DataPlanes } from '../../src/app/meet-peer.ts';
import { hearPause } from '../../src/app/pause-session.ts';
import {
  acceptOffer,
  completePoint,
  describeGroup,
  digestRanges,
  endSession,
  hashPoint,
  receivePoint,
  resizeCopy,
} from '../../src/app/receive-for-peer.ts';
import { requirePeerOfGroup } from '../../src/app/peer-of-group.ts';
import { runErrandFor } from '../../src/app/run-errand.ts';
import { keepStandby, openStandby } from '../../src/app/stand-by.ts';
import { prepareReturn, takeBack } from '../../src/app/take-back.ts';
import { cancelHandover, prepareHandover, takeGroup } from '../../src/app/take-group.ts';
import type { PeerProtocol } from '../../src/ports/peer.ts';

export type PeerMessage = keyof PeerProtocol;

/** What becomes of the next messages from one site to the others. */
export interface PeerTrouble {
  /** No message arrives. */
  down: boolean;
  /** These never arrive. */
  readonly lostBefore: Set<PeerMessage>;
  /** These arrive and are acted on, and their answer is lost. */
  readonly lostAfter: Set<PeerMessage>;
  /** Awaited before each message is delivered. */
  hold: (message: PeerMessage) => Promise<void>;
}

export function noTrouble(): PeerTrouble {
  return {
    down: false,
    lostBefore: new Set(),
    lostAfter: new Set(),
    hold: () => Promise.resolve(),
  };
}

/** Brings a message to the other site, has it handled there, and brings the answer back. */
export type CarryMessage = <Request, Answer>(
  message: PeerMessage,
  to: SiteId,
  request: Request,
  handle: (ports: AppPorts, request: Request) => Promise<Answer>,
) => Promise<Answer>;

/** The other sites' use cases, called directly; what passes between goes through JSON. */
export function memoryPeer(
  from: SiteId,
  find: (to: SiteId) => AppPorts | undefined,
  trouble: PeerTrouble,
): PeerProtocol {
  return peerOver(from, async (message, to, request, handle) => {
    await trouble.hold(message);
    const ports = find(to);
    if (trouble.down || trouble.lostBefore.has(message) || ports === undefined) {
      return silent(to, `${message} did not arrive`);
    }
    const answer = await answerOf(async () => {
      const received = overTheWire(request);
      const groupId = groupOf(received);
      if (groupId !== undefined) await requirePeerOfGroup(ports, from, groupId);
      return handle(ports, received);
    });
    if (trouble.lostAfter.has(message)) silent(to, `the answer to ${message} was lost`);
    return overTheWire(answer);
  });
}

/** What each message does at the other site, by whatever way it gets there. */
export function peerOver(from: SiteId, call: CarryMessage): PeerProtocol {
  return {
    heartbeat: (to, beat) =>
      call('heartbeat', to, beat, async (ports, theirs) => {
        await meetPeer(ports, theirs);
        const dataPlanes: DataPlanes = async (groupId) => {
          const { dataPlane, instance } = await ports.engine.inspect(groupId);
          return { dataPlane, instance };
        };
        return beatFor(ports, from, dataPlanes, theirs.groups);
      }),
    offerGroup: (to, offer) =>
      call('offerGroup', to, offer, (ports, r) => acceptOffer(ports, from, r)),
    endSession: (to, end) => call('endSession', to, end, endSession),
    pauseSession: (to, pause) => call('pauseSession', to, pause, hearPause),
    receivePoint: (to, receive) =>
      call('receivePoint', to, receive, (ports, r) => receivePoint(ports, from, r)),
    completePoint: (to, complete) => call('completePoint', to, complete, completePoint),
    openStandby: (to, open) =>
      call('openStandby', to, open, (ports, r) => openStandby(ports, from, r)),
    keepStandby: (to, keep) => call('keepStandby', to, keep, keepStandby),
    prepareHandover: (to, prepare) => call('prepareHandover', to, prepare, prepareHandover),
    cancelHandover: (to, cancel) => call('cancelHandover', to, cancel, cancelHandover),
    takeGroup: (to, take) => call('takeGroup', to, take, (ports, r) => takeGroup(ports, from, r)),
    describeGroup: (to, groupId) => call('describeGroup', to, groupId, describeGroup),
    prepareReturn: (to, prepare) => call('prepareReturn', to, prepare, prepareReturn),
    returnGroup: (to, group) =>
      call('returnGroup', to, group, (ports, r) => takeBack(ports, from, r)),
    noteFork: (to, fork) => call('noteFork', to, fork, noteFork),
    dropFork: (to, forkId) =>
      call('dropFork', to, forkId, (ports, id) => dropFork(ports, from, id)),
    resizeVolume: (to, resize) => call('resizeVolume', to, resize, resizeCopy),
    showHoldings: (to) => call('showHoldings', to, {}, (ports) => describeHoldings(ports)),
    runErrand: (to, sent) =>
      call('runErrand', to, sent, (ports, r) => runErrandFor(ports, from, r)),
    enrolHost: (to, host) =>
      call('enrolHost', to, host, (ports, r) => enrolPeersHost(ports, from, r)),
    digestRanges: (to, request) => call('digestRanges', to, request, digestRanges),
    hashPoint: (to, groupId, pointId) => call('hashPoint', to, { groupId, pointId }, hashPoint),
  };
}

/** The group that a message names as its subject. */
function groupOf(request: unknown): GroupId | undefined {
  return typeof request === 'object' && request !== null && 'groupId' in request
    ? (request.groupId as GroupId)
    : undefined;
}

function silent(siteId: SiteId, detail: string): never {
  throw new Refusal({ code: 'peer_unreachable', siteId, detail });
}

/** A refusal crosses the wire as its facts; anything else says only that it went wrong there. */
export async function answerOf<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal(overTheWire(error.reason));
    throw new Failure('the other site failed', { cause: error });
  }
}

export function overTheWire<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}
