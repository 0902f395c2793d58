import type { GroupId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { EngineRecords } from '../../ports/engine-records.ts';
import type { PortRange } from './options.ts';
import { parseRecord } from './record.ts';

/** Gives each group a port of its own, which it keeps: peers and firewalls know it. */
export class PortBook {
  readonly #records: EngineRecords;
  readonly #range: PortRange;
  #holders: Promise<Map<number, GroupId>> | undefined;

  constructor(records: EngineRecords, range: PortRange) {
    this.#records = records;
    this.#range = range;
  }

  /**
   * @param busy ports that some other program holds
   * @throws Failure when every port of the range has its group
   */
  async take(groupId: GroupId, busy: ReadonlySet<number> = new Set()): Promise<number> {
    const holders = await (this.#holders ??= this.#read());
    for (let port = this.#range.first; port <= this.#range.last; port += 1) {
      if (busy.has(port) || (holders.get(port) ?? groupId) !== groupId) continue;
      holders.set(port, groupId);
      return port;
    }
    throw new Failure(
      `group ${groupId}: wanted a port, all of ${this.#range.first}–${this.#range.last} are taken`,
    );
  }

  async give(groupId: GroupId): Promise<void> {
    const holders = await (this.#holders ??= this.#read());
    for (const [port, holder] of holders) if (holder === groupId) holders.delete(port);
  }

  async #read(): Promise<Map<number, GroupId>> {
    const holders = new Map<number, GroupId>();
    try {
      for (const groupId of await this.#records.list()) {
        const port = parseRecord(groupId, await this.#records.read(groupId))?.port;
        if (port !== undefined) holders.set(port, groupId);
      }
    } catch (cause) {
      this.#holders = undefined;
      throw cause;
    }
    return holders;
  }
}
