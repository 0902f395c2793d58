/**
 * Comparing what a mirror's two ends have, while hosts write on. Both ends are read through the
 * daemons that write them, so what is seen is what hosts see; which ranges is for the files to say,
 * once they are flushed.
 *
 *   flush ─ ranges that the layers after the point have ─ read both ends ─ what differs, once more …
 */
import { Failure } from '../../domain/refusal.ts';
import { LinkFailure } from '../../ports/engine.ts';
import type { SendWatch } from '../../ports/engine.ts';
import type { CompareMirror, ComparedMirror, DifferingRange } from '../../ports/mirroring.ts';
import { unitsOf } from '../nbd/allocation.ts';
import { connectNbd } from '../nbd/connection.ts';
import type { NbdConnection } from '../nbd/connection.ts';
import { NbdConnectionLost, NbdError, NbdRefused } from '../nbd/errors.ts';
import { addNode } from '../qmp/commands.ts';
import {
  MAX_REPORTED_RANGES,
  READS_AT_ONCE,
  differingBlocks,
  whatNeverBecomesEqual,
} from './compare-blocks.ts';
import type { Blocks } from './compare-blocks.ts';
import { besideItsWriter, look } from './import-look.ts';
import type { Group } from './group.ts';
import { inspectMirror } from './mirror-look.ts';
import { layerOptions } from './nodes.ts';
import { layerFile, presentVolumes } from './record.ts';
import type { GroupRecord, VolumeRecord } from './record.ts';
import { linkTls, siteTls } from './target-probe.ts';

const RANGE_BYTES = 1024 * 1024;
const STALL_LIMIT_MS = 10_000;

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
      const note = (lengthBytes: number): void => {
        comparedBytes += lengthBytes;
        onProgress({ sentBytes: comparedBytes, totalBytes: comparedBytes });
      };
      const different = await whatNeverBecomesEqual(
        await compareRanges(ends, ranges, note),
        (open) => compareRanges(ends, open),
        signal,
      );
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
): Promise<readonly Blocks[]> {
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
        await addNode(qmp, besideItsWriter(options));
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

/** @returns the blocks that differ */
async function compareRanges(
  ends: Ends,
  ranges: readonly Blocks[],
  onCompared: (lengthBytes: number) => void = () => undefined,
): Promise<readonly Blocks[]> {
  const differing: Blocks[] = [];
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
  { offset, lengthBytes }: Blocks,
): Promise<readonly Blocks[]> {
  const [a, b] = await Promise.all([
    here.read(offset, lengthBytes),
    there.read(offset, lengthBytes),
  ]);
  return differingBlocks(a, b, offset);
}

function asFailure(cause: unknown): unknown {
  const isLink = [NbdRefused, NbdConnectionLost, NbdError].some((kind) => cause instanceof kind);
  if (!isLink || !(cause instanceof Error)) return cause;
  return new LinkFailure(cause.message, { cause });
}
