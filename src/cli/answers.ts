/** The native API's answers, as far as commands read them. Programs get all of them with `-o json`. */

export interface Named {
  readonly id: string;
  readonly name: string;
}

export interface Progress {
  readonly comparing?: boolean;
  readonly sentBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond?: number;
  readonly etaSeconds?: number;
}

export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly state: 'running' | 'undoing' | 'done' | 'undone';
  readonly groupId?: string;
  readonly parentId?: string;
  readonly abortable: boolean;
  readonly doing?: string;
  readonly attempts: number;
  readonly trouble?: string;
  readonly progress?: Progress;
  readonly outcome?: { readonly message: string };
  readonly steps: readonly {
    readonly name: string;
    readonly startedAt: string;
    readonly durationMs: number;
  }[];
  readonly startedAt: string;
  readonly endedAt?: string;
}

export interface Link {
  readonly state: 'unknown' | 'up' | 'down';
  readonly since: string;
  readonly detail?: string;
}

export interface Session {
  readonly id: string;
  readonly group: Named;
  readonly peer: Named;
  readonly role: 'source' | 'destination';
  readonly state: string;
  readonly mode: 'async' | 'sync';
  readonly sync?: {
    readonly condition: string;
    readonly since: string;
    readonly why: string;
    readonly stallSeconds: number;
    readonly onLoss: 'continue' | 'hold';
    readonly completeUpTo?: string;
  };
  /** The holder's failover can still be rolled back. */
  readonly provisional: boolean;
  readonly window?: { readonly returnsTo: Named; readonly endsAt: string };
  readonly parkedBecause?: string;
  readonly pause?: { readonly bothSides: boolean };
  readonly backlog?: { readonly bytes: number; readonly estimatedSeconds?: number };
  readonly rpoSeconds: number;
  readonly rpoNowSeconds?: number;
  readonly rpoMet: boolean;
  readonly bytesPerSecond?: number;
  readonly retainedPoints: number;
  readonly comparesWith?: string;
  readonly cycle?: { readonly jobId: string; readonly progress?: Progress };
  readonly lastCycle?: {
    readonly kind: 'full' | 'delta';
    readonly why: string;
    readonly completedAt: string;
    readonly durationMs: number;
    readonly sentBytes: number;
  };
  readonly nextCycleAt?: string;
  readonly link?: Link;
}

export interface Volume extends Named {
  readonly serial: string;
  readonly sizeBytes: number;
  readonly state: string;
  readonly group?: Named;
  readonly heldHere: boolean;
  readonly hosts: readonly string[];
  readonly session?: Session;
  readonly createdAt: string;
}

export interface Group extends Named {
  readonly epoch: number;
  readonly forced: boolean;
  readonly provisional: boolean;
  readonly operation?: string;
  readonly fenced: boolean;
  readonly hosts: readonly string[];
  readonly holder: Named;
  readonly heldHere: boolean;
  readonly volumes: readonly (Named & { readonly sizeBytes: number; readonly state: string })[];
  readonly session?: Session;
  readonly createdAt: string;
}

export interface Attachment {
  readonly exportName: string;
  readonly tlsName: string;
  readonly serving: boolean;
  readonly host?: string;
  readonly port?: number;
  readonly uri?: string;
}

export interface Point {
  readonly id: string;
  readonly sequence: number;
  readonly sealedAt: string;
  readonly commonAt?: string;
  readonly volumes: readonly { readonly volumeId: string; readonly name: string }[];
}

export interface Peer extends Named {
  readonly host: string;
  readonly port: number;
  readonly pairedAt: string;
  readonly bytesPerSecond?: number;
  readonly sessions: number;
  readonly link?: Link;
}

export interface Preflight {
  readonly from: string;
  readonly to?: string;
  readonly blockedBy: readonly string[];
  readonly epoch: number;
  readonly lostBytes: number;
  readonly expectedSeconds?: number;
  readonly newestPointAgeSeconds?: number;
  readonly hosts: {
    readonly follow: readonly { readonly host: string; readonly address: string }[];
    readonly cut: readonly { readonly address: string; readonly connections: number }[];
  };
}

/** A host whose agent follows a volume. */
export interface AttachedHost {
  readonly host: string;
  readonly address: string;
  readonly state: string;
  readonly why?: string;
  readonly since: string;
  readonly lastSeenAt: string;
}

export interface FailoverPreflight {
  readonly point?: Point;
  readonly pointAgeSeconds?: number;
  readonly completeUpTo?: string;
  readonly nothingAfter: boolean;
  readonly newerPoints: number;
  readonly incompleteBytes: number;
  readonly setAsideBytes: number;
  readonly expectedSeconds?: number;
  readonly blockedBy: readonly string[];
  readonly warnings: readonly string[];
  readonly confirmation?: string;
}

export interface Copy extends Named {
  readonly purpose: string;
  readonly group: Named;
  readonly of: { readonly point?: string; readonly fork?: string };
  readonly writable: boolean;
  readonly hosts: readonly string[];
  readonly state: string;
  readonly endsInSeconds?: number;
  readonly writtenBytes?: number;
  readonly volumes: readonly { readonly exportName: string; readonly uri?: string }[];
}

export interface RestorePreflight {
  readonly point?: Point;
  readonly pointAgeSeconds?: number;
  readonly setAsideBytes: number;
  readonly setAsidePoints: number;
  readonly expectedSeconds?: number;
  readonly blockedBy: readonly string[];
  readonly confirmation?: string;
}

/** What ending a replication would do. */
export interface UnprotectPreflight {
  readonly points: number;
  readonly consequence: string;
  readonly blockedBy: readonly string[];
  readonly confirmation?: string;
}

/** What discarding a fork would delete. */
export interface DiscardPreflight {
  readonly fork: Fork;
  readonly blockedBy: readonly string[];
  readonly confirmation?: string;
}

export type FailoverLoss = Pick<
  FailoverPreflight,
  | 'pointAgeSeconds'
  | 'completeUpTo'
  | 'nothingAfter'
  | 'newerPoints'
  | 'incompleteBytes'
  | 'setAsideBytes'
>;

export interface Fork extends Named {
  readonly groupId: string;
  readonly siteId: string;
  readonly origin: string;
  readonly allocatedBytes: number;
  readonly setAsideAt: string;
  readonly expiresAt: string;
}

/** What a host needs to follow its volumes: a part for each site. */
export interface Enrolment {
  readonly host: string;
  readonly sites: readonly {
    readonly siteId: string;
    readonly siteName: string;
    readonly url: string;
    readonly token: string;
    readonly files: Readonly<Record<string, string>>;
  }[];
}

export interface HostBundle {
  readonly host: Named;
  readonly files: Readonly<Record<string, string>>;
}

/** A system that volumes are brought in from. */
export interface Source extends Named {
  readonly endpoint: {
    readonly kind: 'nbd' | 'iscsi' | 'file' | 'http';
    readonly host?: string;
    readonly port?: number;
    readonly tls?: object;
    readonly chapUser?: string;
    readonly user?: string;
    readonly directory?: string;
    readonly baseUrl?: string;
  };
  readonly hasSecret: boolean;
  readonly reachable: boolean;
  readonly checkedAt: string;
  readonly trouble?: string;
  readonly createdAt: string;
}

export interface SourceVolumes {
  /** Whether the source can tell of its volumes. */
  readonly listed: boolean;
  readonly volumes: readonly { readonly locator: string; readonly sizeBytes?: number }[];
}

export interface ByteRange {
  readonly volumeId: string;
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface Import extends Named {
  readonly source: Named;
  readonly group?: Named;
  readonly volumes: readonly (Named & {
    readonly sizeBytes: number;
    readonly locator: string;
    readonly format: string;
    readonly readOnly: boolean;
  })[];
  readonly state: string;
  readonly stateSince: string;
  readonly trouble?: string;
  readonly left?: string;
  readonly progress?: Omit<Progress, 'sentBytes'> & {
    readonly copiedBytes: number;
    readonly averageBytesPerSecond?: number;
    readonly held?: string;
  };
  readonly comparing?: Progress;
  readonly comparison?: {
    readonly comparedAt: string;
    readonly comparedBytes: number;
    readonly hash?: string;
    readonly differing: readonly ByteRange[];
  };
  readonly unreadable?: readonly ByteRange[];
  readonly restarts: number;
  readonly restartedBecause?: string;
  readonly cutOverPauseMs?: number;
  readonly rollbackForSeconds?: number;
  readonly rollback?: {
    readonly until: string;
    readonly source: string;
    readonly since: string;
    readonly leftBytes: number;
    readonly why?: string;
  };
  readonly automaticCutover: boolean;
  readonly hosts: readonly string[];
  readonly bytesPerSecond?: number;
  readonly scheduledAt?: string;
  readonly createdAt: string;
  readonly endedAt?: string;
}

export interface ReprotectPreflight {
  readonly method?: 'delta' | 'comparison';
  readonly point?: Point;
  readonly bytes?: number;
  readonly expectedSeconds?: number;
  readonly blockedBy: readonly string[];
}

export interface RollbackPreflight {
  readonly point?: Point;
  readonly setAsideBytes: number;
  readonly setAsideSeconds: number;
  readonly endsAt?: string;
  readonly expectedSeconds?: number;
  readonly blockedBy: readonly string[];
  readonly confirmation?: string;
}
