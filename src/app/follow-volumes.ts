/**
 * What a host's agent asks each of its sites, again and again: where is what I follow? The answer
 * waits until it is another one than the agent has seen.
 */
import { createHash } from 'node:crypto';
import { setTimeout as passes } from 'node:timers/promises';
import type { Group } from '../domain/group.ts';
import { followedName } from '../domain/history.ts';
import type { History } from '../domain/history.ts';
import { isId } from '../domain/ids.ts';
import type { GroupId, Instant, SiteId, VolumeId } from '../domain/ids.ts';
import { mayServe } from '../domain/group.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import type { Volume } from '../domain/volume.ts';
import type { GroupInspection } from '../ports/engine.ts';
import type { Transaction } from '../ports/store.ts';
import type { AppPorts } from './app-ports.ts';
import type { AttachedState } from './attached-hosts.ts';
import { requireAgent } from './enrol-host.ts';
import { findCopy, sayFollowedCopy } from './follow-copies.ts';
import type { FoundCopy } from './follow-copies.ts';

/** A group opens within some tens of milliseconds once this site may serve it, and tells nobody. */
const OPENING_POLL_MS = 10;
/** One that does not open so soon is looked at seldom: its data plane hangs, or is being repaired. */
const OPENING_LIMIT_MS = 10_000;
const SELDOM_POLL_MS = 500;

export interface FollowVolumes {
  /** What the host was given when it was enrolled. */
  readonly token: string;
  /** Ids or names; of a copy's volume `COPY/VOLUME`. */
  readonly volumes: readonly string[];
  /** Where the agent asks from. */
  readonly address: string;
  /** How each volume stands on the host; absent before it is attached there. */
  readonly states: readonly VolumeState[];
  /** The answer that the agent has; absent: answer at once. */
  readonly seen?: string | undefined;
  readonly waitMs: number;
  /** The agent has gone. */
  readonly signal: AbortSignal;
}

export interface VolumeState {
  readonly volumeId: VolumeId;
  readonly state: AttachedState;
  readonly why?: string;
}

export interface FollowAnswer {
  /** Names this answer. */
  readonly seen: string;
  readonly volumes: readonly FollowedVolume[];
}

/** `unknown`: there is no such volume here; `not_mapped`: there is, and not for this host. */
export interface NotFound {
  readonly asked: string;
  readonly found: 'unknown' | 'not_mapped';
}

export type FollowedVolume =
  | NotFound
  | {
      readonly asked: string;
      readonly found: 'here';
      /** Asks for the same again; absent: the volume's id does. */
      readonly reference?: string;
      readonly volumeId: VolumeId;
      readonly name: string;
      readonly sizeBytes: number;
      readonly groupId: GroupId;
      readonly holder: SiteId;
      readonly epoch: number;
      readonly history: FollowedHistory;
      /** Where it is open to this host now. */
      readonly serves: Serving | undefined;
    };

export interface FollowedHistory extends History {
  /** Of what was written before it began: all until then is in it, by the clock of the site that held it. */
  readonly completeUpTo?: Instant;
}

export interface Serving {
  readonly host: string;
  readonly port: number;
  /** That of its history. */
  readonly exportName: string;
  /** A name that the server's certificate carries. */
  readonly tlsName: SiteId;
  /** Changes with every start of the data plane. */
  readonly instance: string;
}

type Deps = Pick<AppPorts, 'store' | 'engine' | 'here' | 'attached'>;

/** @throws Refusal `unauthenticated` */
export async function followVolumes(ports: Deps, request: FollowVolumes): Promise<FollowAnswer> {
  const { store } = ports;
  const { seen, waitMs, signal } = request;
  const startedMs = performance.now();
  await hearStates(ports, request);
  let rung = Promise.withResolvers<void>();
  const stop = store.onCommit(() => rung.resolve());
  try {
    for (;;) {
      rung = Promise.withResolvers<void>();
      const { answer, isOpening } = await look(ports, request);
      const waitedMs = performance.now() - startedMs;
      const leftMs = waitMs - waitedMs;
      if (answer.seen !== seen || leftMs <= 0 || signal.aborted) return answer;
      const pollMs = waitedMs < OPENING_LIMIT_MS ? OPENING_POLL_MS : SELDOM_POLL_MS;
      const over = new AbortController();
      const pause = passes(isOpening ? Math.min(pollMs, leftMs) : leftMs, undefined, {
        signal: AbortSignal.any([over.signal, signal]),
      }).catch(() => undefined);
      await Promise.race([rung.promise, pause]);
      over.abort();
    }
  } finally {
    stop();
  }
}

/** Only of what the host may attach: a name that it makes up is not written down. */
async function hearStates(
  { store, attached }: Deps,
  { token, address, states }: FollowVolumes,
): Promise<void> {
  const reports = await store.read(async (tx) => {
    const { name: host } = await requireAgent(tx, token);
    const found = await Promise.all(
      states.map(async (told) => ({ told, row: await find(tx, told.volumeId, host) })),
    );
    return found.flatMap(({ told, row }) =>
      row.found === 'here'
        ? [{ ...told, host, address, groupId: row.group.id, why: told.why }]
        : [],
    );
  });
  for (const report of reports) attached.report(report);
}

interface Look {
  readonly answer: FollowAnswer;
  /** A group may be served here and is not yet. */
  readonly isOpening: boolean;
}

async function look(ports: Deps, { token, volumes: asked }: FollowVolumes): Promise<Look> {
  const { store, engine, here } = ports;
  const rows = await store.read(async (tx) => {
    const host = await requireAgent(tx, token);
    return Promise.all(asked.map((reference) => find(tx, reference, host.name)));
  });
  const served = rows.flatMap((row) =>
    row.found === 'here' && mayServe(row.group, here) ? [row.group.id] : [],
  );
  const copied = rows.flatMap((row) => (row.found === 'copy' ? [row.copy.groupId] : []));
  const inspections = await Promise.all(
    [...new Set([...served, ...copied])].map(async (id) => [id, await engine.inspect(id)] as const),
  );
  const inspected = new Map(inspections);
  const volumes = rows.map((row) => say(row, here, inspected));
  const seen = createHash('sha256').update(JSON.stringify(volumes)).digest('base64url');
  const isOpening =
    served.some((id) => inspected.get(id)?.serving === false) ||
    volumes.some((v) => v.found === 'here' && v.reference !== undefined && !v.serves);
  return { answer: { seen, volumes }, isOpening };
}

type Found =
  | FoundCopy
  | NotFound
  | {
      readonly asked: string;
      readonly found: 'here';
      readonly volume: Volume;
      readonly group: Group;
      /** The point that its history began on, while it is here. */
      readonly began: RecoveryPoint | undefined;
    };

async function find(tx: Transaction, asked: string, hostName: string): Promise<Found> {
  const copy = await findCopy(tx, asked, hostName);
  if (copy !== undefined) return copy;
  const volume = isId(asked)
    ? await tx.volumes.get(asked as VolumeId)
    : (await tx.volumes.where({ name: asked }))[0];
  if (volume === undefined) return { asked, found: 'unknown' };
  const group = await tx.groups.need(volume.groupId);
  if (!group.hosts.includes(hostName)) return { asked, found: 'not_mapped' };
  const { pointId } = group.ownership.history;
  const began = pointId && (await tx.points.get(pointId));
  return { asked, found: 'here', volume, group, began };
}

function say(
  row: Found,
  here: SiteId,
  inspected: ReadonlyMap<GroupId, GroupInspection>,
): FollowedVolume {
  if (row.found === 'here') return sayFollowed(row, here, inspected.get(row.group.id));
  if (row.found !== 'copy') return row;
  const { asked, copy } = row;
  const inspection = inspected.get(copy.groupId);
  return inspection === undefined
    ? { asked, found: 'unknown' }
    : sayFollowedCopy(row, here, inspection);
}

function sayFollowed(
  { asked, volume, group, began }: Found & { readonly found: 'here' },
  here: SiteId,
  inspected: GroupInspection | undefined,
): FollowedVolume {
  const { holder, epoch, history } = group.ownership;
  const { serving = false, address, instance } = inspected ?? {};
  const isOpen = serving && address !== undefined && instance !== undefined;
  const exportName = followedName(volume.name, history.id);
  return {
    asked,
    found: 'here',
    volumeId: volume.id,
    name: volume.name,
    sizeBytes: volume.sizeBytes,
    groupId: group.id,
    holder,
    epoch,
    history: began === undefined ? history : { ...history, completeUpTo: began.sealedAt },
    serves: isOpen ? { ...address, exportName, tlsName: here, instance } : undefined,
  };
}
