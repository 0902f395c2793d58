import type { CopyId, GroupId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { EngineRecords } from '../../ports/engine-records.ts';
import type { PortRange } from './options.ts';
import { parseRecord } from './record.ts';

/** Gives each group and each copy a port of its own, which it keeps: peers and firewalls know it. */
export class PortBook {
  readonly #records: EngineRecords;
  readonly #range: PortRange;
  #holders: Promise<Map<number, CopyId | GroupId>> | undefined;

  constructor(records: EngineRecords, range: PortRange) {
    this.#records = records;
    this.#range = range;
  }

  /**
   * @param busy ports that some other program holds
   * @throws Failure when every port of the range is taken
   */
  async take(owner: CopyId | GroupId, busy: ReadonlySet<number> = new Set()): Promise<number> {
    const holders = await (this.#holders ??= this.#read());
    for (let port = this.#range.first; port <= this.#range.last; port += 1) {
      if (busy.has(port) || (holders.get(port) ?? owner) !== owner) continue;
      holders.set(port, owner);
      return port;
    }
    throw new Failure(
      `${owner}: wanted a port, all of ${this.#range.first}–${this.#range.last} are taken`,
    );
  }

  async give(owner: CopyId | GroupId): Promise<void> {
    const holders = await (this.#holders ??= this.#read());
    for (const [port, holder] of holders) if (holder === owner) holders.delete(port);
  }

  async #read(): Promise<Map<number, CopyId | GroupId>> {
    const holders = new Map<number, CopyId | GroupId>();
    try {
      for (const groupId of await this.#records.list()) {
        const record = parseRecord(groupId, await this.#records.read(groupId));
        if (record?.port !== undefined) holders.set(record.port, groupId);
        for (const { port, copyId } of record?.copies ?? []) {
          if (port !== undefined) holders.set(port, copyId);
        }
      }
    } catch (cause) {
      this.#holders = undefined;
      throw cause;
    }
    return holders;
  }
}
