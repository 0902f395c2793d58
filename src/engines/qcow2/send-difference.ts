/**
 * Sending what differs where no common point is left. This process reads the point, compares it
 * range by range with the digests of the other side, and writes what differs into the place there.
 * No host's I/O goes this way.
 *
 *   for each volume, page by page:  digests there ─ read and digest here ─ write what differs ─ record
 */
import { Failure, refuse } from '../../domain/refusal.ts';
import type { VolumeId } from '../../domain/ids.ts';
import { ZEROS } from '../../ports/engine-comparison.ts';
import type { SendDifference, SentDifference } from '../../ports/engine-comparison.ts';
import { LinkFailure } from '../../ports/engine.ts';
import type { SendWatch } from '../../ports/engine.ts';
import { connectNbd } from '../nbd/connection.ts';
import type { NbdConnection } from '../nbd/connection.ts';
import { NbdConnectionLost, NbdError, NbdRefused } from '../nbd/errors.ts';
import { readRanges } from '../nbd/range-digests.ts';
import type { ReadRange } from '../nbd/range-digests.ts';
import { checkRangeBytes } from './digest-ranges.ts';
import { enter } from './enter.ts';
import type { Group } from './group.ts';
import { Pace } from './pace.ts';
import { readingPoint } from './point-reading.ts';
import type { OpenPoint } from './point-reading.ts';
import type { Comparing, GroupRecord } from './record.ts';
import { dropSend } from './send-end.ts';
import { linkTls, reachTarget } from './target-probe.ts';

/** Asked for at once, and what a crash of this process compares twice at most. */
const PAGE_RANGES = 256;
const WRITES_AHEAD = 4;
/** A link that lets nothing through for so long is given up. */
const STALL_MS = 10_000;

export function sendDifference(
  group: Group,
  request: SendDifference,
  watch: SendWatch,
): Promise<SentDifference> {
  return group.sends.run(async () => {
    checkRangeBytes(request.rangeBytes);
    watch.signal.throwIfAborted();
    const sent = alreadySent(await group.record(), request);
    if (sent) return sent;
    const { pointId, bytesPerSecond: own, peerId } = request;
    const { limits, options } = group.site;
    const pace = new Pace(options.clock, own);
    const apply = async (limit: number | undefined): Promise<void> => void (pace.limit = limit);
    const limited = { groupId: group.id, peerId, own, apply };
    await limits.enter(limited);
    try {
      const what = `the comparison of point ${pointId}`;
      const reading = { pointId, name: 'send', what, signal: watch.signal } as const;
      return await readingPoint(group, reading, (point) =>
        compare({ group, request, watch, pace, point }),
      );
    } finally {
      await limits.leave(limited);
    }
  });
}

function alreadySent(
  { sentDifference: sent }: GroupRecord,
  { pointId, target }: SendDifference,
): SentDifference | undefined {
  if (sent?.pointId !== pointId || sent.targetInstance !== target.instance) return undefined;
  const { comparedBytes, sentBytes, restarted } = sent;
  return { comparedBytes, sentBytes, restarted };
}

interface Comparison {
  readonly group: Group;
  readonly request: SendDifference;
  readonly watch: SendWatch;
  readonly pace: Pace;
  readonly point: OpenPoint;
}

async function compare(comparison: Comparison): Promise<SentDifference> {
  const { group, request, point } = comparison;
  let progress = await group.locked(() => begin(group, request));
  await reachTarget(group, request, point.signal);
  try {
    for (const { volumeId } of point.point.volumes) {
      for await (const next of compareVolume(comparison, volumeId, progress)) progress = next;
    }
  } catch (cause) {
    await group.locked(() => note(group, progress));
    throw cause;
  }
  return group.locked(() => finish(group, request, progress));
}

/** Decides whether what an earlier call compared counts. Within the group's lock. */
async function begin(group: Group, request: SendDifference): Promise<Comparing> {
  const { record: entered, daemon } = await enter(group);
  const { pointId, peerId, target, rangeBytes } = request;
  const before = entered.comparing;
  const isSame =
    before?.pointId === pointId && before.peerId === peerId && before.rangeBytes === rangeBytes;
  if (isSame && before.target.instance === target.instance) return before;
  const record = await dropSend(group, entered, daemon);
  const { comparedBytes, sentBytes } = isSame ? before : { comparedBytes: 0, sentBytes: 0 };
  const restarted = comparedBytes > 0;
  const common = { pointId, peerId, target, rangeBytes };
  const comparing = { ...common, restarted, comparedBytes, sentBytes, done: [] };
  await group.save({ ...record, comparing });
  return comparing;
}

/** Keeps the progress, unless somebody ended the comparison. Within the group's lock. */
async function note(group: Group, progress: Comparing): Promise<GroupRecord> {
  const record = await group.record();
  const known = record.comparing;
  const isOurs =
    known?.pointId === progress.pointId && known.target.instance === progress.target.instance;
  if (!isOurs) throw new Failure(`group ${group.id}: the comparison was ended`);
  return group.save({ ...record, comparing: progress });
}

async function finish(
  group: Group,
  { pointId, target }: SendDifference,
  progress: Comparing,
): Promise<SentDifference> {
  const record = await note(group, progress);
  const { comparedBytes, sentBytes, restarted } = progress;
  const result = { comparedBytes, sentBytes, restarted };
  const sentDifference = { pointId, targetInstance: target.instance, ...result };
  await group.save({ ...record, comparing: undefined, sentDifference });
  return result;
}

/** @returns the progress after each range, recorded after each page */
async function* compareVolume(
  { group, request, watch, pace, point }: Comparison,
  volumeId: VolumeId,
  start: Comparing,
): AsyncGenerator<Comparing> {
  const { rangeBytes, digestsThere } = request;
  let progress = start;
  const totalBytes = point.point.volumes.reduce((sum, volume) => sum + volume.sizeBytes, 0);
  const source = await point.connect(volumeId);
  const target = await connectTarget(group, request, volumeId);
  try {
    const all = Math.ceil(source.info.sizeBytes / rangeBytes);
    for (let first = doneOf(progress, volumeId); first < all; first += PAGE_RANGES) {
      const page = { rangeBytes, firstRange: first, ranges: Math.min(PAGE_RANGES, all - first) };
      const there = await digestsThere({ volumeId, ...page });
      const digests = there?.digests ?? [];
      const send = (range: ReadRange): Promise<void> =>
        pace
          .take(range.lengthBytes, point.signal)
          .then(() => write(target, range).catch((cause: unknown) => fail(cause, request)));
      for await (const { range, isSame } of written(readRanges(source, page), digests, send)) {
        progress = advanced(progress, volumeId, range.lengthBytes, isSame);
        watch.onProgress({ sentBytes: progress.comparedBytes, totalBytes });
        yield progress;
      }
      point.signal.throwIfAborted();
      await group.locked(() => note(group, progress));
    }
    await Promise.all([source.disconnect(), target.disconnect()]);
  } finally {
    source.destroy();
    target.destroy();
  }
}

interface Written {
  readonly range: ReadRange;
  readonly isSame: boolean;
}

/** Writes what differs, some ranges ahead. @returns the ranges in order, each when it is there */
async function* written(
  ranges: AsyncIterable<ReadRange>,
  digestsThere: readonly string[],
  send: (range: ReadRange) => Promise<void>,
): AsyncGenerator<Written> {
  const window: Promise<Written>[] = [];
  let index = 0;
  try {
    for await (const range of ranges) {
      const isSame = range.digest === (digestsThere[index] ?? ZEROS);
      index += 1;
      const done = isSame ? Promise.resolve() : send(range);
      const one = done.then(() => ({ range, isSame }));
      // Its rejection is met when its turn comes.
      one.catch(() => undefined);
      window.push(one);
      const oldest = window.length >= WRITES_AHEAD ? window.shift() : undefined;
      if (oldest) yield await oldest;
    }
    for (let oldest = window.shift(); oldest; oldest = window.shift()) yield await oldest;
  } finally {
    await Promise.allSettled(window);
  }
}

function doneOf({ done }: Comparing, volumeId: VolumeId): number {
  return done.find((one) => one.volumeId === volumeId)?.ranges ?? 0;
}

function advanced(
  progress: Comparing,
  volumeId: VolumeId,
  lengthBytes: number,
  isSame: boolean,
): Comparing {
  const others = progress.done.filter((one) => one.volumeId !== volumeId);
  return {
    ...progress,
    comparedBytes: progress.comparedBytes + lengthBytes,
    sentBytes: progress.sentBytes + (isSame ? 0 : lengthBytes),
    done: [...others, { volumeId, ranges: doneOf(progress, volumeId) + 1 }],
  };
}

function write(target: NbdConnection, { offset, lengthBytes, bytes }: ReadRange): Promise<void> {
  return bytes ? target.write(offset, bytes) : target.writeZeroes(offset, lengthBytes);
}

/** @throws LinkFailure */
async function connectTarget(
  group: Group,
  request: SendDifference,
  volumeId: VolumeId,
): Promise<NbdConnection> {
  const { target } = request;
  const place = target.exports.find((one) => one.volumeId === volumeId);
  if (!place) throw new Failure(`group ${group.id}: the target has no place for ${volumeId}`);
  try {
    return await connectNbd({
      address: { host: target.host, port: target.port },
      exportName: place.exportName,
      tls: await linkTls(group, request),
      stallTimeoutMs: STALL_MS,
    });
  } catch (cause) {
    return fail(cause, request);
  }
}

/** @throws LinkFailure, Refusal `no_space` */
function fail(cause: unknown, { target, peerId, rangeBytes }: SendDifference): never {
  if (cause instanceof NbdError && cause.code === 'ENOSPC') {
    refuse({ code: 'no_space', siteId: peerId, neededBytes: rangeBytes, freeBytes: 0 });
  }
  if (cause instanceof NbdRefused || cause instanceof NbdConnectionLost) {
    throw new LinkFailure(`${target.host}:${target.port}: ${cause.message}`, { cause });
  }
  throw cause;
}
