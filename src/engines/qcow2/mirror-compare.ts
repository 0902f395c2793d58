/**
 * Comparing what a mirror's two ends have, while hosts write on. Both ends are read through the
 * daemons that write them, so what is seen is what hosts see; which ranges is for the files to say,
 * once they are flushed.
 *
 *   flush ─ ranges that the layers after the point have ─ read both ends ─ what differs, once more …
 *
 * A write that was on its way is at both ends at the next look. What never becomes equal differs.
 */
import { setTimeout as passes } from 'node:timers/promises';
import { Failure } from '../../domain/refusal.ts';
import { LinkFailure } from '../../ports/engine.ts';
import type { SendWatch } from '../../ports/engine.ts';
import type { CompareMirror, ComparedMirror, DifferingRange } from '../../ports/mirroring.ts';
import { unitsOf } from '../nbd/allocation.ts';
import { connectNbd } from '../nbd/connection.ts';
import type { NbdConnection } from '../nbd/connection.ts';
import { NbdConnectionLost, NbdError, NbdRefused } from '../nbd/errors.ts';
import { addNode } from '../qmp/commands.ts';
import { fields } from '../qmp/fields.ts';
import { look } from './import-look.ts';
import type { Group } from './group.ts';
import { inspectMirror } from './mirror-look.ts';
import { layerOptions } from './nodes.ts';
import { layerFile, presentVolumes } from './record.ts';
import type { GroupRecord, VolumeRecord } from './record.ts';
import { linkTls, siteTls } from './target-probe.ts';

const RANGE_BYTES = 1024 * 1024;
const BLOCK_BYTES = 4096;
const READS_AT_ONCE = 4;
/** Under a host that writes the same blocks all the time a look may need luck. */
const MAX_ROUNDS = 40;
const ROUND_REST_MS = 50;
const STALL_LIMIT_MS = 10_000;
const MAX_REPORTED_RANGES = 64;

type Range = Pick<DifferingRange, 'offset' | 'lengthBytes'>;

interface Ends {
  readonly here: NbdConnection;
  readonly there: NbdConnection;
}

export async function compareMirror(
  group: Group,
  request: CompareMirror,
  { onProgress, signal }: SendWatch,
): Promise<ComparedMirror> {
  const record = await group.record();
  const differing: DifferingRange[] = [];
  let comparedBytes = 0;
  for (const volume of presentVolumes(record)) {
    signal.throwIfAborted();
    await needLevel(group, request);
    const ends = await openEnds(group, record, volume, request);
    const end = (): void => {
      ends.here.destroy();
      ends.there.destroy();
    };
    signal.addEventListener('abort', end, { once: true });
    try {
      await ends.here.flush();
      const ranges = await writtenRanges(group, volume, request, signal);
      const different = await differingRanges(ends, ranges, signal, (lengthBytes) => {
        comparedBytes += lengthBytes;
        onProgress({ sentBytes: comparedBytes, totalBytes: comparedBytes });
      });
      const { volumeId } = volume;
      differing.push(...different.map((range) => ({ volumeId, ...range })));
    } catch (cause) {
      signal.throwIfAborted();
      throw asFailure(cause);
    } finally {
      signal.removeEventListener('abort', end);
      end();
    }
  }
  await needLevel(group, request);
  return { comparedBytes, differing: differing.slice(0, MAX_REPORTED_RANGES) };
}

async function needLevel(group: Group, { mirrorId }: CompareMirror): Promise<void> {
  const seen = await inspectMirror(group);
  if (seen?.mirrorId === mirrorId && seen.state === 'level') return;
  throw new Failure(`group ${group.id}: mirror ${mirrorId} is not level and cannot be compared`);
}

/** As a host of this site's own, and as the site at the other one. */
async function openEnds(
  group: Group,
  { mirror }: GroupRecord,
  { volumeId, name }: VolumeRecord,
  { mirrorId, peerId }: CompareMirror,
): Promise<Ends> {
  const { address } = group.site.options;
  const port = await group.serverPort.current();
  const standby = mirror?.target.exports.find((one) => one.volumeId === volumeId);
  if (mirror?.mirrorId !== mirrorId || standby === undefined || port === undefined) {
    throw new Failure(`group ${group.id}: mirror ${mirrorId} has ended`);
  }
  const { target } = mirror;
  const [own, link] = [await siteTls(group), await linkTls(group, { peerId, target })];
  const stallTimeoutMs = STALL_LIMIT_MS;
  const at = { address: { host: address, port }, exportName: name, tls: own, stallTimeoutMs };
  const from = { host: target.host, port: target.port };
  const of = { address: from, exportName: standby.exportName, tls: link, stallTimeoutMs };
  try {
    const here = await connectNbd(at);
    const there = await connectNbd(of).catch((cause: unknown) => {
      here.destroy();
      throw cause;
    });
    return { here, there };
  } catch (cause) {
    throw asFailure(cause);
  }
}

/** Whole ranges of which a layer after the point has something. */
async function writtenRanges(
  group: Group,
  volume: VolumeRecord,
  { afterPointId }: CompareMirror,
  signal: AbortSignal,
): Promise<readonly Range[]> {
  const { volumeId, layers, sizeBytes } = volume;
  const after = layers.findIndex(({ seals }) => seals !== undefined && seals === afterPointId);
  const io = await group.site.io();
  const written = new Set<number>();
  await look(
    group.site,
    async ({ qmp, show }) => {
      for (const { number } of layers.slice(after + 1)) {
        const node = `layer-${number}`;
        const path = group.path(layerFile(volumeId, number));
        const options = layerOptions({ node, path, backing: null, readOnly: true, io });
        const file = fields(options['file']);
        // The group's daemon has them locked, and this one only looks.
        const alone = { ...file, 'read-only': true, 'auto-read-only': false, locking: 'off' };
        await addNode(qmp, { ...options, file: alone });
        const layer = await show(node, 'layers');
        for await (const { offset, zero } of unitsOf(layer, { unitBytes: RANGE_BYTES })) {
          if (!zero) written.add(offset);
        }
      }
    },
    signal,
  );
  return [...written]
    .toSorted((a, b) => a - b)
    .filter((offset) => offset < sizeBytes)
    .map((offset) => ({ offset, lengthBytes: Math.min(RANGE_BYTES, sizeBytes - offset) }));
}

async function differingRanges(
  ends: Ends,
  ranges: readonly Range[],
  signal: AbortSignal,
  onCompared: (lengthBytes: number) => void,
): Promise<readonly Range[]> {
  let open = await compareRanges(ends, ranges, onCompared);
  for (let round = 1; open.length > 0 && round < MAX_ROUNDS; round += 1) {
    await passes(ROUND_REST_MS, undefined, { signal });
    open = await compareRanges(ends, open, () => undefined);
  }
  return open;
}

/** @returns the blocks that differ */
async function compareRanges(
  ends: Ends,
  ranges: readonly Range[],
  onCompared: (lengthBytes: number) => void,
): Promise<readonly Range[]> {
  const differing: Range[] = [];
  for (let at = 0; at < ranges.length; at += READS_AT_ONCE) {
    const batch = ranges.slice(at, at + READS_AT_ONCE);
    for (const found of await Promise.all(batch.map((range) => compareRange(ends, range)))) {
      differing.push(...found);
    }
    onCompared(batch.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0));
  }
  return differing;
}

async function compareRange(
  { here, there }: Ends,
  { offset, lengthBytes }: Range,
): Promise<readonly Range[]> {
  const [a, b] = await Promise.all([
    here.read(offset, lengthBytes),
    there.read(offset, lengthBytes),
  ]);
  if (a.equals(b)) return [];
  const differing: Range[] = [];
  for (let from = 0; from < lengthBytes; from += BLOCK_BYTES) {
    const to = Math.min(from + BLOCK_BYTES, lengthBytes);
    if (a.subarray(from, to).equals(b.subarray(from, to))) continue;
    differing.push({ offset: offset + from, lengthBytes: to - from });
  }
  return differing;
}

function asFailure(cause: unknown): unknown {
  const isLink = [NbdRefused, NbdConnectionLost, NbdError].some((kind) => cause instanceof kind);
  if (!isLink || !(cause instanceof Error)) return cause;
  return new LinkFailure(cause.message, { cause });
}
