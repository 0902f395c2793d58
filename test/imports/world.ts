/** A site with a foreign system beside it, over a data plane in memory, and its import watch by hand. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { CreateImport } from '../../src/app/create-import.ts';
import { keepImports, newMemory } from '../../src/app/keep-imports.ts';
import type { ImportState } from '../../src/domain/import-session.ts';
import type { ImportId, SourceId } from '../../src/domain/ids.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import { hasEnded } from '../../src/domain/saga-record.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';

export const MIB = 1024 * 1024;
const ROUNDS = 12;

export interface World extends MemoryPair {
  readonly sourceId: SourceId;
}

export async function world(t: TestContext): Promise<World> {
  const pair = await memoryPair(t);
  const { paris } = pair;
  for (const disk of ['disk1', 'disk2']) paris.source.addVolume(disk, MIB, [[1, 1]]);
  await paris.app.createHost({ name: 'app1' });
  const endpoint = { kind: 'nbd', host: 'old-array', port: 10_809 } as const;
  const { id: sourceId } = await paris.app.addSource({ name: 'old', endpoint });
  return { ...pair, sourceId };
}

export async function begin(
  { paris, sourceId }: World,
  settings: Partial<CreateImport> = {},
): Promise<ImportId> {
  const volumes = [{ locator: 'disk1', name: 'data' }];
  const { importId } = await paris.app.createImport({
    sourceId,
    volumes,
    hosts: ['app1'],
    ...settings,
  });
  return importId;
}

/** As the watch does, round after round, each one's jobs to their end. */
export async function watch({ paris }: World, rounds = ROUNDS): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await keepImports(paris.ports, newMemory());
    for (const job of await paris.app.listJobs({})) {
      if (!hasEnded(job)) await paris.ended(job.id);
    }
  }
}

export async function stateOf({ app }: MemorySite, importId: ImportId): Promise<ImportState> {
  return (await app.showImport(importId)).state;
}

export async function write({ paris }: World, block: number, fill: number): Promise<void> {
  const [volume] = await paris.app.listVolumes();
  assert.ok(volume);
  paris.engine.write(volume.groupId, volume.id, block, fill);
}

export function onSource({ paris }: World, block: number, locator = 'disk1'): number | undefined {
  return paris.source.need(locator).blocks.get(block)?.[0];
}

export const refusedAs = (code: string) => (error: unknown) =>
  error instanceof Refusal && error.reason.code === code;
