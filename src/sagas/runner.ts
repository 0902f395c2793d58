/**
 * Carries sagas out, from wherever the store says they are.
 *
 *   running ── all parts done ──▶ done
 *      │
 *      ├─ before the point of no return: refused, out of attempts, or abort asked
 *      ▼
 *   undoing ── undone backwards, then ifUndone ──▶ undone
 *
 * A part counts as done when its row is in the store; a crash before that runs it again.
 */
import { hasEnded } from '../domain/saga-record.ts';
import type { SagaRecord, StepRecord } from '../domain/saga-record.ts';
import type { SagaId } from '../domain/ids.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import type { Progress } from '../ports/engine.ts';
import type { Log } from '../ports/log.ts';
import type { Part, SagaDefinition, SagaPorts, StepControl } from './saga.ts';
import { POINT_OF_NO_RETURN } from './saga.ts';
import { ProgressMeter } from './progress-meter.ts';

const DEFAULT_ATTEMPTS = 3;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;
const PROGRESS_INTERVAL_MS = 500;

type Json = Readonly<Record<string, unknown>>;

/** The runner is going down: a step that hears this leaves everything as it is. */
class ShuttingDown extends Error {}
/** Somebody asked for an abort. */
class Aborting extends Error {}

export class SagaRunner {
  readonly #ports: SagaPorts;
  readonly #log: Log;
  readonly #definitions: ReadonlyMap<string, SagaDefinition>;
  readonly #running = new Map<
    SagaId,
    { readonly abort: AbortController; readonly end: Promise<void> }
  >();
  readonly #waiting = new Map<SagaId, Set<() => void>>();
  #stopListening: (() => void) | undefined;
  readonly #stopping = new AbortController();
  #looking: Promise<void> = Promise.resolve();

  constructor(ports: SagaPorts, definitions: readonly SagaDefinition[], log: Log) {
    this.#ports = ports;
    this.#log = log;
    this.#definitions = new Map(definitions.map((d) => [d.kind, d]));
  }

  /** Goes on with every saga that has not ended, and with each new one from now on. */
  async start(): Promise<void> {
    this.#stopListening = this.#ports.store.onCommit(() => void this.#look());
    await this.#look();
  }

  /** Stops after the parts that run now, or sooner where they listen; nothing is undone. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ShuttingDown('the site is shutting down'));
    this.#stopListening?.();
    for (const { abort } of this.#running.values()) abort.abort(new ShuttingDown());
    await Promise.all([...this.#running.values()].map((r) => r.end));
    for (const wake of [...this.#waiting.values()].flatMap((set) => [...set])) wake();
  }

  /** The saga's record once it has ended. */
  async ended(sagaId: SagaId): Promise<SagaRecord> {
    for (;;) {
      let wake = (): void => undefined;
      const woken = new Promise<void>((resolve) => (wake = resolve));
      const set = this.#waiting.get(sagaId) ?? new Set();
      this.#waiting.set(sagaId, set.add(wake));
      const record = await this.#ports.store.read((tx) => tx.sagas.need(sagaId));
      if (hasEnded(record)) {
        set.delete(wake);
        return record;
      }
      if (this.#stopped) throw new ShuttingDown('the site is shutting down');
      await woken;
    }
  }

  /**
   * Asks for the saga to be undone. Returns once that is recorded; a repeat changes nothing.
   *
   * @throws Refusal `past_point_of_no_return`
   */
  async abort(sagaId: SagaId, by: string): Promise<void> {
    await this.#ports.store.transaction(async (tx) => {
      const saga = await tx.sagas.need(sagaId);
      if (saga.state === 'done' || this.#onlyForward(saga))
        refuse({ code: 'past_point_of_no_return', sagaId, kind: saga.kind });
      await tx.sagas.change(sagaId, (s) => ({ ...s, abortAskedBy: s.abortAskedBy ?? by }));
    });
    this.#running.get(sagaId)?.abort.abort(new Aborting());
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  #look(): Promise<void> {
    this.#looking = this.#looking.then(async () => {
      if (this.#stopped) return;
      const open = await this.#ports.store.read(async (tx) => [
        ...(await tx.sagas.where({ state: 'running' })),
        ...(await tx.sagas.where({ state: 'undoing' })),
      ]);
      for (const { id } of open) this.#launch(id);
    });
    return this.#looking;
  }

  #launch(id: SagaId): void {
    if (this.#stopped || this.#running.has(id)) return;
    const abort = new AbortController();
    const end = this.#run(id, abort)
      .catch((error: unknown) => {
        if (!(error instanceof ShuttingDown)) {
          this.#log.error({ event: 'saga_runner_failed', sagaId: id, error });
        }
      })
      .finally(() => {
        this.#running.delete(id);
        const waiting = this.#waiting.get(id);
        this.#waiting.delete(id);
        for (const wake of waiting ?? []) wake();
      });
    this.#running.set(id, { abort, end });
  }

  async #run(id: SagaId, abort: AbortController): Promise<void> {
    let record = await this.#ports.store.read((tx) => tx.sagas.need(id));
    const { parts } = this.#definition(record.kind);
    while (record.state === 'running') {
      if (this.#stopped) throw new ShuttingDown();
      const part = parts[record.steps.length];
      if (part === undefined) record = await this.#finish(id, 'done');
      else record = await this.#advance(record, part, abort);
    }
    if (record.state === 'undoing') await this.#undo(record, parts);
  }

  /** Does one part and records it, or turns the saga round. */
  async #advance(record: SagaRecord, part: Part, abort: AbortController): Promise<SagaRecord> {
    const { id, kind } = record;
    const startedAt = this.#ports.clock.now();
    const startedMs = this.#ports.clock.monotonicMs();
    const passed = this.#onlyForward(record);
    try {
      if (record.abortAskedBy !== undefined && !passed) {
        refuse({ code: 'aborted', sagaId: id, by: record.abortAskedBy });
      }
      const row = (output: unknown): StepRecord => ({
        name: part.name,
        output,
        startedAt,
        durationMs: this.#ports.clock.monotonicMs() - startedMs,
      });
      const next = await this.#perform(record, part, abort, row);
      this.#log.info({
        event: 'saga_step_done',
        sagaId: id,
        kind,
        step: part.name,
        durationMs: row(0).durationMs,
      });
      return next;
    } catch (error) {
      if (this.#stopped) throw new ShuttingDown();
      return this.#troubled(record, part, error, passed);
    }
  }

  async #perform(
    record: SagaRecord,
    part: Part,
    abort: AbortController,
    row: (output: unknown) => StepRecord,
  ): Promise<SagaRecord> {
    const { id, input } = record;
    const { store, here, clock } = this.#ports;
    if (part.is === 'step') {
      const control = this.#control(id, abort.signal);
      const output = await part.step.do(this.#ports, input, outputs(record), control);
      return store.transaction((tx) => tx.sagas.change(id, (s) => withStep(s, row(output))));
    }
    return store.transaction(async (tx) => {
      const fresh = await tx.sagas.need(id);
      // Read where it is recorded, so that an abort that was accepted is never outrun.
      if (fresh.abortAskedBy !== undefined && !this.#onlyForward(fresh)) {
        refuse({ code: 'aborted', sagaId: id, by: fresh.abortAskedBy });
      }
      const facts = { sagaId: id, here, now: clock.now() };
      const output = await part.commit.write(tx, input, outputs(fresh), facts);
      return tx.sagas.change(id, (s) => withStep(s, row(output)));
    });
  }

  /** A part did not work: try again, or turn round. */
  async #troubled(
    record: SagaRecord,
    part: Part,
    error: unknown,
    passed: boolean,
  ): Promise<SagaRecord> {
    const { id, kind } = record;
    const { store } = this.#ports;
    const aborting = error instanceof Aborting;
    const trouble = error instanceof Error ? error.message : String(error);
    const attempts = record.doing === part.name ? record.attempts + 1 : 1;
    const allowed = part.is === 'step' ? (part.step.attempts ?? DEFAULT_ATTEMPTS) : 1;
    const final = error instanceof Refusal || aborting || attempts >= allowed;
    this.#log.warn({
      event: 'saga_step_failed',
      sagaId: id,
      kind,
      step: part.name,
      attempts,
      trouble,
      error,
    });
    if (final && !passed) {
      return store.transaction((tx) =>
        tx.sagas.change(id, (s) => ({
          ...s,
          state: 'undoing',
          doing: part.name,
          attempts: 0,
          trouble,
          outcome: aborting
            ? outcomeOf(
                new Refusal({ code: 'aborted', sagaId: id, by: s.abortAskedBy ?? 'operator' }),
              )
            : outcomeOf(error),
        })),
      );
    }
    const next = await store.transaction((tx) =>
      tx.sagas.change(id, (s) => ({ ...s, doing: part.name, attempts, trouble })),
    );
    await this.#backOff(attempts);
    return this.#stopped ? next : store.read((tx) => tx.sagas.need(id));
  }

  async #undo(record: SagaRecord, parts: readonly Part[]): Promise<void> {
    let left = record;
    let begun = parts[left.steps.length];
    for (let attempts = 1; ; attempts += 1) {
      try {
        if (begun?.name === left.doing && begun?.is === 'step') await this.#undoStep(left, begun);
        begun = undefined;
        while (left.steps.length > 0) {
          left = await this.#undoLast(left, parts);
          attempts = 1;
        }
        await this.#finish(left.id, 'undone');
        return;
      } catch (error) {
        if (this.#stopped) throw new ShuttingDown();
        this.#log.error({
          event: 'saga_undo_failed',
          sagaId: left.id,
          kind: left.kind,
          attempts,
          error,
        });
        await this.#backOff(attempts);
      }
    }
  }

  async #undoLast(record: SagaRecord, parts: readonly Part[]): Promise<SagaRecord> {
    const { id, input } = record;
    const { store, here, clock } = this.#ports;
    const part = parts[record.steps.length - 1];
    if (part?.is === 'step') await this.#undoStep(record, part);
    return store.transaction(async (tx) => {
      if (part?.is === 'commit')
        await part.commit.undo?.(tx, input, { sagaId: id, here, now: clock.now() });
      return tx.sagas.change(id, (s) => ({ ...s, steps: s.steps.slice(0, -1), doing: part?.name }));
    });
  }

  async #undoStep(record: SagaRecord, part: Extract<Part, { is: 'step' }>): Promise<void> {
    // Undoing listens only to the end of the process, never to the abort that began it.
    const control = this.#control(record.id, new AbortController().signal);
    await part.step.undo?.(this.#ports, record.input, control);
  }

  async #finish(id: SagaId, state: 'done' | 'undone'): Promise<SagaRecord> {
    const { store, here, clock } = this.#ports;
    const record = await store.transaction(async (tx) => {
      const { kind, input, outcome } = await tx.sagas.need(id);
      const facts = { sagaId: id, here, now: clock.now(), why: outcome?.message ?? '' };
      if (state === 'undone') await this.#definition(kind).whenUndone?.(tx, input, facts);
      return tx.sagas.change(id, (s) => ({
        ...s,
        state,
        doing: undefined,
        attempts: 0,
        progress: undefined,
        trouble: undefined,
        endedAt: facts.now,
      }));
    });
    const { kind, outcome, startedAt } = record;
    const durationMs = clock.now() - startedAt;
    this.#log.info({ event: `saga_${state}`, sagaId: id, kind, durationMs, why: outcome?.message });
    return record;
  }

  #control(sagaId: SagaId, signal: AbortSignal): StepControl {
    const { store, clock } = this.#ports;
    const meter = new ProgressMeter();
    let toldMs = Number.NEGATIVE_INFINITY;
    return {
      sagaId,
      signal,
      ended: (id) => this.ended(id),
      onProgress: (progress: Progress) => {
        const nowMs = clock.monotonicMs();
        const state = meter.measure(progress, nowMs);
        if (nowMs - toldMs < PROGRESS_INTERVAL_MS || this.#stopped) return;
        toldMs = nowMs;
        store
          .transaction((tx) => tx.sagas.change(sagaId, (s) => ({ ...s, progress: state })))
          .catch((error: unknown) =>
            this.#log.warn({ event: 'progress_not_recorded', sagaId, error }),
          );
      },
    };
  }

  #backOff(attempts: number): Promise<void> {
    const ms = Math.min(FIRST_RETRY_MS * 2 ** (attempts - 1), LONGEST_RETRY_MS);
    return this.#ports.clock.sleep(ms, this.#stopping.signal);
  }

  /** Past its point of no return, or before one that comes first: then there is no way back at all. */
  #onlyForward({ kind, steps }: SagaRecord): boolean {
    const [first] = this.#definition(kind).parts;
    return first?.is === 'point_of_no_return' || steps.some((s) => s.name === POINT_OF_NO_RETURN);
  }

  #definition(kind: string): SagaDefinition {
    const definition = this.#definitions.get(kind);
    if (definition === undefined) throw new Error(`no saga is called ${kind}`);
    return definition;
  }
}

function withStep(record: SagaRecord, step: StepRecord): SagaRecord {
  return {
    ...record,
    steps: [...record.steps, step],
    doing: undefined,
    attempts: 0,
    trouble: undefined,
    progress: undefined,
  };
}

function outputs(record: SagaRecord): Json {
  return Object.fromEntries(record.steps.map((s) => [s.name, s.output]));
}

function outcomeOf(error: unknown): SagaRecord['outcome'] {
  if (error instanceof Refusal) return { message: error.message, reason: error.reason };
  return { message: error instanceof Error ? error.message : String(error), reason: undefined };
}
