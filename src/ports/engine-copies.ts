import type { CopyOf } from '../domain/copy.ts';
import type { CopyId, ForkId, GroupId, VolumeId } from '../domain/ids.ts';
import type { Fork, HostAccess, SealedPoint, ServedGroup, VolumeSpec } from './engine.ts';

/**
 * Copies of what a group was, opened beside it: failover tests, clones, mounted forks. A copy has a
 * data plane and a port of its own, so cycles (seal, send, receive, complete) go on beneath it, and
 * what it shows stays for as long as the copy does.
 *
 *   point or fork ── openCopy ──▶ copy ── keepCopy ──▶ fork ── adoptFork ──▶ present
 *                                   └──── discardCopy
 *
 * To fail over to what a test wrote: `keepCopy`, then `adoptFork`, which goes back to the point that
 * the test stood on. To undo a restore or a failover: `adoptFork` of the fork that it left.
 */
export interface CopyEngine {
  /**
   * Opens a copy to these hosts, and to nobody else, under the names of its volumes, and those with
   * its history. A writable one
   * takes writes on a scratch layer of its own. A repeat opens the same copy again with all that was
   * written and flushed, whatever ended meanwhile; with other hosts it changes who may attach.
   *
   * @throws Refusal `point_missing`, `not_found` (the fork) — nothing was made
   * @throws Refusal `already_exists` — a copy of this id shows something else
   * @throws Refusal `no_space` — nothing was made
   */
  openCopy(request: OpenCopy): Promise<ServedGroup>;

  /** Ends the copy's data plane: flushes, closes. What was written stays. Repeats do nothing. */
  closeCopy(groupId: GroupId, copyId: CopyId): Promise<void>;

  /** Ends the copy and removes what it wrote. Does nothing when there is no such copy. */
  discardCopy(groupId: GroupId, copyId: CopyId): Promise<void>;

  /**
   * Ends a writable copy; what it wrote becomes a fork on what it stood on, also when that is
   * nothing. A repeat returns the fork.
   *
   * @throws Refusal `not_found` — there is neither the copy nor the fork
   * @throws Refusal `unsupported` — the copy was opened read-only
   */
  keepCopy(groupId: GroupId, copyId: CopyId, forkId: ForkId): Promise<Fork>;

  /**
   * Makes a fork the group's present, its points those of the group again. A present, and points
   * above the fork's base, become the fork `asideForkId` first; the group is closed to its hosts.
   * A repeat returns the same result.
   *
   * @throws Refusal `not_found` — there is no such fork
   * @throws Refusal `unsupported` — the fork has other volumes than the caller wants: the sentence
   *   names them; nothing was changed
   */
  adoptFork(request: AdoptFork): Promise<AdoptedFork>;
}

export type { CopyOf } from '../domain/copy.ts';

export interface OpenCopy {
  readonly groupId: GroupId;
  readonly copyId: CopyId;
  readonly of: CopyOf;
  /** Hosts may write; the point or fork stays as it is. */
  readonly writable: boolean;
  readonly access: HostAccess;
}

export interface AdoptFork {
  readonly groupId: GroupId;
  readonly forkId: ForkId;
  /** What the present and the points above the fork's base become, if there is anything. */
  readonly asideForkId: ForkId;
  /** Every volume that the present is to have: those of the fork, no more and no fewer. */
  readonly volumeIds: readonly VolumeId[];
}

export interface AdoptedFork {
  /** What was set aside; undefined when nothing stood above the fork's base. */
  readonly aside: Fork | undefined;
  /** The fork's points, now the newest of the group; oldest first. */
  readonly points: readonly SealedPoint[];
  /** The present, with the sizes that its volumes have there. */
  readonly volumes: readonly VolumeSpec[];
}

export interface CopyInspection {
  readonly copyId: CopyId;
  readonly of: CopyOf;
  readonly writable: boolean;
  /** `hung`: the process lives but does not answer within the limit. */
  readonly dataPlane: 'stopped' | 'running' | 'hung';
  readonly pid: number | undefined;
  /** Of the newest opening; also of a copy that is stopped. */
  readonly address: { readonly host: string; readonly port: number } | undefined;
  /** Who may attach while it runs. */
  readonly hosts: readonly string[];
  readonly volumes: readonly VolumeSpec[];
  /** What its scratch layers take on disk. */
  readonly writtenBytes: number;
}
