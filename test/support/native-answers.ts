/** What the stories read from the native API's answers; the rest of them is for other tests. */
export interface JobAnswer {
  readonly id: string;
  readonly kind: string;
  readonly state: 'running' | 'undoing' | 'done' | 'undone';
  readonly abortable: boolean;
  readonly doing?: string;
  readonly trouble?: string;
  readonly outcome?: { readonly message: string; readonly reason?: { readonly code: string } };
  readonly steps: readonly { readonly name: string; readonly durationMs: number }[];
}

export interface VolumeAnswer {
  readonly id: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly heldHere: boolean;
  readonly group?: { readonly id: string; readonly name: string };
  readonly hosts: readonly string[];
  readonly session?: SessionAnswer;
}

export interface GroupAnswer {
  readonly id: string;
  readonly name: string;
  readonly epoch: number;
  readonly operation?: string;
  readonly forced: boolean;
  readonly provisional: boolean;
  readonly fenced: boolean;
  readonly hosts: readonly string[];
  readonly holder: { readonly id: string; readonly name: string };
  readonly heldHere: boolean;
  readonly volumes: readonly Pick<VolumeAnswer, 'id' | 'name' | 'sizeBytes'>[];
}

export interface CycleAnswer {
  readonly pointId: string;
  readonly kind: 'full' | 'delta';
  readonly why: string;
  readonly sealedAt: string;
  readonly completedAt: string;
  readonly durationMs: number;
  readonly sentBytes: number;
  readonly unreadable?: readonly { readonly offset: number; readonly lengthBytes: number }[];
  readonly restarts: number;
}

export interface SessionAnswer {
  readonly id: string;
  readonly role: 'source' | 'destination';
  readonly state: string;
  readonly mode: 'async' | 'sync';
  readonly sync?: {
    readonly condition: 'catching_up' | 'in_sync' | 'fractured';
    readonly since: string;
    readonly why: string;
    readonly completeUpTo?: string;
  };
  readonly provisional: boolean;
  readonly window?: { readonly endsAt: string };
  readonly parkedBecause?: string;
  readonly pause?: { readonly before: string; readonly bothSides: boolean };
  readonly backlog?: { readonly bytes: number; readonly estimatedSeconds?: number };
  readonly rpoSeconds: number;
  readonly rpoNowSeconds?: number;
  readonly rpoMet: boolean;
  readonly newestPoint?: {
    readonly id: string;
    readonly sequence: number;
    readonly sealedAt: string;
  };
  readonly cycle?: {
    readonly jobId: string;
    readonly pointId: string;
    readonly progress?: { readonly sentBytes: number; readonly totalBytes: number };
  };
  readonly lastCycle?: CycleAnswer;
  readonly link?: { readonly state: 'unknown' | 'up' | 'down' };
}

export interface PointAnswer {
  readonly id: string;
  readonly sequence: number;
  readonly epoch: number;
  readonly commonAt?: string;
}

export interface DataPlaneAnswer {
  readonly dataPlane: 'stopped' | 'running' | 'hung';
  readonly instance?: string;
  readonly pid?: number;
  readonly address?: { readonly host: string; readonly port: number };
  readonly serving: boolean;
  readonly receiving?: string;
  readonly sending?: string;
  readonly volumes: readonly {
    readonly volumeId: string;
    readonly sizeBytes: number;
    readonly layers: number;
  }[];
}

/** How a host attaches a volume. */
export interface AttachmentAnswer {
  readonly sizeBytes: number;
  readonly exportName: string;
  readonly tlsName: string;
  readonly serving: boolean;
  readonly host?: string;
  readonly port?: number;
}

/** A host's own certificate, as the site that issued it handed it out. */
export interface HostFiles {
  readonly 'ca-cert.pem': string;
  readonly 'client-cert.pem': string;
  readonly 'client-key.pem': string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly total: number;
}

export interface FailoverPreflight {
  readonly point?: PointAnswer;
  readonly pointAgeSeconds?: number;
  readonly completeUpTo?: string;
  readonly nothingAfter: boolean;
  readonly newerPoints: number;
  readonly incompleteBytes: number;
  readonly setAsideBytes: number;
  readonly blockedBy: readonly string[];
  readonly warnings: readonly string[];
  readonly confirmation?: string;
}

export interface ForkAnswer {
  readonly id: string;
  readonly name: string;
  readonly siteId: string;
  readonly basePointId: string;
  readonly origin: string;
  readonly allocatedBytes: number;
}

/** A failover test, a clone or a mount. */
export interface CopyAnswer {
  readonly id: string;
  readonly state: 'opening' | 'open' | 'closing';
  readonly tlsName: string;
  readonly address?: { readonly host: string; readonly port: number };
  readonly volumes: readonly { readonly exportName: string; readonly sizeBytes: number }[];
}

export interface RestorePreflight {
  readonly blockedBy: readonly string[];
  readonly confirmation?: string;
}

export interface RollbackPreflight {
  readonly setAsideBytes: number;
  readonly setAsideSeconds: number;
  readonly blockedBy: readonly string[];
  readonly confirmation?: string;
}

export interface ImportAnswer {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly trouble?: string;
  readonly left?: string;
  readonly volumes: readonly { readonly id: string; readonly name: string }[];
  readonly progress?: {
    readonly copiedBytes: number;
    readonly totalBytes: number;
    readonly held?: string;
  };
  readonly comparison?: { readonly hash?: string; readonly comparedBytes: number };
  readonly unreadable?: readonly { readonly offset: number; readonly lengthBytes: number }[];
  readonly restarts: number;
  readonly restartedBecause?: string;
  readonly cutOverPauseMs?: number;
  readonly rollback?: { readonly source: string; readonly until: string; readonly why?: string };
}
