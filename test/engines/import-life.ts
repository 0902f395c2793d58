/** The life of an import that is cut over and taken back, in steps each of which may be repeated. */
import assert from 'node:assert/strict';
import { mkdir, open, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '../../src/domain/ids.ts';
import type { SourceId, VolumeId } from '../../src/domain/ids.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { OpenImport } from '../../src/ports/importer.ts';
import {
  BLOCK_BYTES,
  HOST,
  MIB,
  PAUSE_LIMIT_MS,
  asHost,
  newGroup,
  writeBlocks,
} from './contract-group.ts';
import type { GroupLife, Step } from './group-life.ts';
import type { TestSites } from './test-sites.ts';

const SIZE_BYTES = 16 * MIB;
const LIMIT_MS = 30_000;
const NAMES = ['data', 'log'] as const;

export function importLife({ a }: TestSites): GroupLife {
  const groupId = newGroup();
  const directory = join(a.directory, `source-${groupId}`);
  const volumes = NAMES.map((name) => ({
    volumeId: newId<VolumeId>(),
    name,
    sizeBytes: SIZE_BYTES,
    from: { locator: `${name}.img`, format: 'raw', readOnly: false } as const,
  }));
  const source = {
    id: newId<SourceId>(),
    name: 'disks',
    endpoint: { kind: 'file', directory } as const,
    sealedSecret: undefined,
  };
  const request: OpenImport = { source, volumes, keepsSource: true };

  const serve = () => a.engine.serve(groupId, { hosts: [HOST] });
  const write =
    (numbers: readonly number[], tag: number): Step =>
    async () => {
      const served = await serve();
      for (const name of NAMES) {
        await asHost(a, served, name, (volume) => writeBlocks(volume, numbers, tag));
      }
    };
  const inStep: Step = async () => {
    await serve();
    await waitUntil('both copies are in step', LIMIT_MS, async () => {
      const { copy } = await a.engine.importer.inspect(groupId);
      if (copy === 'in_step') return true;
      await a.engine.importer.copy(groupId, undefined);
      return undefined;
    });
  };
  const cutOver: Step = async () => {
    const { importer } = a.engine;
    if ((await importer.cutOver(groupId, PAUSE_LIMIT_MS)).isCutOver) return;
    // The data plane died before that, or in that instant: the source has every write.
    await importer.abandon(groupId, { force: false });
    await inStep();
    const again = await importer.cutOver(groupId, PAUSE_LIMIT_MS);
    assert.equal(again.isCutOver, true, JSON.stringify(again));
  };
  const kept: Step = async () => {
    await serve();
    await waitUntil('the source is in step', LIMIT_MS, async () => {
      const seen = await a.engine.importer.inspectSource(groupId);
      if (seen?.state === 'in_step') return true;
      await a.engine.importer.keepSource(groupId, undefined);
      return undefined;
    });
  };
  const rollBack: Step = async () => {
    const { importer } = a.engine;
    if ((await importer.rollBack(groupId, PAUSE_LIMIT_MS)).isRolledBack) return;
    // The data plane died before that.
    await kept();
    const again = await importer.rollBack(groupId, PAUSE_LIMIT_MS);
    assert.equal(again.isRolledBack, true, JSON.stringify(again));
  };

  const steps: readonly Step[] = [
    async () => {
      await mkdir(directory, { recursive: true });
      for (const name of NAMES) {
        const path = join(directory, `${name}.img`);
        await (await open(path, 'a')).close();
        await truncate(path, SIZE_BYTES);
      }
    },
    () => a.engine.importer.open(groupId, request),
    write([0, 1, 2, 3], 1),
    inStep,
    write([1, 10], 2),
    cutOver,
    write([2, 20], 3),
    kept,
    write([3, 30], 4),
    rollBack,
    write([40], 5),
  ];
  const assertEnd = async (): Promise<void> => {
    assert.equal((await a.engine.importer.inspect(groupId)).stands, 'on_source');
    const expected = [1, 2, 3, 4, 2, 3, 4, 5];
    for (const name of NAMES) {
      const bytes = await readFile(join(directory, `${name}.img`));
      const tags = [0, 1, 2, 3, 10, 20, 30, 40].map((number) => bytes[number * BLOCK_BYTES]);
      assert.deepEqual(tags, expected, name);
    }
  };
  return { groupIds: [groupId], steps, assertEnd };
}
