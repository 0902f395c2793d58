/**
 * Ends both control processes (in effect) at any chosen moment: at the n-th write of a record or
 * command to a daemon, before it or after it. From then on the old engines can do nothing.
 */
import { QmpClient } from '../../src/engines/qmp/client.ts';
import type { EngineRecords } from '../../src/ports/engine-records.ts';

export class Crash extends Error {}

export interface Fate {
  readonly at: number;
  readonly when: 'before' | 'after';
}

export class CrashPoints {
  #fate: Fate | undefined;
  #count = 0;
  #dead = false;

  get isDead(): boolean {
    return this.#dead;
  }

  /** How many moments there were. */
  get count(): number {
    return this.#count;
  }

  start(fate: Fate | undefined): void {
    this.#fate = fate;
    this.#count = 0;
    this.#dead = false;
  }

  revive(): void {
    this.#fate = undefined;
    this.#dead = false;
  }

  async pass<T>(effect: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new Crash('dead');
    this.#count += 1;
    const isNow = this.#count === this.#fate?.at;
    if (isNow) this.#dead = true;
    if (isNow && this.#fate?.when === 'before') throw new Crash(`before ${this.#count}`);
    const result = await effect();
    if (isNow) throw new Crash(`after ${this.#count}`);
    return result;
  }

  records(inner: EngineRecords): EngineRecords {
    return {
      read: (groupId) => inner.read(groupId),
      list: () => inner.list(),
      write: (groupId, document) => this.pass(() => inner.write(groupId, document)),
      remove: (groupId) => this.pass(() => inner.remove(groupId)),
    };
  }

  /** Every command to every daemon is such a moment; questions are not. @returns takes it back */
  patchCommands(): () => void {
    const original = Reflect.get(QmpClient.prototype, 'execute');
    const pass = <T>(effect: () => Promise<T>): Promise<T> => this.pass(effect);
    const isDead = (): boolean => this.#dead;
    QmpClient.prototype.execute = function (this: QmpClient, command, args, limitMs) {
      const run = (): Promise<unknown> => original.call(this, command, args, limitMs);
      const isQuestion = /^(query|qom-list|qom-get|x-debug)/.test(command);
      if (!isQuestion) return pass(run);
      return isDead() ? Promise.reject(new Crash('dead')) : run();
    };
    return () => {
      QmpClient.prototype.execute = original;
    };
  }
}
