/**
 * Knows whether each peer answers, and bounds what a silent link can hold.
 *
 *   beat every BEAT_MS ── MISSED_BEATS without an answer ──▶ down: the replication connections
 *   of every shared group are cut, so that nothing waits for a kernel that will not give up, and
 *   calls to the peer end: hosts may be fenced while a handover waits for its answer
 */
import { exchangeBeats } from '../app/meet-peer.ts';
import type { DataPlanes } from '../app/meet-peer.ts';
import type { AppPorts } from '../app/app-ports.ts';
import type { Instant, SiteId } from '../domain/ids.ts';
import { Refusal } from '../domain/refusal.ts';
import type { LinkState } from '../domain/site.ts';
import type { LinkCut } from '../ports/link-cut.ts';
import type { Beat } from '../ports/peer.ts';
import type { FirstWords } from './first-words.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

export const BEAT_MS = 500;
export const MISSED_BEATS = 3;

export interface LinkWatchOptions {
  readonly dataPlanes: DataPlanes;
  /** Who has had their say; the supervisor waits for it. */
  readonly firstWords: FirstWords;
  /** Absent where this machine cannot close connections; see `LinkCut.probe`. */
  readonly linkCut: LinkCut | undefined;
  /** Hears what a peer answered. */
  readonly onAnswer?: (peerId: SiteId, answer: Beat) => void;
  /** Ends what waits for an answer of the peer. */
  readonly endCalls?: (peerId: SiteId) => void;
}

export function linkWatch(ports: AppPorts, options: LinkWatchOptions): Loop {
  const missed = new Map<SiteId, number>();
  const heard = new Map<SiteId, Instant>();
  return loop(ports, 'link-watch', BEAT_MS, async () => {
    const peers = await ports.store.read((tx) => tx.peers.all());
    await Promise.all(peers.map(({ id }) => beat(ports, options, id, missed, heard)));
  });
}

async function beat(
  ports: AppPorts,
  options: LinkWatchOptions,
  peerId: SiteId,
  missed: Map<SiteId, number>,
  heard: Map<SiteId, Instant>,
): Promise<void> {
  try {
    // On a line of its own: an optional call that is not made evaluates none of its arguments.
    const answer = await exchangeBeats(ports, peerId, options.dataPlanes);
    options.onAnswer?.(peerId, answer);
    options.firstWords.hear(peerId);
    missed.set(peerId, 0);
    heard.set(peerId, ports.clock.now());
    await record(ports, peerId, 'up', heard.get(peerId), undefined);
  } catch (error) {
    // A peer that answers with a refusal or nonsense is there all the same.
    const silence =
      error instanceof Refusal && error.reason.code === 'peer_unreachable'
        ? error.reason
        : undefined;
    if (silence === undefined) ports.log.warn({ event: 'heartbeat_refused', peerId, error });
    const count = (missed.get(peerId) ?? 0) + 1;
    missed.set(peerId, count);
    if (count < MISSED_BEATS) return;
    options.firstWords.hear(peerId);
    // Only why: who does not answer, its reader knows.
    const detail = silence?.detail ?? (error instanceof Error ? error.message : String(error));
    const changed = await record(ports, peerId, 'down', heard.get(peerId), detail);
    options.endCalls?.(peerId);
    if (changed) await cutLinks(ports, options.linkCut, peerId);
  }
}

/** @returns whether the link's state is another than before */
function record(
  { store, clock, log }: AppPorts,
  id: SiteId,
  state: LinkState['state'],
  lastHeardAt: Instant | undefined,
  detail: string | undefined,
): Promise<boolean> {
  return store.transaction(async (tx) => {
    if ((await tx.peers.get(id)) === undefined) return false;
    const before = await tx.links.get(id);
    if (before?.state === state) return false;
    const row = { id, siteId: id, state, since: clock.now(), lastHeardAt, detail };
    if (before === undefined) await tx.links.insert(row);
    else await tx.links.change(id, () => row);
    log.warn({
      event: 'link_changed',
      peerId: id,
      fromState: before?.state,
      toState: state,
      detail,
    });
    return true;
  });
}

async function cutLinks(
  { store, engine, log }: AppPorts,
  linkCut: LinkCut | undefined,
  peerId: SiteId,
): Promise<void> {
  if (linkCut === undefined) return;
  const sessions = await store.read((tx) => tx.sessions.where({ peerId }));
  for (const { groupId, role } of sessions) {
    const { sendingTo, receiving, address } = await engine.inspect(groupId);
    const mirror = await engine.inspectMirror(groupId);
    const end = role === 'source' ? (mirror?.to ?? sendingTo) : receiving && address;
    if (end === undefined) continue;
    const connections = await linkCut.cutConnections(end.host, end.port);
    log.warn({ event: 'link_cut', groupId, peerId, connections });
  }
}
