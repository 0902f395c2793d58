/** What of the native API's answers the benchmarks read. */
export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly parentId?: string;
  readonly state: 'running' | 'undoing' | 'done' | 'undone';
  readonly outcome?: { readonly message: string };
  readonly steps: readonly { readonly name: string; readonly durationMs: number }[];
  readonly startedAt: string;
  readonly endedAt?: string;
}

export interface GroupAnswer {
  readonly id: string;
  readonly heldHere: boolean;
  readonly fenced: boolean;
}

export interface SessionAnswer {
  readonly state: string;
  readonly newestPoint?: { readonly id: string; readonly sequence: number };
  readonly sync?: { readonly condition: string };
  readonly rpoNowSeconds?: number;
  readonly lastCycle?: {
    readonly kind: 'full' | 'delta';
    readonly sentBytes: number;
    readonly durationMs: number;
    readonly startedAt?: string;
    readonly completedAt: string;
  };
}

export interface Attachment {
  readonly exportName: string;
  readonly tlsName: string;
  readonly host?: string;
  readonly port?: number;
  readonly serving: boolean;
}
