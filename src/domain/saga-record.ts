import type { GroupId, Instant, SagaId } from './ids.ts';
import type { Reason } from './refusal.ts';

/** A long operation as it is kept: what it was asked, how far it came, how it ended. */
export interface SagaRecord {
  readonly id: SagaId;
  readonly kind: string;
  readonly groupId: GroupId | undefined;
  readonly parentId: SagaId | undefined;
  readonly input: unknown;
  readonly state: SagaState;
  /** In the order in which they were done. A step without a row has not ended. */
  readonly steps: readonly StepRecord[];
  /** The step that runs or is tried again, for whoever watches. */
  readonly doing: string | undefined;
  readonly attempts: number;
  /** Why the last attempt of the running step did not work. */
  readonly trouble: string | undefined;
  readonly progress: SagaProgress | undefined;
  readonly abortAskedBy: string | undefined;
  readonly outcome: SagaOutcome | undefined;
  readonly startedAt: Instant;
  readonly endedAt: Instant | undefined;
}

export type SagaState = 'running' | 'undoing' | 'done' | 'undone';

export interface StepRecord {
  readonly name: string;
  readonly output: unknown;
  readonly startedAt: Instant;
  readonly durationMs: number;
}

export interface SagaProgress {
  /** So many bytes were compared by their hashes; only what differs is sent. */
  readonly comparing?: boolean;
  readonly sentBytes: number;
  readonly totalBytes: number;
  /** Over the last seconds. */
  readonly bytesPerSecond: number | undefined;
  readonly etaSeconds: number | undefined;
}

/** Why a saga was undone; or why one that is done did not come to what it was asked for. */
export interface SagaOutcome {
  readonly message: string;
  /** Set when it was a refusal; else the world failed. */
  readonly reason: Reason | undefined;
}

export function hasEnded(saga: SagaRecord): boolean {
  return saga.state === 'done' || saga.state === 'undone';
}
