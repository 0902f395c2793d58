import type { DrillCheck, DrillReport, SignedDrill } from '../domain/drill.ts';
import type { DrillId, PointId, VolumeId } from '../domain/ids.ts';

/** What a drill needs beside the engine: eyes for what is on a volume, and the site's signature. */
export interface DrillTools {
  /** `Baton 1.2.0`: what the report says it was made with. */
  readonly software: string;

  /**
   * Looks at a copy that is open to `hostName`: its partition tables and file systems, read-only, and
   * whatever the site's own check command says of it. What cannot be looked at is said, not thrown.
   * Nothing is left running or mounted; what a call that was killed left is removed by the next.
   */
  check(copy: CheckedCopy, signal: AbortSignal): Promise<CheckedVolumes>;

  /** The report under the site's key. */
  sign(report: DrillReport): SignedDrill;
}

export interface CheckedCopy {
  readonly drillId: DrillId;
  readonly groupName: string;
  readonly pointId: PointId;
  readonly address: { readonly host: string; readonly port: number };
  /** The name in the certificate of what serves it. */
  readonly tlsName: string;
  /** The one that it is open to; a certificate is issued for it. */
  readonly hostName: string;
  readonly volumes: readonly { readonly volumeId: VolumeId; readonly name: string }[];
}

export interface CheckedVolumes {
  readonly volumes: readonly {
    readonly volumeId: VolumeId;
    readonly checks: readonly DrillCheck[];
  }[];
  readonly command: DrillCheck;
}
