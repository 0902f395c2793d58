import { bytesAbove } from './bytes-above.ts';
import { mkdir, statfs } from 'node:fs/promises';
import type { GroupId } from '../../domain/ids.ts';
import { Failure, Refusal } from '../../domain/refusal.ts';
import { LinkFailure } from '../../ports/engine.ts';
import type { Engine, Space } from '../../ports/engine.ts';
import { adoptFork } from './adopt-fork.ts';
import { closeCopy, discardCopy, keepCopy } from './close-copy.ts';
import { openCopy } from './open-copy.ts';
import type { Importer } from '../../ports/importer.ts';
import { deleteGroup, stopGroup } from './stop.ts';
import { demote } from './demote.ts';
import { forgetPoints } from './forget.ts';
import { discardFork } from './forks.ts';
import { Group } from './group.ts';
import { hashPoint } from './hash.ts';
import { rollBackImport } from './import-back.ts';
import { compareImport } from './import-compare.ts';
import { copyImport, inspectImport, pauseImport } from './import-copy.ts';
import { abandonImport, cutOverImport } from './import-end.ts';
import { inspectSource, keepSource, letGo } from './import-keep.ts';
import { openImport } from './import-open.ts';
import { checkSource, listVolumes, probeVolume } from './import-source.ts';
import { findUnreadable } from './import-unreadable.ts';
import { compareMirror } from './mirror-compare.ts';
import { inspectMirror } from './mirror-look.ts';
import { finishMirror, startMirror, stopMirror } from './mirror.ts';
import { moveVolume } from './move-volume.ts';
import type { Site } from './group.ts';
import { inspect } from './inspect.ts';
import { probeIo } from './io-probe.ts';
import type { LayerIo } from './nodes.ts';
import { DEFAULT_PORTS, checkRunDirectory } from './options.ts';
import type { Qcow2EngineOptions } from './options.ts';
import { PortBook } from './ports.ts';
import { promote } from './promote.ts';
import { abandonPoint, completePoint, receivePoint } from './receive.ts';
import { prepareSeal, sealPoint } from './seal.ts';
import { digestRanges } from './digest-ranges.ts';
import { sendDifference } from './send-difference.ts';
import { SendLimits } from './send-limits.ts';
import { cancelSend, limitSend, prepareSend, sendPoint } from './send.ts';
import { fence, serve } from './serve.ts';
import { dropStandby, keepStandby, openStandby } from './standby.ts';
import { createVolume, deleteVolume, resizeVolume } from './volumes.ts';

/**
 * The engine that keeps volumes as chains of qcow2 layers, with one `qemu-storage-daemon` for each
 * group. The daemons outlive it; another engine over the same records and directories adopts them.
 *
 * @throws Failure when the run directory's path is too long
 */
export function qcow2Engine(options: Qcow2EngineOptions): Engine & { readonly importer: Importer } {
  checkRunDirectory(options.runDirectory);
  const groups = new Map<GroupId, Group>();
  let io: Promise<LayerIo> | undefined;
  const site: Site = {
    options,
    ports: new PortBook(options.records, options.ports ?? DEFAULT_PORTS),
    limits: new SendLimits(),
    io: () => (io ??= probeIo(options.dataDirectory, options.log)),
  };
  let isClosed = false;
  const group = (id: GroupId): Group => {
    if (isClosed) throw new Failure('the engine was closed');
    const known = groups.get(id) ?? new Group(site, id);
    groups.set(id, known);
    return known;
  };

  return {
    importer: {
      checkSource: (source) => told(checkSource(site, source)),
      listVolumes: (source) => told(listVolumes(site, source)),
      probeVolume: (source, volume) => told(probeVolume(site, source, volume)),
      open: (id, request) => told(openImport(group(id), request)),
      copy: (id, bytesPerSecond) => told(copyImport(group(id), bytesPerSecond)),
      pause: (id) => told(pauseImport(group(id))),
      inspect: (id) => told(inspectImport(group(id))),
      findUnreadable: (id, signal) => told(findUnreadable(group(id), signal), signal),
      compare: (id, watch) => told(compareImport(group(id), watch), watch.signal),
      cutOver: (id, pauseLimitMs) => told(cutOverImport(group(id), pauseLimitMs)),
      abandon: (id, how) => told(abandonImport(group(id), how)),
      keepSource: (id, bytesPerSecond) => told(keepSource(group(id), bytesPerSecond)),
      inspectSource: (id) => told(inspectSource(group(id))),
      rollBack: (id, pauseLimitMs) => told(rollBackImport(group(id), pauseLimitMs)),
      letGo: (id) => told(letGo(group(id))),
    },
    createVolume: (id, volume) => told(createVolume(group(id), volume)),
    deleteVolume: (id, volumeId) => told(deleteVolume(group(id), volumeId)),
    resizeVolume: (id, volumeId, sizeBytes) => told(resizeVolume(group(id), volumeId, sizeBytes)),
    moveVolume: (volumeId, from, to) => told(moveVolume(group(from), group(to), volumeId)),
    deleteGroup: (id) => told(deleteGroup(group(id))),
    serve: (id, access) => told(serve(group(id), access)),
    fence: (id) => told(fence(group(id))),
    prepareSeal: (id) => told(prepareSeal(group(id))),
    sealPoint: (id, pointId, pauseLimitMs) => told(sealPoint(group(id), pointId, pauseLimitMs)),
    sendPoint: (request, watch) =>
      told(sendPoint(group(request.groupId), request, watch), watch.signal),
    prepareSend: (request) => told(prepareSend(group(request.groupId), request)),
    cancelSend: (id) => told(cancelSend(group(id))),
    receivePoint: (request) => told(receivePoint(group(request.groupId), request)),
    completePoint: (id, pointId, place) => told(completePoint(group(id), pointId, place)),
    abandonPoint: (id) => told(abandonPoint(group(id))),
    limitSend: (id, bytesPerSecond) => told(limitSend(group(id), bytesPerSecond)),
    limitLink: (peerId, bytesPerSecond) => told(site.limits.changeLink(peerId, bytesPerSecond)),
    promote: (id, pointId, volumeIds) => told(promote(group(id), pointId, volumeIds)),
    openStandby: (request) => told(openStandby(group(request.groupId), request)),
    dropStandby: (id) => told(dropStandby(group(id))),
    keepStandby: (id, mirrorId, pointId) => told(keepStandby(group(id), mirrorId, pointId)),
    startMirror: (request) => told(startMirror(group(request.groupId), request)),
    inspectMirror: (id) => told(inspectMirror(group(id))),
    compareMirror: (request, watch) =>
      told(compareMirror(group(request.groupId), request, watch), watch.signal),
    finishMirror: (id, mirrorId) => told(finishMirror(group(id), mirrorId)),
    stopMirror: (id) => told(stopMirror(group(id))),
    demote: (id, pointId, forkId) => told(demote(group(id), pointId, forkId)),
    discardFork: (id, forkId) => told(discardFork(group(id), forkId)),
    openCopy: (request) => told(openCopy(group(request.groupId), request)),
    closeCopy: (id, copyId) => told(closeCopy(group(id), copyId)),
    discardCopy: (id, copyId) => told(discardCopy(group(id), copyId)),
    keepCopy: (id, copyId, forkId) => told(keepCopy(group(id), copyId, forkId)),
    adoptFork: (request) => told(adoptFork(group(request.groupId), request)),
    digestRanges: (request) => told(digestRanges(group(request.groupId), request)),
    sendDifference: (request, watch) =>
      told(sendDifference(group(request.groupId), request, watch), watch.signal),
    forgetPoints: (id, pointIds, limit) => told(forgetPoints(group(id), pointIds, limit)),
    points: async (id) => (await group(id).record()).points.map(({ pointId }) => pointId),
    hashPoint: (id, pointId) => told(hashPoint(group(id), pointId)),
    bytesAbove: (id, pointId) => told(bytesAbove(group(id), pointId)),
    inspect: (id) => told(inspect(group(id))),
    groups: () => options.records.list(),
    space: () => told(space(options.dataDirectory)),
    stop: (id) => told(stopGroup(group(id))),
    close: async () => {
      for (const known of groups.values()) known.close();
      isClosed = true;
    },
  };
}

/** What goes wrong beneath is a `Failure` to the caller; refusals, bugs and the signal's reason stay. */
async function told<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const isSaid = [Refusal, Failure, LinkFailure].some((kind) => cause instanceof kind);
    const isBug = [TypeError, RangeError, ReferenceError].some((kind) => cause instanceof kind);
    const isAsked = signal?.aborted === true && cause === signal.reason;
    if (isSaid || isBug || isAsked || !(cause instanceof Error)) throw cause;
    throw new Failure(cause.message, { cause });
  }
}

async function space(directory: string): Promise<Space> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { blocks, bavail, bsize } = await statfs(directory);
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
}
