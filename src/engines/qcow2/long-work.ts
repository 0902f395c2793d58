import { Failure } from '../../domain/refusal.ts';

export type LongWorkName = 'send' | 'merge' | 'hash' | 'mirror';

/**
 * Work on a group's layers that goes on without the group's lock: others may have to end it before
 * they touch the layers. What it did so far stays.
 */
export class LongWork {
  readonly name: LongWorkName;
  readonly #ended = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  readonly #what: string;

  /** @param what completes the sentence: … was ended */
  constructor(name: LongWorkName, what: string) {
    this.name = name;
    this.#what = what;
  }

  /** Aborts when the work is to end. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Asks it to end, and resolves when it has. */
  interrupt(): Promise<void> {
    this.#ended.abort(new Failure(`${this.#what} was ended`));
    return this.#over.promise;
  }

  /** Said by the work itself, at its very end. */
  close(): void {
    this.#over.resolve();
  }
}
