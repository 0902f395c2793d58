/** An import at the data plane: a real source, and a writer at it that is as fast as it can. */
import { join } from 'node:path';
import { newId } from '../../src/domain/ids.ts';
import type { GroupId, SourceId, VolumeId } from '../../src/domain/ids.ts';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import { startNumberedWriter } from '../../src/main/numbered-writer.ts';
import type { NumberedWriter } from '../../src/main/numbered-writer.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { ImportInspection, SourceAccess } from '../../src/ports/importer.ts';
import { nbdkitSource } from '../support/story-source.ts';
import type { StorySource } from '../support/story-source.ts';
import { HOST } from './contract-group.ts';
import type { TestSite } from './test-sites.ts';

const MIB = 1024 * 1024;
export const SIZE_BYTES = 32 * MIB;
export const LIMIT_MS = 60_000;
export const PAUSE_LIMIT_MS = 5000;

export interface Imported {
  readonly groupId: GroupId;
  readonly source: StorySource;
  readonly writer: NumberedWriter;
  readonly connect: () => Promise<NbdConnection>;
}

export interface OpenOptions {
  readonly keepsSource?: boolean;
  /** Another source than one that takes as many connections as come. */
  readonly from?: StorySource;
}

/** A source with a writer at it, through this site. */
export async function openImport(
  site: TestSite,
  name: string,
  { keepsSource = false, from: given }: OpenOptions = {},
): Promise<Imported> {
  const { engine, directory } = site;
  const source = given ?? (await nbdkitSource(join(directory, 'sources'), SIZE_BYTES));
  const access: SourceAccess = {
    id: newId<SourceId>(),
    name: 'old',
    endpoint: source.endpoint,
    sealedSecret: undefined,
  };
  const groupId = newId<GroupId>();
  const from = { locator: '', format: 'raw', readOnly: false } as const;
  const volume = { volumeId: newId<VolumeId>(), name, sizeBytes: SIZE_BYTES, from };
  await engine.importer.open(groupId, { source: access, volumes: [volume], keepsSource });
  const served = await engine.serve(groupId, { hosts: [HOST] });
  const connect = (): Promise<NbdConnection> => site.attach(served, name, HOST);
  const volumes = [{ label: name, sizeBytes: SIZE_BYTES }];
  const writer = await startNumberedWriter({ volumes, seed: 1, flushEvery: 50, connect });
  return { groupId, source, writer, connect };
}

export function copyOnce(
  { engine: { importer } }: TestSite,
  groupId: GroupId,
  copy: ImportInspection['copy'],
): Promise<ImportInspection> {
  return waitUntil(`the copy is ${copy}`, LIMIT_MS, async () => {
    const seen = await importer.inspect(groupId);
    return seen.copy === copy ? seen : undefined;
  });
}

export async function moreWrites(writer: NumberedWriter, count: number): Promise<void> {
  const wanted = writer.counts().acknowledged + count;
  await waitUntil(`${count} more writes`, LIMIT_MS, async () =>
    writer.counts().acknowledged >= wanted ? true : undefined,
  );
}
