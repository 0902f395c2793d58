/**
 * Knows how far each synchronous session's standby is complete, and bounds how long hosts wait.
 *
 *   look ─▶ level after a return ──▶ compare what was written meanwhile
 *        ─▶ level, and the other site heard of ──▶ in_sync
 *        ─▶ a write has waited too long ──▶ fractured, then cut the link: hosts go on once their
 *           daemon gives up connecting again, which is later
 *        ─▶ failed, or absent where it should be ──▶ end it, begin another (see `keepMirror`)
 */
import type { AppPorts } from '../app/app-ports.ts';
import { keepMirror, noteFact, proveMirror } from '../app/keep-mirror.ts';
import type { DataPlaneSight } from '../app/meet-peer.ts';
import type { GroupId, SiteId } from '../domain/ids.ts';
import { isCompared, wantsMirror } from '../domain/synchrony.ts';
import { cutAfterMs, judge } from '../domain/mirror-sight.ts';
import type { MirrorSight } from '../domain/mirror-sight.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { LinkCut } from '../ports/link-cut.ts';
import type { MirrorInspection } from '../ports/mirroring.ts';
import type { Beat } from '../ports/peer.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';
import { WaitWatch } from './wait-watch.ts';

const REST_MS = 200;
/** A daemon tells this in a millisecond, unless it waits for a silent link with a lock held. */
const LOOK_LIMIT_MS = 1000;

export interface MirrorWatch extends Loop {
  readonly level: (groupId: GroupId) => DataPlaneSight['level'];
  /** What a peer answered to a heartbeat. */
  readonly hear: (peerId: SiteId, beat: Beat) => void;
}

interface Heard {
  readonly beat: Beat;
  readonly atMs: number;
}

interface Memory {
  readonly heard: Map<SiteId, Heard>;
  readonly levels: Map<GroupId, NonNullable<DataPlaneSight['level']>>;
  readonly waits: WaitWatch;
  /** Since when the standby's data plane is not heard of as the one that opened it. */
  readonly strangers: Map<GroupId, number>;
  readonly last: Map<GroupId, MirrorInspection>;
  /** What is being done about a group's mirror; one thing at a time. */
  readonly acts: Map<GroupId, Promise<void>>;
  /** Ends a comparison. */
  readonly proofs: Map<GroupId, AbortController>;
}

export function mirrorWatch(ports: AppPorts, linkCut: LinkCut | undefined): MirrorWatch {
  const memory: Memory = {
    heard: new Map(),
    levels: new Map(),
    waits: new WaitWatch(),
    strangers: new Map(),
    last: new Map(),
    acts: new Map(),
    proofs: new Map(),
  };
  const rounds = loop(ports, 'mirror-watch', REST_MS, async () => {
    const sessions = await ports.store.read((tx) => tx.sessions.where({ role: 'source' }));
    const synchronous = sessions.filter(({ sync }) => sync !== undefined);
    for (const known of memory.levels.keys()) {
      if (!synchronous.some(({ groupId }) => groupId === known)) memory.levels.delete(known);
    }
    await Promise.all(synchronous.map((session) => watch(ports, linkCut, session, memory)));
  });
  return {
    stop: async () => {
      await rounds.stop();
      for (const proof of memory.proofs.values()) proof.abort();
      await Promise.all(memory.acts.values());
    },
    level: (groupId) => memory.levels.get(groupId),
    hear: (peerId, beat) =>
      void memory.heard.set(peerId, { beat, atMs: ports.clock.monotonicMs() }),
  };
}

async function watch(
  ports: AppPorts,
  linkCut: LinkCut | undefined,
  session: ReplicationSession,
  memory: Memory,
): Promise<void> {
  const { clock, log } = ports;
  const { groupId, sync } = session;
  if (sync === undefined) return;
  try {
    // Everything that was acknowledged before the question is there, if the answer is "level".
    const at = clock.now();
    const seen = await look(ports, groupId);
    if (seen !== 'silent' && seen !== undefined) memory.last.set(groupId, seen);
    const sight = sightOf(ports, session, seen, memory);
    const isLevel = sight.state === 'level' && wantsMirror(session);
    if (!isLevel) memory.proofs.get(groupId)?.abort();
    if (sync.mirrorId !== undefined && isLevel && isCompared(sync)) {
      memory.levels.set(groupId, { mirrorId: sync.mirrorId, at });
    }
    const judgement = judge(sync, sight);
    if (judgement !== undefined) await noteFact(ports, session, judgement);
    if (sight.state === 'silent' || sight.waitingMs >= cutAfterMs(sync)) {
      await cut(ports, linkCut, groupId, memory);
    }
    const lost = judgement?.fact === 'broken' && sight.state !== 'absent';
    if (isLevel && !lost && !isCompared(sync)) return prove(ports, session, memory);
    // A data plane that holds its hosts is not waited for where the standby is gone, or it is to end.
    const isOver = sync.isStale === true || !wantsMirror(session);
    const isInVain = isOver || (lost && sync.onLoss === 'hold');
    if (sight.state !== 'silent' || isInVain)
      act(ports, session, lost || sight.state === 'silent' ? 'failed' : sight.state, memory);
  } catch (error) {
    log.error({ event: 'mirror_not_seen', groupId, error });
  }
}

async function look(
  { engine, clock }: AppPorts,
  groupId: GroupId,
): Promise<MirrorInspection | 'silent' | undefined> {
  const enough = new AbortController();
  const late = clock.sleep(LOOK_LIMIT_MS, enough.signal).then(() => 'silent' as const);
  const answer = engine.inspectMirror(groupId).catch((error: unknown) => {
    if (error instanceof Error) return 'silent' as const;
    throw error;
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    enough.abort();
  }
}

function sightOf(
  { clock }: AppPorts,
  { groupId, peerId, sync }: ReplicationSession,
  seen: MirrorInspection | 'silent' | undefined,
  { heard, strangers, waits, last: looks }: Memory,
): MirrorSight {
  const nowMs = clock.monotonicMs();
  const last = heard.get(peerId);
  const word = last?.beat.groups.find((g) => g.groupId === groupId);
  const inspection = seen === 'silent' ? undefined : seen;
  // What it had begun with is known while it does not answer.
  const begun = seen === 'silent' ? looks.get(groupId) : seen;
  const isOther = inspection !== undefined && inspection.mirrorId !== sync?.mirrorId;
  const isStranger = begun !== undefined && word?.instance !== begun.targetInstance;
  if (!isStranger || isOther) strangers.delete(groupId);
  else if (!strangers.has(groupId)) strangers.set(groupId, nowMs);
  const isComplete = word?.sync?.completeUpTo !== undefined;
  return {
    state: seen === 'silent' ? 'silent' : isOther ? 'failed' : (seen?.state ?? 'absent'),
    why: isOther ? 'it was another mirror' : inspection?.why,
    waitingMs: waits.longest(groupId, inspection?.volumes ?? [], nowMs),
    heardAgoMs: last === undefined ? undefined : nowMs - last.atMs,
    strangerMs: strangers.has(groupId) ? 1 + nowMs - (strangers.get(groupId) ?? nowMs) : 0,
    recorded: isComplete ? word?.sync?.mirrorId : undefined,
  };
}

/** Closing the connections frees what waits in them, and the daemon with it. */
async function cut(
  { log }: AppPorts,
  linkCut: LinkCut | undefined,
  groupId: GroupId,
  { last, waits }: Memory,
): Promise<void> {
  const to = last.get(groupId)?.to;
  waits.forget(groupId);
  if (to === undefined || linkCut === undefined) return;
  const connections = await linkCut.cutConnections(to.host, to.port);
  log.warn({ event: 'mirror_link_cut', groupId, ...to, connections });
}

function act(
  ports: AppPorts,
  session: ReplicationSession,
  state: Parameters<typeof keepMirror>[2],
  memory: Memory,
): void {
  begin(ports, session, memory, () => keepMirror(ports, session, state));
}

function prove(ports: AppPorts, session: ReplicationSession, memory: Memory): void {
  const { groupId } = session;
  const proof = new AbortController();
  begin(ports, session, memory, () => {
    memory.proofs.set(groupId, proof);
    return proveMirror(ports, session, proof.signal).finally(() => memory.proofs.delete(groupId));
  });
}

function begin(
  { log }: AppPorts,
  { groupId }: ReplicationSession,
  { acts }: Memory,
  act: () => Promise<void>,
): void {
  if (acts.has(groupId)) return;
  const work = act()
    .catch((error: unknown) => log.error({ event: 'mirror_not_kept', groupId, error }))
    .finally(() => acts.delete(groupId));
  acts.set(groupId, work);
}
