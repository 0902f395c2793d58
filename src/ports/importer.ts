import type { ByteRange } from '../domain/import-session.ts';
import type { SourceEndpoint, SourceVolume } from '../domain/import-source.ts';
import type { GroupId, SourceId, VolumeId } from '../domain/ids.ts';
import type { Progress } from './engine.ts';

/**
 * The data plane's part of an import. It shares the group's process with `Engine`: hosts attach the
 * volumes where `Engine.serve` opens them, first on the source, after the cut-over on ours, through
 * one connection.
 *
 *   open ──▶ on the source ── copy ──▶ in step ── cutOver ──▶ here ── letGo ──▶ an ordinary present
 *                  ▲                      │                    │ keepSource (when it was asked for)
 *                  ├────── abandon ◀──────┘                    │
 *                  └────────────────── rollBack ◀──────────────┘
 *
 * Until the cut-over every write is answered once the source has it, and from *in step* on once
 * ours has it, too; after it, while the source is kept and in step, once both have it. Every call may be repeated, at once or after a crash of this process or of the
 * data plane at any instant. A `Failure` means the world did not work; what was there is kept.
 */
export interface Importer {
  /**
   * Looks whether the source answers as its endpoint says.
   *
   * @throws Refusal `source_unreachable` saying what it answered
   */
  checkSource(source: SourceAccess): Promise<void>;

  /**
   * The volumes that the source tells of; undefined where its protocol cannot tell.
   *
   * @throws Refusal `source_unreachable`
   */
  listVolumes(source: SourceAccess): Promise<readonly FoundVolume[] | undefined>;

  /**
   * @returns the size of the volume's content
   * @throws Refusal `source_unreachable`; `unsupported` for an image that is not whole by itself
   */
  probeVolume(source: SourceAccess, volume: SourceVolume): Promise<{ readonly sizeBytes: number }>;

  /**
   * Puts the group's data plane in front of the source: volumes that hosts may write are opened
   * with the next `Engine.serve`. Nothing is copied yet.
   *
   * @throws Refusal `source_unreachable`; `invalid` when a volume has another size by now;
   *   `no_space` — nothing is open
   */
  open(groupId: GroupId, request: OpenImport): Promise<void>;

  /**
   * Copies, or goes on after `pause`; a copy that died begins again from the start. Returns at once.
   * The less room there is here the slower it is, and it is held before there is none: whoever
   * repeats the call lets it go on.
   *
   * @param bytesPerSecond of the copy, over all volumes; undefined: no limit. A repeat changes it.
   * @throws Refusal `source_unreachable`, `no_space` where it could not begin; it may later
   */
  copy(groupId: GroupId, bytesPerSecond: number | undefined): Promise<void>;

  /** Stops copying; hosts go on. */
  pause(groupId: GroupId): Promise<void>;

  /** What is true of an import now. */
  inspect(groupId: GroupId): Promise<ImportInspection>;

  /**
   * Looks where the source cannot be read, once the copy has failed: for ten minutes a volume at most.
   *
   * @returns at most 64 ranges; none when the trouble is another
   * @throws Failure when the source does not answer at all
   */
  findUnreadable(groupId: GroupId, signal: AbortSignal): Promise<readonly ByteRange[]>;

  /**
   * Reads both copies range by range while they are in step and hosts write. A range that differs
   * is read again, since a write may be on its way to the second copy; what goes on differing is
   * reported.
   *
   * @throws Failure when they are not in step, or are no longer
   */
  compare(groupId: GroupId, watch: CompareWatch): Promise<ComparedCopies>;

  /**
   * Makes our copies what hosts write, through the connections that they have: volume after
   * volume, within milliseconds. A volume's source has every write up to its instant and none after.
   *
   * @param pauseLimitMs upper bound for held requests, in milliseconds
   * @returns `isCutOver: false` and why when nothing has changed: hosts are on the source
   */
  cutOver(groupId: GroupId, pauseLimitMs: number): Promise<CutOver>;

  /**
   * Ends the copy and removes ours. Hosts go on with the source, through the connections that they
   * have; it has every write that was answered.
   *
   * @param force when the source does not answer: hosts' requests to it fail
   * @throws Failure when our copies are what hosts write already
   */
  abandon(groupId: GroupId, options: { readonly force: boolean }): Promise<void>;

  /**
   * Makes the source have what hosts have written here since the cut-over, and keeps it so. Returns
   * at once. One that failed begins again: with all that was written since, or, where the data plane
   * that has switched the volumes is gone, with all there is.
   *
   * @param bytesPerSecond of the copy, over all volumes; undefined: no limit
   * @throws Refusal `source_unreachable`
   */
  keepSource(groupId: GroupId, bytesPerSecond: number | undefined): Promise<void>;

  /**
   * How it stands with the source; undefined when none is kept. Looked at again and again, a source
   * that a write waits for in vain is parted from within seconds: hosts go on without it.
   */
  inspectSource(groupId: GroupId): Promise<KeptSource | undefined>;

  /**
   * Takes hosts back to the source, through the connections that they have, and removes our copies.
   *
   * @param pauseLimitMs upper bound for held requests, in milliseconds
   * @returns `isRolledBack: false` and why when hosts write here still, all of them or some
   */
  rollBack(groupId: GroupId, pauseLimitMs: number): Promise<RolledBack>;

  /** Lets the source go; it is not written any more. */
  letGo(groupId: GroupId): Promise<void>;
}

/** A source as its row has it, the secret still sealed. */
export interface SourceAccess {
  readonly id: SourceId;
  readonly name: string;
  readonly endpoint: SourceEndpoint;
  readonly sealedSecret: string | undefined;
}

export interface FoundVolume {
  readonly locator: string;
  readonly sizeBytes: number | undefined;
}

export interface OpenImport {
  readonly source: SourceAccess;
  readonly volumes: readonly OpenedVolume[];
  /** The cut-over leaves a way back. */
  readonly keepsSource: boolean;
}

export interface OpenedVolume {
  readonly volumeId: VolumeId;
  /** Also the name of its export. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly from: SourceVolume;
}

export interface ImportInspection {
  /** Where hosts' writes are acknowledged from. */
  readonly stands: 'nowhere' | 'on_source' | 'here';
  /** Of all volumes together: the worst of them. */
  readonly copy: 'none' | 'running' | 'paused' | 'in_step' | 'failed';
  readonly copiedBytes: number;
  readonly totalBytes: number;
  /** Why a copy stands still that nobody has paused; it goes on with another `copy`. */
  readonly held: string | undefined;
  /** What the data plane said about a copy that failed. */
  readonly trouble: string | undefined;
}

export interface CompareWatch {
  readonly onProgress: (progress: Progress) => void;
  readonly signal: AbortSignal;
}

export interface ComparedCopies {
  readonly comparedBytes: number;
  /** Undefined when they differ. */
  readonly hash: string | undefined;
  readonly differing: readonly ByteRange[];
}

export type CutOver =
  | { readonly isCutOver: true; readonly pauseMs: number }
  | { readonly isCutOver: false; readonly why: string };

export interface KeptSource {
  /** Of all volumes together: the worst of them. */
  readonly state: 'none' | 'failed' | 'copying' | 'in_step';
  /** All there is goes to the source, not only what was written since the cut-over. */
  readonly isWhole: boolean;
  readonly leftBytes: number;
  readonly trouble: string | undefined;
}

export type RolledBack =
  | {
      readonly isRolledBack: true;
      readonly pauseMs: number;
      /** If not, the data plane died in that instant: the source counts, our files are still there. */
      readonly isCertain: boolean;
    }
  | { readonly isRolledBack: false; readonly why: string };
