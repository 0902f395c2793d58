/**
 * Which parts of a source cannot be read, once a copy of it has failed. QEMU does not tell: a daemon of
 * its own reads the source, and what fails is halved down to blocks.
 */
import type { ByteRange } from '../../domain/import-session.ts';
import type { SourceAccess } from '../../ports/importer.ts';
import type { NbdConnection } from '../nbd/connection.ts';
import { NbdError } from '../nbd/errors.ts';
import { findJob, queryBlockJobs } from '../qmp/queries.ts';
import type { Group } from './group.ts';
import { look } from './import-look.ts';
import { importJob } from './import-nodes.ts';
import { WEB_PART_BYTES, openOrigin } from './import-origin.ts';
import type { ImportingVolume } from './import-record.ts';
import { initiatorName } from './import-source.ts';

const PIECE_BYTES = 1024 * 1024;
const BLOCK_BYTES = 4096;
const MAX_REPORTED_RANGES = 64;
/** Somebody waits for it: what was found until then is reported. */
const LOOK_LIMIT_MS = 10 * 60_000;

/** @returns at most 64 ranges, in their order; none where the trouble is not the source's */
export async function findUnreadable(
  group: Group,
  signal: AbortSignal,
): Promise<readonly ByteRange[]> {
  const { importing } = await group.record();
  const daemon = await group.findDaemon();
  if (!importing || !daemon || importing.copiedBy !== daemon.instance) return [];
  const blockJobs = await queryBlockJobs(daemon.qmp);
  const found: ByteRange[] = [];
  for (const volume of importing.volumes) {
    if (findJob(blockJobs, importJob(volume))?.ioStatus !== 'failed') continue;
    found.push(...(await scan(group, importing.source, volume, signal)));
  }
  return found.slice(0, MAX_REPORTED_RANGES);
}

function scan(
  group: Group,
  source: SourceAccess,
  { volumeId, from, sizeBytes }: ImportingVolume,
  signal: AbortSignal,
): Promise<readonly ByteRange[]> {
  const { vault, clock } = group.site.options;
  const until = clock.monotonicMs() + LOOK_LIMIT_MS;
  const pieceBytes = source.endpoint.kind === 'http' ? WEB_PART_BYTES : PIECE_BYTES;
  return look(
    group.site,
    async ({ qmp, tlsDirectory, show }) => {
      const initiator = initiatorName(group.site);
      const origin = { source, volume: from, tlsDirectory, vault, initiatorName: initiator };
      await openOrigin(qmp, { ...origin, node: 'source', isLook: true });
      const connection = await show('source');
      let ranges: readonly ByteRange[] = [];
      for (let offset = 0; offset < sizeBytes; offset += pieceBytes) {
        if (ranges.length >= MAX_REPORTED_RANGES || clock.monotonicMs() > until) break;
        const lengthBytes = Math.min(pieceBytes, sizeBytes - offset);
        const bad = await unreadableIn(connection, offset, lengthBytes, volumeId);
        ranges = joined([...ranges, ...bad]);
      }
      return ranges;
    },
    signal,
  );
}

async function unreadableIn(
  connection: NbdConnection,
  offset: number,
  lengthBytes: number,
  volumeId: ByteRange['volumeId'],
): Promise<readonly ByteRange[]> {
  if (await isReadable(connection, offset, lengthBytes)) return [];
  if (lengthBytes <= BLOCK_BYTES) return [{ volumeId, offset, lengthBytes }];
  const half = Math.ceil(lengthBytes / 2 / BLOCK_BYTES) * BLOCK_BYTES;
  return [
    ...(await unreadableIn(connection, offset, half, volumeId)),
    ...(await unreadableIn(connection, offset + half, lengthBytes - half, volumeId)),
  ];
}

async function isReadable(
  connection: NbdConnection,
  offset: number,
  lengthBytes: number,
): Promise<boolean> {
  try {
    await connection.read(offset, lengthBytes, { oneChunk: true });
    return true;
  } catch (error) {
    if (error instanceof NbdError) return false;
    throw error;
  }
}

/** What touches is one range. */
function joined(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const all: ByteRange[] = [];
  for (const range of ranges) {
    const last = all.at(-1);
    if (last !== undefined && last.offset + last.lengthBytes === range.offset) {
      all[all.length - 1] = { ...last, lengthBytes: last.lengthBytes + range.lengthBytes };
    } else all.push(range);
  }
  return all;
}
