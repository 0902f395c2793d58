import type { App } from '../../app/app.ts';
import type { Copy } from '../../domain/copy.ts';
import type { Group } from '../../domain/group.ts';
import type { Host } from '../../domain/host.ts';
import type { ProtectionPolicy, ReplicationRule } from '../../domain/protection-policy.ts';
import type { ImportSession } from '../../domain/import-session.ts';
import type { RecoveryPoint } from '../../domain/recovery-point.ts';
import type { ReplicationSession } from '../../domain/replication-session.ts';
import type { SagaRecord } from '../../domain/saga-record.ts';
import type { LinkState, Peer } from '../../domain/site.ts';
import type { Volume } from '../../domain/volume.ts';
import { sayCopyRow } from './copies.ts';
import { sayGroupRow } from './groups.ts';
import { sayHost } from './hosts.ts';
import { sayImportRow } from './import-view.ts';
import { sayJob } from './jobs.ts';
import { sayLink, sayPeerRow } from './peers.ts';
import { sayPoint } from './points.ts';
import { iso } from './schemas.ts';
import { saySessionRow } from './session-view.ts';
import { sayVolumeRow } from './volumes.ts';

const BATCH = 100;
const HEARTBEAT_MS = 15_000;
/** Who does not take what was sent for so long is disconnected. */
const SLOW_LIMIT_MS = 30_000;

type Event = Awaited<ReturnType<App['events']['eventsAfter']>>[number];

export interface EventStreamOptions {
  readonly source: App['events'];
  /** The last event that the client has seen. */
  readonly after: number;
  /** Rejects when the client may not listen any more. Asked with each heartbeat. */
  readonly stillWelcome: () => Promise<unknown>;
  readonly signal: AbortSignal;
  /** Called when what was yielded is not taken for long. */
  readonly tooSlow: () => void;
}

/**
 * The text of the stream. Events are read from the store only when the client has taken those
 * before, so a slow one costs no memory; it falls behind, and is dropped when it stands still.
 */
export async function* eventStream(options: EventStreamOptions): AsyncGenerator<string> {
  const { source, signal, stillWelcome } = options;
  const bell = new Bell(signal);
  const stop = source.onCommit(() => bell.ring());
  let seen = options.after;
  let isUpToDate = false;
  try {
    yield* taken(': here is what changes\n\n', options);
    while (!signal.aborted) {
      const missed = await gap(source, seen);
      if (missed !== undefined) {
        seen = missed;
        yield* taken(`id: ${seen}\nevent: reset\ndata: {}\n\n`, options);
      }
      const batch = await source.eventsAfter(seen, BATCH);
      seen = batch.at(-1)?.sequence ?? seen;
      if (batch.length > 0) yield* taken(batch.map(say).join(''), options);
      else if (!isUpToDate) {
        isUpToDate = true;
        yield* taken(': up to date\n\n', options);
      } else if (!(await bell.rung(HEARTBEAT_MS)) && !signal.aborted) {
        await stillWelcome();
        yield* taken(': still here\n\n', options);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stop();
  }
}

function* taken(text: string, { tooSlow }: EventStreamOptions): Generator<string> {
  const limit = setTimeout(tooSlow, SLOW_LIMIT_MS);
  try {
    yield text;
  } finally {
    clearTimeout(limit);
  }
}

/** Where to go on when events after `seen` are gone, or when there never was such an event. */
async function gap(source: App['events'], seen: number): Promise<number | undefined> {
  const last = await source.lastEvent();
  if (seen > last) return last;
  const [next] = await source.eventsAfter(seen, 1);
  return next !== undefined && next.sequence !== seen + 1 ? last : undefined;
}

/** A bell that stays rung until somebody has heard it. */
class Bell {
  #isRung = false;
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    signal.addEventListener('abort', () => this.ring());
  }

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** @returns whether it was rung within the time */
  async rung(limitMs: number): Promise<boolean> {
    if (!this.#isRung) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, limitMs);
      this.#wake = resolve;
      await promise;
      clearTimeout(timer);
      this.#wake = undefined;
    }
    const was = this.#isRung;
    this.#isRung = false;
    return was;
  }
}

function say({ sequence, at, collection, id, change, row }: Event): string {
  const [kind, sayRow] = kinds[collection] ?? [collection, () => undefined];
  const said = row === undefined ? undefined : sayRow(row as never);
  const data = { kind, change, id, at: iso(at), row: said };
  return `id: ${sequence}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** What each kind of row is called, and how it is said; the store's rows are of these types. */
const kinds: { readonly [C in Event['collection']]?: readonly [string, (row: never) => unknown] } =
  {
    volumes: ['volume', (row: Volume) => sayVolumeRow(row)],
    groups: ['group', (row: Group) => sayGroupRow(row)],
    points: ['point', (row: RecoveryPoint) => ({ ...sayPoint(row), groupId: row.groupId })],
    sessions: [
      'session',
      (row: ReplicationSession) => ({
        ...saySessionRow(row),
        groupId: row.groupId,
        peerId: row.peerId,
      }),
    ],
    policies: ['policy', (row: ProtectionPolicy) => ({ ...row, createdAt: iso(row.createdAt) })],
    rules: ['rule', (row: ReplicationRule) => ({ ...row, createdAt: iso(row.createdAt) })],
    copies: ['copy', (row: Copy) => ({ ...sayCopyRow(row), groupId: row.groupId })],
    imports: ['import', (row: ImportSession) => sayImportRow(row)],
    hosts: ['host', (row: Host) => sayHost(row)],
    sagas: ['job', (row: SagaRecord) => sayJob(row)],
    peers: ['peer', (row: Peer) => sayPeerRow(row)],
    links: ['link', (row: LinkState) => ({ peerId: row.siteId, ...sayLink(row) })],
  };
