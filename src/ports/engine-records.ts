import type { GroupId } from '../domain/ids.ts';

/**
 * Where an engine keeps its own durable record of each group: a JSON document that it alone
 * reads and writes. `write` is durable when it returns; a crash leaves the old or the new one.
 */
export interface EngineRecords {
  read(groupId: GroupId): Promise<unknown>;
  write(groupId: GroupId, document: unknown): Promise<void>;
  remove(groupId: GroupId): Promise<void>;
  list(): Promise<readonly GroupId[]>;
}
