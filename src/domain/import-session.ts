import type { RollbackWindow } from './import-rollback.ts';
import type { GroupId, ImportId, Instant, PolicyId, SiteId, SourceId, VolumeId } from './ids.ts';
import type { SourceVolume } from './import-source.ts';
import { Refusal } from './refusal.ts';

export const importStates = [
  'scheduled',
  'queued',
  'in_progress',
  'mirror_enabled',
  'ready_to_start_copy',
  'copying',
  'paused',
  'ready',
  'cutting_over',
  'completed',
  'completed_with_errors',
  'rolling_back',
  'rolled_back',
  'cancelling',
  'cancelled',
  'cancel_failed',
  'cancel_required',
  'cleanup_required',
  'failed',
] as const;

export type ImportState = (typeof importStates)[number];

/**
 * Brings volumes in from a source, all of them at one instant. Until the cut-over the source is the
 * truth: every write that a host has got an answer for is there. From the cut-over on ours is, and
 * for a term, where that was asked for, the source is kept current beside it.
 */
export interface ImportSession {
  readonly id: ImportId;
  readonly name: string;
  readonly sourceId: SourceId;
  /** Of the volumes that it makes: an implicit one for a single volume. */
  readonly groupId: GroupId;
  readonly volumes: readonly ImportVolume[];
  readonly state: ImportState;
  readonly stateSince: Instant;
  /** Why the state is what it is, where it is not what was asked for. */
  readonly trouble: string | undefined;
  /** In what state a cancelled import left the source and our copy. */
  readonly left: string | undefined;
  readonly settings: ImportSettings;
  readonly progress: ImportProgress | undefined;
  readonly copyStartedAt: Instant | undefined;
  /** How often the copy had to begin from the start again; why the last time. */
  readonly restarts: number;
  readonly restartedBecause: string | undefined;
  readonly comparison: Comparison | undefined;
  /** Comparisons of this copy that did not come to an end. */
  readonly comparisonsFailed: number;
  /** Where the source could not be read; looked for once its copy has failed. */
  readonly unreadable: readonly ByteRange[] | undefined;
  /** How long hosts' requests were held at the cut-over. */
  readonly cutOverPauseMs: number | undefined;
  /** While hosts may still be taken back to the source, which gets what they write. */
  readonly rollback?: RollbackWindow | undefined;
  readonly createdAt: Instant;
  readonly endedAt: Instant | undefined;
}

export interface ImportVolume {
  readonly volumeId: VolumeId;
  readonly name: string;
  readonly sizeBytes: number;
  readonly from: SourceVolume;
}

export interface ImportSettings {
  /** Starts not before; absent: as soon as there is a slot. */
  readonly scheduledAt: Instant | undefined;
  /** Cuts over by itself once both copies are in step (and equal, with `verify`). */
  readonly automaticCutover: boolean;
  /** Compares both copies before the cut-over. */
  readonly verify: boolean;
  /** Copies only when told that hosts have moved to this site's export. */
  readonly waitForHosts: boolean;
  /** Names of hosts that may attach the volumes, during the import and after it. */
  readonly hosts: readonly string[];
  /** Of the copy; absent: no limit. Hosts' own writes are not limited. */
  readonly bytesPerSecond: number | undefined;
  /** Replication that begins when the import is complete. */
  readonly protect: { readonly peerId: SiteId; readonly rpoSeconds: number } | undefined;
  /** Assigned to the group that it makes from the start, and in force when it is complete. */
  readonly policyId?: PolicyId | undefined;
  /** How long the source is kept current after the cut-over; absent: it is let go at once. */
  readonly rollbackForSeconds?: number | undefined;
}

export interface ImportProgress {
  readonly copiedBytes: number;
  readonly totalBytes: number;
  /** Over the last seconds. */
  readonly bytesPerSecond: number | undefined;
  /** Since the copy began. */
  readonly averageBytesPerSecond: number | undefined;
  readonly etaSeconds: number | undefined;
  /** Why it stands still, though nobody has paused it. */
  readonly held?: string | undefined;
}

/** Whether both copies have the same bytes, as it was looked before the cut-over. */
export interface Comparison {
  readonly comparedAt: Instant;
  readonly comparedBytes: number;
  /** SHA-256 over the SHA-256 of each range, the same at both; absent when they differ. */
  readonly hash: string | undefined;
  readonly differing: readonly ByteRange[];
}

export interface ByteRange {
  readonly volumeId: VolumeId;
  readonly offset: number;
  readonly lengthBytes: number;
}

export const MAX_IMPORT_VOLUMES = 32;
/** Copies at once; more wait their turn, first come, first served. */
export const CONCURRENT_IMPORTS = 4;

/** What the world reports. A fact cannot be refused, so every state must answer it. */
export const importFacts = ['copy_ready', 'copy_lost', 'copy_failed'] as const;
type Fact = (typeof importFacts)[number];

/** What somebody asks for, or a saga has done. What a row does not list is refused there. */
export const importCommands = [
  'queue',
  'start',
  'opened',
  'opened_for_hosts',
  'not_opened',
  'enable',
  'start_copy',
  'pause',
  'resume',
  'cut_over',
  'cut_over_done',
  'cut_over_partly',
  'cut_over_undone',
  'roll_back',
  'roll_back_done',
  'roll_back_undone',
  'cancel',
  'cancel_done',
  'cancel_undone',
  'leave_behind',
  'delete',
] as const;
type Command = (typeof importCommands)[number];

export type ImportEvent = Fact | Command;

type Row = { readonly [F in Fact]: ImportState } & { readonly [C in Command]?: ImportState };

/** A state that no fact about a copy changes. */
function steady<S extends ImportState>(state: S): { readonly [F in Fact]: S } {
  return { copy_ready: state, copy_lost: state, copy_failed: state };
}

// oxfmt-ignore
export const importTransitions: { readonly [S in ImportState]: Row } = {
  scheduled:             { ...steady('scheduled'), queue: 'queued', cancel: 'cancelling' },
  queued:                { ...steady('queued'), start: 'in_progress', cancel: 'cancelling' },
  in_progress:           { ...steady('in_progress'), opened: 'copying', opened_for_hosts: 'mirror_enabled',
                           not_opened: 'failed' },
  mirror_enabled:        { ...steady('mirror_enabled'), enable: 'ready_to_start_copy', cancel: 'cancelling' },
  ready_to_start_copy:   { ...steady('ready_to_start_copy'), start_copy: 'copying', cancel: 'cancelling' },
  copying:               { copy_ready: 'ready', copy_lost: 'copying', copy_failed: 'cancel_required',
                           pause: 'paused', cancel: 'cancelling' },
  paused:                { copy_ready: 'paused', copy_lost: 'paused', copy_failed: 'cancel_required',
                           resume: 'copying', cancel: 'cancelling' },
  ready:                 { copy_ready: 'ready', copy_lost: 'copying', copy_failed: 'cancel_required',
                           cut_over: 'cutting_over', cancel: 'cancelling' },
  cutting_over:          { ...steady('cutting_over'), cut_over_done: 'completed',
                           cut_over_partly: 'completed_with_errors', cut_over_undone: 'copying' },
  completed:             { ...steady('completed'), cut_over_partly: 'completed_with_errors',
                           roll_back: 'rolling_back', delete: 'completed' },
  completed_with_errors: { ...steady('completed_with_errors'), cut_over_partly: 'completed_with_errors',
                           delete: 'completed_with_errors' },
  rolling_back:          { ...steady('rolling_back'), roll_back_done: 'rolled_back',
                           roll_back_undone: 'completed' },
  rolled_back:           { ...steady('rolled_back'), delete: 'rolled_back' },
  cancelling:            { ...steady('cancelling'), cancel_done: 'cancelled', cancel_undone: 'cancel_failed',
                           leave_behind: 'cleanup_required' },
  cancelled:             { ...steady('cancelled'), delete: 'cancelled' },
  cancel_failed:         { ...steady('cancel_failed'), cancel: 'cancelling' },
  cancel_required:       { ...steady('cancel_required'), cancel: 'cancelling' },
  cleanup_required:      { ...steady('cleanup_required'), cancel: 'cancelling' },
  failed:                { ...steady('failed'), delete: 'failed' },
};

/** Nothing more happens by itself, and the record may be deleted. */
export function hasImportEnded({ state }: Pick<ImportSession, 'state'>): boolean {
  return importTransitions[state].delete !== undefined;
}

/** It has one of the slots for copies. */
export function takesSlot({ state }: Pick<ImportSession, 'state'>): boolean {
  return ['in_progress', 'copying', 'cutting_over'].includes(state);
}

/**
 * The session after an event.
 *
 * @throws Refusal `wrong_state` when a command is not possible in the session's state
 */
export function advanceImport(
  session: ImportSession,
  event: ImportEvent,
  at: Instant,
): ImportSession {
  const { id, state } = session;
  const next = importTransitions[state][event];
  if (next === undefined) {
    const allowedIn = importStates.filter((s) => importTransitions[s][event] !== undefined);
    const what = 'import_session';
    throw new Refusal({ code: 'wrong_state', what, id, state, event, allowedIn });
  }
  if (next === state) return session;
  const ended = importTransitions[next].delete === undefined ? undefined : at;
  return { ...session, state: next, stateSince: at, trouble: undefined, endedAt: ended };
}

/** The same with the reason beside it, as the operator's sentence. */
export function advanceImportBecause(
  session: ImportSession,
  event: ImportEvent,
  at: Instant,
  trouble: string,
): ImportSession {
  return { ...advanceImport(session, event, at), trouble };
}
