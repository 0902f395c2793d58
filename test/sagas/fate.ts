/** What happens to one part of one saga: wrapped around its definition, the runner cannot tell. */
import { Failure, Refusal } from '../../src/domain/refusal.ts';
import type { SagaId } from '../../src/domain/ids.ts';
import type { Part, SagaDefinition } from '../../src/sagas/saga.ts';
import type { MemorySite } from '../support/memory-site.ts';

export const troubles = [
  'done twice',
  'crash before',
  'crash after',
  'fails once',
  'fails',
  'fails after it was done',
  'refused',
  'refused after it was done',
  'abort during',
  'abort after',
] as const;
export type Trouble = (typeof troubles)[number];

export const undoTroubles = ['undone twice', 'crash after undo', 'undo fails once'] as const;
export type UndoTrouble = (typeof undoTroubles)[number];

export interface Fate {
  readonly kind: string;
  readonly part: number;
  readonly trouble: Trouble | undefined;
  /** Of every undo of the saga. */
  readonly undoTrouble: UndoTrouble | undefined;
  /** A failure or refusal ends after so many times. */
  readonly times: number;
}

class Crash extends Error {
  override readonly name = 'Crash';
}

/** Sagas that meet their fate at the site that carries them out. */
export class Fates {
  /** Set when everything is prepared; before it nothing happens. */
  fate: Fate | undefined;
  site: MemorySite | undefined;
  /** How often the part was met. */
  met = 0;
  readonly #undone = new Set<number>();

  wrap(definitions: readonly SagaDefinition[]): readonly SagaDefinition[] {
    return definitions.map((definition) => ({
      ...definition,
      parts: definition.parts.map((part, index) => this.#wrapPart(definition.kind, part, index)),
    }));
  }

  #wrapPart(kind: string, part: Part, index: number): Part {
    if (part.is !== 'step') {
      const { write, undo } = part.commit;
      const commit: typeof part.commit = {
        write: (tx, input, done, facts) =>
          this.#writing(kind, index, facts.sagaId, () => write(tx, input, done, facts)),
        ...(undo && {
          undo: (tx, input, facts) =>
            this.#undoingCommit(kind, index, () => undo(tx, input, facts)),
        }),
      };
      return { ...part, commit };
    }
    const { do: work, undo } = part.step;
    const step: typeof part.step = {
      ...part.step,
      do: (ports, input, done, control) =>
        this.#doing(kind, index, control.sagaId, () => work(ports, input, done, control)),
      ...(undo && {
        undo: (ports, input, control) =>
          this.#undoing(kind, index, () => undo(ports, input, control)),
      }),
    };
    return { ...part, step };
  }

  async #doing<T>(kind: string, index: number, sagaId: SagaId, work: () => Promise<T>): Promise<T> {
    const trouble = this.#troubleOf(kind, index);
    if (trouble === undefined) return work();
    this.met += 1;
    switch (trouble) {
      case 'done twice':
        await work();
        return work();
      case 'crash before':
        return this.met === 1 ? this.#crash() : work();
      case 'crash after':
        await (this.met === 1 ? work().then(() => this.#crash()) : undefined);
        return work();
      case 'fails once':
        if (this.met === 1) throw new Failure('the world did not work, once');
        return work();
      case 'fails':
        this.#fail();
        return work();
      case 'fails after it was done':
        await work();
        this.#fail();
        return work();
      case 'refused':
        this.#refuse();
        return work();
      case 'refused after it was done':
        await work();
        this.#refuse();
        return work();
      case 'abort during':
        await this.#abort(sagaId);
        return work();
      case 'abort after': {
        const output = await work();
        await this.#abort(sagaId);
        return output;
      }
    }
  }

  /** A commit is all or nothing: it cannot be done twice, nor crash half-way. */
  async #writing<T>(
    kind: string,
    index: number,
    sagaId: SagaId,
    work: () => Promise<T>,
  ): Promise<T> {
    const trouble = this.#troubleOf(kind, index);
    if (trouble === undefined) return work();
    this.met += 1;
    const output = await work();
    switch (trouble) {
      case 'crash before':
      case 'crash after':
      case 'done twice':
        if (this.met === 1) this.#crash();
        break;
      case 'fails once':
        if (this.met === 1) throw new Failure('the store did not work, once');
        break;
      case 'fails':
      case 'fails after it was done':
        this.#fail();
        break;
      case 'refused':
      case 'refused after it was done':
        this.#refuse();
        break;
      case 'abort during':
      case 'abort after':
        // It has to wait for this transaction's end.
        void this.#abort(sagaId);
        break;
    }
    return output;
  }

  async #undoing(kind: string, index: number, work: () => Promise<void>): Promise<void> {
    const trouble = this.fate?.kind === kind ? this.fate.undoTrouble : undefined;
    const isFirst = !this.#undone.has(index);
    if (trouble !== undefined) this.#undone.add(index);
    if (trouble === 'undo fails once' && isFirst) throw new Failure('the undo did not work, once');
    await work();
    if (trouble === 'undone twice') await work();
    if (trouble === 'crash after undo' && isFirst) this.#crash();
  }

  async #undoingCommit(kind: string, index: number, work: () => Promise<void>): Promise<void> {
    const trouble = this.fate?.kind === kind ? this.fate.undoTrouble : undefined;
    const isFirst = !this.#undone.has(index);
    if (trouble !== undefined) this.#undone.add(index);
    await work();
    if (!isFirst) return;
    if (trouble === 'undo fails once') throw new Failure('the store did not work, once');
    if (trouble === 'crash after undo') this.#crash();
  }

  #troubleOf(kind: string, index: number): Trouble | undefined {
    return this.fate?.kind === kind && this.fate.part === index ? this.fate.trouble : undefined;
  }

  #fail(): void {
    if (this.met <= (this.fate?.times ?? 0)) throw new Failure('the world does not work');
  }

  #refuse(): void {
    if (this.met > (this.fate?.times ?? 0)) return;
    throw new Refusal({ code: 'unsupported', what: 'this step', why: 'the harness says so' });
  }

  #crash(): never {
    // Not awaited: it waits for this very step to end.
    void this.site?.restart();
    throw new Crash('the control process died');
  }

  async #abort(jobId: SagaId): Promise<void> {
    try {
      await this.site?.app.abortJob({ jobId, by: 'the harness' });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
}
