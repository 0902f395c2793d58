/** What a caller sees: rows joined with what is true now. Nothing here changes anything. */
import { expectedSeconds, nextCycleAt } from '../domain/cycle-plan.ts';
import type { Copy } from '../domain/copy.ts';
import type { FailoverWindow } from '../domain/failover-window.ts';
import type { Group } from '../domain/group.ts';
import type { Host } from '../domain/host.ts';
import type { GroupId, Instant, SagaId, SessionId, SiteId, VolumeId } from '../domain/ids.ts';
import { ageSeconds, newestCommon, bySequence } from '../domain/recovery-point.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import { cyclesByItself } from '../domain/replication-session.ts';
import type { ReplicationSession, SessionState } from '../domain/replication-session.ts';
import type { SagaProgress, SagaRecord } from '../domain/saga-record.ts';
import type { LinkState, Peer, Site } from '../domain/site.ts';
import type { Volume } from '../domain/volume.ts';
import type { GroupInspection, Space } from '../ports/engine.ts';
import type { Transaction } from '../ports/store.ts';
import { allSagas } from '../sagas/all.ts';
import { sessionOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';
import { testOf } from './failover-test.ts';

type Deps = Pick<AppPorts, 'store' | 'engine' | 'clock' | 'here'>;

export interface SiteView extends Site {
  /** By this site's clock. */
  readonly now: Instant;
  readonly space: Space;
}

export interface VolumeView extends Volume {
  readonly group: Group;
  /** This site may write it. */
  readonly heldHere: boolean;
  readonly session: SessionView | undefined;
}

export interface GroupView extends Group {
  readonly heldHere: boolean;
  readonly holderName: string;
  readonly volumes: readonly Volume[];
  readonly session: SessionView | undefined;
}

export interface SessionView extends ReplicationSession {
  readonly groupName: string;
  readonly peerName: string;
  /** The newest point that the destination has complete. */
  readonly newestPoint: RecoveryPoint | undefined;
  /** Its age: what would be lost if the source went now. */
  readonly rpoNowSeconds: number | undefined;
  readonly rpoMet: boolean;
  readonly progress: SagaProgress | undefined;
  /** Of the source, when a cycle starts by itself. */
  readonly nextCycleAt: Instant | undefined;
  readonly link: LinkState | undefined;
  /** The holder's failover can still be rolled back. */
  readonly provisional: boolean;
  /** At that holder: until when, and to where. */
  readonly window: FailoverWindow | undefined;
  /** The failover test that runs at this site. */
  readonly failoverTest: Copy | undefined;
  /** Of a source whose cycles rest, where it was looked for: `showSession` does. */
  readonly backlog: Backlog | undefined;
}

/** What has added up while no cycle runs, and travels as one delta. */
export interface Backlog {
  readonly bytes: number;
  /** At the session's limit, or as fast as the last cycle was; absent when neither is known. */
  readonly estimatedSeconds: number | undefined;
}

export interface PeerView extends Peer {
  readonly link: LinkState | undefined;
  readonly sessions: number;
}

export async function showSite({ store, engine, clock }: Deps): Promise<SiteView> {
  const [site] = await store.read((tx) => tx.site.all());
  if (site === undefined) throw new Error('the store has no site');
  return { ...site, now: clock.now(), space: await engine.space() };
}

export function listVolumes({ store, clock, here }: Deps): Promise<readonly VolumeView[]> {
  return store.read(async (tx) => {
    const volumes = await tx.volumes.all();
    return Promise.all(volumes.map((v) => viewVolume(tx, v, here, clock.now())));
  });
}

/** @throws Refusal `not_found` */
export function showVolume({ store, clock, here }: Deps, id: VolumeId): Promise<VolumeView> {
  return store.read(async (tx) => viewVolume(tx, await tx.volumes.need(id), here, clock.now()));
}

/** The groups of lone volumes are among them; `implicit` tells. */
export function listGroups({ store, clock, here }: Deps): Promise<readonly GroupView[]> {
  return store.read(async (tx) => {
    const groups = await tx.groups.all();
    return Promise.all(groups.map((g) => viewGroup(tx, g, here, clock.now())));
  });
}

/** @throws Refusal `not_found` */
export function showGroup({ store, clock, here }: Deps, id: GroupId): Promise<GroupView> {
  return store.read(async (tx) => viewGroup(tx, await tx.groups.need(id), here, clock.now()));
}

/** What the data plane says of a group now. @throws Refusal `not_found` */
export async function inspectGroup({ store, engine }: Deps, id: GroupId): Promise<GroupInspection> {
  await store.read((tx) => tx.groups.need(id));
  return engine.inspect(id);
}

/** Oldest first. @throws Refusal `not_found` */
export function listPoints(
  { store }: Pick<Deps, 'store'>,
  groupId: GroupId,
): Promise<readonly RecoveryPoint[]> {
  return store.read(async (tx) => {
    await tx.groups.need(groupId);
    return bySequence(await tx.points.where({ groupId })).filter((p) => !p.expiring);
  });
}

/** Of all groups, each group's oldest first. */
export function listAllPoints({ store }: Pick<Deps, 'store'>): Promise<readonly RecoveryPoint[]> {
  return store.read(async (tx) => bySequence(await tx.points.all()).filter((p) => !p.expiring));
}

export function listSessions({ store, clock }: Deps): Promise<readonly SessionView[]> {
  return store.read(async (tx) => {
    const sessions = await tx.sessions.all();
    return Promise.all(sessions.map((s) => viewSession(tx, s, clock.now())));
  });
}

/** @throws Refusal `not_found` */
export async function showSession(
  { store, clock, engine }: Deps,
  id: SessionId,
): Promise<SessionView> {
  const view = await store.read(async (tx) =>
    viewSession(tx, await tx.sessions.need(id), clock.now()),
  );
  const { role, groupId, newestPoint, bytesPerSecond, lastCycle } = view;
  if (role !== 'source' || !restingStates.has(view.state)) return view;
  const bytes = await engine.bytesAbove(groupId, newestPoint?.id);
  const estimatedSeconds = expectedSeconds(bytes, bytesPerSecond, lastCycle);
  return { ...view, backlog: { bytes, estimatedSeconds } };
}

const restingStates = new Set<SessionState>(['pausing', 'paused', 'system_paused']);

export function listPeers({ store }: Pick<Deps, 'store'>): Promise<readonly PeerView[]> {
  return store.read(async (tx) => {
    const peers = await tx.peers.all();
    return Promise.all(peers.map((p) => viewPeer(tx, p)));
  });
}

/** @throws Refusal `not_found` */
export function showPeer({ store }: Pick<Deps, 'store'>, id: SiteId): Promise<PeerView> {
  return store.read(async (tx) => viewPeer(tx, await tx.peers.need(id)));
}

export function listHosts({ store }: Pick<Deps, 'store'>): Promise<readonly Host[]> {
  return store.read((tx) => tx.hosts.all());
}

export interface JobFilter {
  readonly groupId?: GroupId | undefined;
  readonly kind?: string | undefined;
}

/** Newest first. */
export function listJobs(
  { store }: Pick<Deps, 'store'>,
  { groupId, kind }: JobFilter,
): Promise<readonly SagaRecord[]> {
  return store.read(async (tx) => {
    const jobs = await tx.sagas.where({ ...(groupId && { groupId }), ...(kind && { kind }) });
    return jobs.toReversed().map(viewJob);
  });
}

/** @throws Refusal `not_found` */
export function showJob({ store }: Pick<Deps, 'store'>, id: SagaId): Promise<SagaRecord> {
  return store.read(async (tx) => viewJob(await tx.sagas.need(id)));
}

/** The store knows the running step only once it has failed; whoever watches wants it before. */
function viewJob(job: SagaRecord): SagaRecord {
  if (job.state !== 'running' || job.doing !== undefined) return job;
  const parts = allSagas.find(({ kind }) => kind === job.kind)?.parts;
  return { ...job, doing: parts?.[job.steps.length]?.name };
}

async function viewVolume(
  tx: Transaction,
  volume: Volume,
  here: SiteId,
  now: Instant,
): Promise<VolumeView> {
  const group = await tx.groups.need(volume.groupId);
  const session = await sessionOf(tx, group.id);
  return {
    ...volume,
    group,
    heldHere: group.ownership.holder === here,
    session: session && (await viewSession(tx, session, now)),
  };
}

async function viewGroup(
  tx: Transaction,
  group: Group,
  here: SiteId,
  now: Instant,
): Promise<GroupView> {
  const volumes = await Promise.all(group.volumeIds.map((id) => tx.volumes.need(id)));
  const session = await sessionOf(tx, group.id);
  return {
    ...group,
    heldHere: group.ownership.holder === here,
    holderName: await siteName(tx, group.ownership.holder),
    volumes,
    session: session && (await viewSession(tx, session, now)),
  };
}

async function viewSession(
  tx: Transaction,
  session: ReplicationSession,
  now: Instant,
): Promise<SessionView> {
  const points = await tx.points.where({ groupId: session.groupId });
  const newestPoint = newestCommon(points);
  const rpoNowSeconds = newestPoint && ageSeconds(newestPoint, now);
  const cycle = session.cycle && (await tx.sagas.get(session.cycle.sagaId));
  const { name, ownership, window } = await tx.groups.need(session.groupId);
  return {
    ...session,
    groupName: name,
    peerName: await siteName(tx, session.peerId),
    newestPoint,
    rpoNowSeconds,
    rpoMet: rpoNowSeconds !== undefined && rpoNowSeconds <= session.rpoSeconds,
    progress: cycle?.progress,
    nextCycleAt: cyclesByItself(session) ? nextCycleAt(session, points) : undefined,
    link: await tx.links.get(session.peerId),
    provisional: ownership.provisional === true,
    window,
    failoverTest: await testOf(tx, session.groupId),
    backlog: undefined,
  };
}

async function viewPeer(tx: Transaction, peer: Peer): Promise<PeerView> {
  const sessions = await tx.sessions.where({ peerId: peer.id });
  return { ...peer, link: await tx.links.get(peer.id), sessions: sessions.length };
}

async function siteName(tx: Transaction, id: SiteId): Promise<string> {
  return (await tx.site.get(id))?.name ?? (await tx.peers.get(id))?.name ?? id;
}
