/**
 * How a long operation is written down.
 *
 *   saga<Input>('name')
 *     .ifUndone(...)              puts the store back when the saga ends undone
 *     .step(name, {do, undo})     touches the world; may run again, so it is idempotent
 *     .commit(name, write)        touches only the store, in the transaction that records it
 *     .pointOfNoReturn(write)     before it a failure undoes, after it everything is tried again;
 *                                 what it writes is part of passing it
 *
 * The runner records each step's output with the step; a later step finds it in `done`.
 */
import type { GroupId, Instant, SagaId, SiteId } from '../domain/ids.ts';
import type { SagaRecord } from '../domain/saga-record.ts';
import type { Clock } from '../ports/clock.ts';
import type { DrillTools } from '../ports/drill-tools.ts';
import type { Engine, Progress } from '../ports/engine.ts';
import type { Importer } from '../ports/importer.ts';
import type { PeerProtocol } from '../ports/peer.ts';
import type { Store, Transaction } from '../ports/store.ts';
import type { GroupGate } from './group-gate.ts';

/** What steps reach the world through. */
export interface SagaPorts {
  readonly here: SiteId;
  readonly engine: Engine;
  readonly importer: Importer;
  readonly peer: PeerProtocol;
  readonly store: Store;
  readonly clock: Clock;
  readonly gate: GroupGate;
  readonly drillTools: DrillTools;
}

/** A running step's own handle on its saga. */
export interface StepControl {
  readonly sagaId: SagaId;
  /** Aborts when the saga is to be undone or the process ends; a long step listens to it. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
  /** The end of another saga, which this one started or waits for. */
  readonly ended: (sagaId: SagaId) => Promise<SagaRecord>;
}

/** What a commit may know besides the store. */
export interface CommitFacts {
  readonly sagaId: SagaId;
  readonly here: SiteId;
  readonly now: Instant;
}

type Json = Readonly<Record<string, unknown>>;

export interface Step<Input, Done, Output> {
  readonly do: (
    ports: SagaPorts,
    input: Input,
    done: Done,
    control: StepControl,
  ) => Promise<Output>;
  /** Runs when the step was begun, whether or not it ended. */
  readonly undo?: (ports: SagaPorts, input: Input, control: StepControl) => Promise<void>;
  /** How often a failure is tried again before the saga is undone. */
  readonly attempts?: number;
}

export interface Commit<Input, Done, Output> {
  readonly write: (
    tx: Transaction,
    input: Input,
    done: Done,
    facts: CommitFacts,
  ) => Promise<Output>;
  readonly undo?: (tx: Transaction, input: Input, facts: CommitFacts) => Promise<void>;
}

/** A part of a saga as the runner sees it, types forgotten. */
export type Part =
  | { readonly is: 'step'; readonly name: string; readonly step: Step<unknown, Json, unknown> }
  | {
      readonly is: 'commit';
      readonly name: string;
      readonly commit: Commit<unknown, Json, unknown>;
    }
  | {
      readonly is: 'point_of_no_return';
      readonly name: 'point-of-no-return';
      readonly commit: Commit<unknown, Json, unknown>;
    };

type WhenUndone<Input> = (tx: Transaction, input: Input, facts: UndoneFacts) => Promise<void>;

export interface SagaDefinition {
  readonly kind: string;
  readonly parts: readonly Part[];
  readonly whenUndone: WhenUndone<unknown> | undefined;
}

/** What `ifUndone` may know: why, as well. */
export interface UndoneFacts extends CommitFacts {
  readonly why: string;
}

export const POINT_OF_NO_RETURN = 'point-of-no-return';

/** A definition that remembers its input's type for whoever starts it. */
export interface Saga<Input> extends SagaDefinition {
  readonly inputType?: (input: Input) => void;
}

export interface SagaBuilder<Input, Done extends Json> extends Saga<Input> {
  /** @param write puts the store back, in the transaction that ends the saga */
  ifUndone(write: WhenUndone<Input>): SagaBuilder<Input, Done>;
  step<Name extends string, Output>(
    name: Name,
    step: Step<Input, Done, Output>,
  ): SagaBuilder<Input, Done & { readonly [N in Name]: Output }>;
  commit<Name extends string, Output>(
    name: Name,
    write: Commit<Input, Done, Output>['write'],
    undo?: Commit<Input, Done, Output>['undo'],
  ): SagaBuilder<Input, Done & { readonly [N in Name]: Output }>;
  /** @param write is undone by nothing: once it is written, the saga only goes forward */
  pointOfNoReturn<Output>(
    write?: Commit<Input, Done, Output>['write'],
  ): SagaBuilder<Input, Done & { readonly [POINT_OF_NO_RETURN]: Output }>;
}

export function saga<Input>(kind: string): SagaBuilder<Input, Record<never, never>> {
  return build<Input, Record<never, never>>({ kind, parts: [], whenUndone: undefined });
}

function build<Input, Done extends Json>(definition: SagaDefinition): SagaBuilder<Input, Done> {
  // The builder's types end here: the runner hands each part what was recorded under its name.
  const with_ = <D extends Json>(part: unknown): SagaBuilder<Input, D> =>
    build<Input, D>({ ...definition, parts: [...definition.parts, part as Part] });
  return {
    ...definition,
    ifUndone: (write) =>
      build<Input, Done>({ ...definition, whenUndone: write as WhenUndone<unknown> }),
    step: (name, step) => with_({ is: 'step', name, step }),
    commit: (name, write, undo) => with_({ is: 'commit', name, commit: { write, undo } }),
    pointOfNoReturn: (write) => {
      const commit = { write: write ?? (() => Promise.resolve()) };
      return with_({ is: 'point_of_no_return', name: POINT_OF_NO_RETURN, commit });
    },
  };
}

export interface StartOptions {
  readonly sagaId: SagaId;
  readonly now: Instant;
  readonly groupId?: GroupId;
  readonly parentId?: SagaId;
}

/**
 * Writes the saga down in the caller's transaction; the runner takes it from there once that
 * commits. A repeat with the same id changes nothing.
 */
export async function startSaga<Input>(
  tx: Transaction,
  definition: Saga<Input>,
  input: Input,
  { sagaId, now, groupId, parentId }: StartOptions,
): Promise<SagaId> {
  if ((await tx.sagas.get(sagaId)) !== undefined) return sagaId;
  await tx.sagas.insert({
    id: sagaId,
    kind: definition.kind,
    groupId,
    parentId,
    input,
    state: 'running',
    steps: [],
    doing: undefined,
    attempts: 0,
    trouble: undefined,
    progress: undefined,
    abortAskedBy: undefined,
    outcome: undefined,
    startedAt: now,
    endedAt: undefined,
  });
  return sagaId;
}
