/**
 * A drill: a failover test that is looked at from all sides, ended again, and written up. Its report is
 * signed by the site and names the report before it by its hash, so that none can be changed or left
 * out unseen.
 */
import type { CopyId, DrillId, GroupId, PointId, SiteId, VolumeId } from './ids.ts';

/** `not_possible` is no verdict on the data: something was missing that the check needs. */
export type Verdict = 'passed' | 'failed' | 'not_possible';

export interface DrillCheck {
  /** `partition table`, `file system ext4 in partition 1` */
  readonly what: string;
  readonly verdict: Verdict;
  /** What was seen, or why it could not be looked at. */
  readonly detail: string;
  readonly durationMs: number;
}

export interface DrillVolume {
  readonly volumeId: VolumeId;
  readonly name: string;
  readonly sizeBytes: number;
  readonly hashHere: string | undefined;
  readonly hashThere: string | undefined;
  readonly checks: readonly DrillCheck[];
}

export interface DrillReport {
  readonly format: 'baton-drill-1';
  readonly drillId: DrillId;
  readonly copyId: CopyId;
  readonly group: { readonly id: GroupId; readonly name: string };
  /** Where the test ran. */
  readonly site: Party;
  /** The group's holder. */
  readonly holder: Party;
  readonly operator: string;
  readonly software: string;
  readonly point: {
    readonly id: PointId;
    readonly sequence: number;
    readonly sealedAt: string;
    /** When the drill began: what a failover would have lost. */
    readonly ageSeconds: number;
  };
  readonly startedAt: string;
  readonly endedAt: string;
  readonly timings: readonly { readonly step: string; readonly durationMs: number }[];
  readonly volumes: readonly DrillVolume[];
  /** Whether both sites have the same bytes of that point. */
  readonly hashes: DrillCheck;
  /** The site's own check command. */
  readonly command: DrillCheck;
  /** The test was ended, and its scratch data is gone. */
  readonly ended: boolean;
  readonly verdict: Verdict;
  /** The report before this one at the site; absent: this is the first. */
  readonly previous?: { readonly drillId: DrillId; readonly hash: string } | undefined;
}

interface Party {
  readonly id: SiteId;
  readonly name: string;
}

/** A report as it is kept and handed out. */
export interface SignedDrill {
  readonly report: DrillReport;
  /** SHA-256 of the report's canonical text, lower-case hexadecimal. */
  readonly hash: string;
  /** ECDSA over that text, by the key of the certificate; base64. */
  readonly signature: string;
  /** The site's, PEM. */
  readonly certificate: string;
  /** The authority that vouches for it, PEM; the same that hosts and peers have. */
  readonly authority: string;
}

/** The same as the store keeps it, in the order in which they were made. */
export type Drill = SignedDrill & { readonly id: DrillId; readonly groupId: GroupId };

/** One check that failed fails the drill; without a failure, one that passed passes it. */
export function verdictOf(checks: readonly DrillCheck[]): Verdict {
  const seen = checks.map(({ verdict }) => verdict);
  if (seen.includes('failed')) return 'failed';
  return seen.includes('passed') ? 'passed' : 'not_possible';
}

export function checksOf({ hashes, command, volumes }: DrillReport): readonly DrillCheck[] {
  return [hashes, command, ...volumes.flatMap(({ checks }) => checks)];
}

/** What is hashed and signed: members in the order of their names, absent ones left out. */
export function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
