/**
 * Comparing both copies while hosts write them. A daemon of its own opens the source a second time,
 * and our copy's file beside the daemon that writes it; what it sees of the file is as old as the
 * last flush, and new data in places that it knows. So a range that differs is looked at again
 * after another flush, at the end block by block: what is equal once was copied right.
 */
import { createHash } from 'node:crypto';
import type { ByteRange } from '../../domain/import-session.ts';
import { Failure } from '../../domain/refusal.ts';
import type { ComparedCopies, CompareWatch } from '../../ports/importer.ts';
import type { NbdConnection } from '../nbd/connection.ts';
import { addNode } from '../qmp/commands.ts';
import type { Fields } from '../qmp/fields.ts';
import {
  MAX_REPORTED_RANGES,
  READS_AT_ONCE,
  differingBlocks,
  whatNeverBecomesEqual,
} from './compare-blocks.ts';
import { enter } from './enter.ts';
import type { Group } from './group.ts';
import { inspectImport } from './import-copy.ts';
import { flushCopies } from './import-end.ts';
import { besideItsWriter, look } from './import-look.ts';
import { WEB_PART_BYTES, openOrigin } from './import-origin.ts';
import type { Importing, ImportingVolume } from './import-record.ts';
import { initiatorName } from './import-source.ts';
import { layerOptions } from './nodes.ts';
import { layerFile } from './record.ts';

const RANGE_BYTES = 4 * 1024 * 1024;

export async function compareImport(
  group: Group,
  { onProgress, signal }: CompareWatch,
): Promise<ComparedCopies> {
  const importing = await needInStep(group);
  const totalBytes = importing.volumes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const hash = createHash('sha256');
  let comparedBytes = 0;
  const note = ({ lengthBytes }: ByteRange, digest: Buffer): void => {
    comparedBytes += lengthBytes;
    hash.update(digest);
    onProgress({ sentBytes: comparedBytes, totalBytes });
  };
  const open = await whatNeverBecomesEqual(
    await compareRanges(group, importing.volumes.flatMap(rangesOf), signal, note),
    (ranges) => compareRanges(group, ranges, signal),
    signal,
  );
  await needInStep(group);
  const differing = open.slice(0, MAX_REPORTED_RANGES);
  return { comparedBytes, hash: open.length > 0 ? undefined : hash.digest('hex'), differing };
}

type Note = (range: ByteRange, digest: Buffer) => void;

/**
 * @param note told of each range in its order, with the SHA-256 of what the source has there
 * @returns the blocks that differ
 */
async function compareRanges(
  group: Group,
  ranges: readonly ByteRange[],
  signal: AbortSignal,
  note: Note = () => undefined,
): Promise<readonly ByteRange[]> {
  const { source, volumes } = await needInStep(group);
  const differing: ByteRange[] = [];
  for (const volume of volumes) {
    const own = ranges.filter(({ volumeId }) => volumeId === volume.volumeId);
    if (own.length === 0) continue;
    await look(
      group.site,
      async ({ qmp, tlsDirectory, show }) => {
        const { vault } = group.site.options;
        const from = { source, volume: volume.from, tlsDirectory, vault };
        const initiator = initiatorName(group.site);
        await openOrigin(qmp, { ...from, node: 'source', isLook: true, initiatorName: initiator });
        await addNode(qmp, await copyOptions(group, volume));
        const pair = [await show('source'), await show('copy')] as const;
        const isWeb = source.endpoint.kind === 'http';
        const atOnce = isWeb ? 1 : READS_AT_ONCE;
        const partBytes = isWeb ? WEB_PART_BYTES : RANGE_BYTES;
        const batches = Array.from({ length: Math.ceil(own.length / atOnce) }, (_, index) =>
          own.slice(index * atOnce, (index + 1) * atOnce),
        );
        for (const batch of batches) {
          const found = await Promise.all(
            batch.map((range) => compareRange(pair, range, partBytes)),
          );
          for (const [index, one] of found.entries()) {
            const range = batch[index];
            if (range) note(range, one.digest);
            differing.push(...one.differing);
          }
        }
      },
      signal,
    );
  }
  return differing;
}

async function copyOptions(group: Group, { volumeId, number }: ImportingVolume): Promise<Fields> {
  const path = group.path(layerFile(volumeId, number));
  const io = await group.site.io();
  return besideItsWriter(layerOptions({ node: 'copy', path, backing: null, readOnly: true, io }));
}

interface Compared {
  readonly digest: Buffer;
  readonly differing: readonly ByteRange[];
}

async function compareRange(
  [source, copy]: readonly [NbdConnection, NbdConnection],
  range: ByteRange,
  partBytes: number,
): Promise<Compared> {
  const { volumeId, offset, lengthBytes } = range;
  const areZero = await Promise.all([isZero(source, range), isZero(copy, range)]);
  if (areZero.every(Boolean)) return { digest: digestOf(Buffer.alloc(lengthBytes)), differing: [] };
  const [a, b] = await Promise.all([
    readParts(source, range, partBytes),
    copy.read(offset, lengthBytes),
  ]);
  const differing = differingBlocks(a, b, offset).map((blocks) => ({ volumeId, ...blocks }));
  return { digest: digestOf(a), differing };
}

async function readParts(
  connection: NbdConnection,
  { offset, lengthBytes }: ByteRange,
  partBytes: number,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = 0; at < lengthBytes; at += partBytes) {
    parts.push(await connection.read(offset + at, Math.min(partBytes, lengthBytes - at)));
  }
  return Buffer.concat(parts);
}

/** Known to be zeros without reading. */
async function isZero(
  connection: NbdConnection,
  { offset, lengthBytes }: ByteRange,
): Promise<boolean> {
  if (!connection.info.blockStatusOffered) return false;
  let knownTo = offset;
  while (knownTo < offset + lengthBytes) {
    const extents = await connection.blockStatus(knownTo, offset + lengthBytes - knownTo);
    if (!extents.every(({ zero }) => zero)) return false;
    const last = extents.at(-1);
    if (last === undefined) return false;
    knownTo = last.offset + last.lengthBytes;
  }
  return true;
}

function digestOf(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Our copies' files are flushed now. @throws Failure */
async function needInStep(group: Group): Promise<Importing> {
  const { copy } = await inspectImport(group);
  return group.locked(async () => {
    const { record, daemon } = await enter(group);
    if (!record.importing || !daemon || copy !== 'in_step') {
      throw new Failure(`group ${group.id}: the copies are not in step but ${copy}`);
    }
    await flushCopies(group, daemon.qmp, record.importing);
    return record.importing;
  });
}

function rangesOf({ volumeId, sizeBytes }: ImportingVolume): readonly ByteRange[] {
  const count = Math.ceil(sizeBytes / RANGE_BYTES);
  return Array.from({ length: count }, (_, index) => {
    const offset = index * RANGE_BYTES;
    return { volumeId, offset, lengthBytes: Math.min(RANGE_BYTES, sizeBytes - offset) };
  });
}
