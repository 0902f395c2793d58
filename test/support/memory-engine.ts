import type {
  CopyId,
  ForkId,
  GroupId,
  MirrorId,
  PointId,
  SiteId,
  VolumeId,
} from '../../src/domain/ids.ts';
import { Failure, refuse } from '../../src/domain/refusal.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type {
  CompareMirror,
  ComparedMirror,
  MirrorInspection,
  OpenStandby,
  StartMirror,
} from '../../src/ports/mirroring.ts';
import type {
  DigestRanges,
  RangeDigests,
  SendDifference,
  SentDifference,
} from '../../src/ports/engine-comparison.ts';
import type { AdoptFork, AdoptedFork, CopyOf, OpenCopy } from '../../src/ports/engine-copies.ts';
import type {
  Engine,
  Fork,
  ForgottenPoints,
  GroupInspection,
  HostAccess,
  ReceivePoint,
  ReceivingTarget,
  SealedPoint,
  SendPoint,
  SendWatch,
  SentPoint,
  ServedGroup,
  Space,
  VolumeHash,
  VolumeSpec,
} from '../../src/ports/engine.ts';
import {
  adopt,
  adopted,
  forkOf,
  inspectCopy,
  keepCopy,
  refuseHeld,
  requireSame,
  requireVolumes,
  setAside,
  shown,
} from './memory-copies.ts';
import { digestRanges, sendDifferenceOverMemory } from './memory-difference.ts';
import { findPoint, needFork, needPoint, specOf } from './memory-group.ts';
import type { DataPlane, MemoryCopy, MemoryGroup, MemoryPoint } from './memory-group.ts';
import {
  beginMirror,
  carry,
  newStandby,
  requireLevel,
  compareEnds,
  holds,
  standbyExport,
  standbyPoint,
  standbyReceiver,
  viewMirror,
} from './memory-mirror.ts';
import type { MemoryNetwork, Receiver } from './memory-network.ts';
import { goOnOrRestart, sendOverMemory } from './memory-send.ts';
import {
  BLOCK_BYTES,
  allocatedBytes,
  emptyContent,
  hashContent,
  withBlock,
  writtenSince,
} from './volume-content.ts';
import type { GroupContent, VolumeContent } from './volume-content.ts';

export interface MemoryEngineOptions {
  readonly siteId: SiteId;
  readonly host: string;
  readonly network: MemoryNetwork;
  readonly clock: Clock;
  readonly totalBytes?: number;
  /** Awaited before each block of a send; may throw `LinkFailure`. Absent: others get their turn. */
  readonly beforeBlock?: (target: ReceivingTarget) => Promise<void>;
}

/** A volume as a host has it open. */
export interface MemoryHost {
  readonly sizeBytes: number;
  readonly ended: Promise<void>;
  readonly read: (block: number) => Uint8Array;
  readonly write: (block: number, bytes: Uint8Array) => void;
  readonly leave: () => void;
}

interface Attached {
  readonly at: GroupId | CopyId;
  readonly id: VolumeId;
  readonly hostName: string;
  readonly part: () => void;
}

/** Something that serves volumes at a port. */
interface Door {
  readonly at: GroupId | CopyId;
  readonly hosts: readonly string[];
  readonly volumes: readonly VolumeContent[];
  readonly read: (volumeId: VolumeId, block: number) => Uint8Array;
  readonly write: (volumeId: VolumeId, block: number, bytes: Uint8Array) => void;
}

const FIRST_PORT = 10_900;
/** More than any test writes, so that only who wants a full disk pays for counting. */
const AMPLE_BYTES = 1024 ** 4;

/** The data plane of one site in this process, with its hosts' side and switches for trouble. */
export class MemoryEngine implements Engine {
  readonly #options: MemoryEngineOptions;
  readonly #groups = new Map<GroupId, MemoryGroup>();
  readonly #attached = new Set<Attached>();
  #planes = 0;
  #places = 0;
  #totalBytes: number;
  /** How long the next seals hold hosts' writes. */
  pauseMs = 1;
  /** Told of each write of a host, before it is answered. */
  onHostWrite:
    | ((groupId: GroupId, volumeId: VolumeId, block: number, bytes: Uint8Array) => void)
    | undefined;

  constructor(options: MemoryEngineOptions) {
    this.#options = options;
    this.#totalBytes = options.totalBytes ?? AMPLE_BYTES;
  }

  async createVolume(groupId: GroupId, volume: VolumeSpec): Promise<void> {
    const group = this.#groups.get(groupId) ?? this.#newGroup(groupId);
    if (group.present?.has(volume.volumeId)) return;
    if (group.present === undefined && group.points.length > 0) throw noPresent(groupId);
    this.#needRoom();
    group.present ??= new Map();
    group.mirror = undefined;
    group.present.set(volume.volumeId, emptyContent(volume));
  }

  async deleteVolume(groupId: GroupId, volumeId: VolumeId): Promise<void> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return;
    refuseHeld(group, volumeId, { unlessFork: true });
    this.#dropVolume(group, volumeId);
  }

  #dropVolume(group: MemoryGroup, volumeId: VolumeId): void {
    group.present?.delete(volumeId);
    group.points = group.points.map((point) => withoutVolume(point, volumeId));
    group.forks = group.forks.map((fork) => ({
      ...fork,
      content: withoutKey(fork.content, volumeId),
      points: fork.points.map((point) => withoutVolume(point, volumeId)),
    }));
    group.mirror = undefined;
    group.standby = undefined;
    closeExport(group, volumeId);
    this.#part(group.id, ({ id }) => id === volumeId);
  }

  async resizeVolume(groupId: GroupId, volumeId: VolumeId, sizeBytes: number): Promise<void> {
    const group = this.#need(groupId);
    const { present } = group;
    const volume = present?.get(volumeId);
    if (present === undefined || volume === undefined) throw noPresent(groupId);
    if (sizeBytes < volume.sizeBytes) {
      const wanted = `at least ${volume.sizeBytes}`;
      refuse({ code: 'invalid', field: 'sizeBytes', wanted, seen: String(sizeBytes) });
    }
    if (sizeBytes > volume.sizeBytes) this.#part(groupId, ({ id }) => id === volumeId);
    if (sizeBytes > volume.sizeBytes) group.mirror = undefined;
    present.set(volumeId, { ...volume, sizeBytes });
  }

  async moveVolume(volumeId: VolumeId, from: GroupId, to: GroupId): Promise<void> {
    const source = this.#groups.get(from);
    const destination = this.#groups.get(to) ?? this.#newGroup(to);
    const volume = source?.present?.get(volumeId);
    if (source === undefined || volume === undefined) {
      if (destination.present?.has(volumeId) === true) return;
      throw new Failure(`volume ${volumeId} is in neither group ${from} nor ${to}`);
    }
    if (destination.present === undefined && destination.points.length > 0) throw noPresent(to);
    refuseHeld(source, volumeId);
    refuseHeld(destination, volumeId);
    const keeper = destination.points.find(({ content }) => content.has(volumeId));
    if (keeper !== undefined) {
      const by = `recovery point ${keeper.sealed.pointId} of group ${to}`;
      refuse({ code: 'in_use', what: 'volume', id: volumeId, by });
    }
    destination.present ??= new Map();
    destination.mirror = undefined;
    destination.present.set(volumeId, volume);
    this.#dropVolume(source, volumeId);
  }

  async deleteGroup(groupId: GroupId): Promise<void> {
    this.#groups.get(groupId)?.plane?.sending?.cancel.abort();
    this.#part(groupId, () => true);
    for (const { copyId } of this.#groups.get(groupId)?.copies ?? []) {
      await this.discardCopy(groupId, copyId);
    }
    this.#groups.delete(groupId);
  }

  async serve(groupId: GroupId, { hosts }: HostAccess): Promise<ServedGroup> {
    const group = this.#groups.get(groupId);
    if (group?.present === undefined) throw noPresent(groupId);
    const plane = this.#start(group);
    plane.served = { hosts, volumeIds: new Set(group.present.keys()) };
    this.#part(groupId, ({ hostName }) => !hosts.includes(hostName));
    const exports = [...group.present.values()].map(({ volumeId, name }) => ({
      volumeId,
      exportName: name,
    }));
    return { host: this.#options.host, port: group.port, exports };
  }

  async fence(groupId: GroupId): Promise<void> {
    const plane = this.#groups.get(groupId)?.plane;
    if (plane !== undefined) plane.served = undefined;
    this.#part(groupId, () => true);
  }

  async sealPoint(groupId: GroupId, pointId: PointId, pauseLimitMs: number): Promise<SealedPoint> {
    const group = this.#need(groupId);
    this.#start(group);
    const before = findPoint(group, pointId);
    if (before !== undefined) return before.sealed;
    if (group.present === undefined) throw noPresent(groupId);
    this.#needRoom();
    const { pauseMs } = this;
    if (pauseMs > pauseLimitMs) {
      refuse({ code: 'freeze_too_long', groupId, pauseMs, limitMs: pauseLimitMs });
    }
    const volumes = [...group.present.values()].map(specOf);
    const sealed = { pointId, sealedAt: this.#options.clock.now(), pauseMs, volumes };
    group.points = [...group.points, { sealed, content: new Map(group.present) }];
    return sealed;
  }

  async sendPoint(request: SendPoint, watch: SendWatch): Promise<SentPoint> {
    const group = this.#need(request.groupId);
    const plane = this.#start(group);
    const point = needPoint(group, request.pointId);
    const base =
      request.basePointId === undefined ? undefined : needPoint(group, request.basePointId);
    const { network, beforeBlock } = this.#options;
    const before = group.sent;
    const isSent =
      before?.pointId === request.pointId &&
      before.basePointId === request.basePointId &&
      before.targetInstance === request.target.instance;
    if (isSent) return before.result;
    const result = await sendOverMemory(plane, request, watch, {
      network,
      point,
      base,
      ...(beforeBlock && { beforeBlock }),
    });
    const { pointId, basePointId, target } = request;
    group.sent = { pointId, basePointId, targetInstance: target.instance, result };
    return result;
  }

  async prepareSeal(groupId: GroupId): Promise<void> {
    this.#start(this.#need(groupId));
  }

  async prepareSend(request: SendPoint): Promise<void> {
    const plane = this.#start(this.#need(request.groupId));
    this.#options.network.connect(request.target);
    goOnOrRestart(plane, request);
  }

  async cancelSend(groupId: GroupId): Promise<void> {
    const group = this.#groups.get(groupId);
    group?.plane?.sending?.cancel.abort(new Failure(`group ${groupId}: the send was ended`));
    if (group !== undefined) {
      group.sent = undefined;
      group.sentDifference = undefined;
    }
    if (group?.plane !== undefined) group.plane.sending = undefined;
  }

  async receivePoint(request: ReceivePoint): Promise<ReceivingTarget> {
    const { groupId, pointId, basePointId, volumes } = request;
    const group = this.#groups.get(groupId) ?? this.#newGroup(groupId);
    if (group.present !== undefined) {
      throw new Failure(`group ${groupId} has a present: it cannot receive`);
    }
    const known = findPoint(group, pointId);
    if (known !== undefined) return this.#targetOf(group, known.receivedBy ?? '', volumes);
    const base = basePointId === undefined ? undefined : needPoint(group, basePointId);
    if (base !== undefined && group.points.at(-1) !== base) {
      throw new Failure(`group ${groupId}: points after ${basePointId} must be set aside first`);
    }
    const plane = this.#start(group);
    if (!isSamePlace(plane.receiving?.request, request)) {
      this.#needRoom();
      const content = volumes.map((spec): [VolumeId, VolumeContent] => {
        const before = base?.content.get(spec.volumeId)?.blocks ?? new Map<number, Uint8Array>();
        const inside = [...before].filter(([block]) => block * BLOCK_BYTES < spec.sizeBytes);
        return [spec.volumeId, { ...spec, blocks: new Map(inside) }];
      });
      this.#places += 1;
      const instance = `${plane.instance}/${this.#places}`;
      plane.receiving = { request, instance, content: new Map(content) };
    }
    return this.#targetOf(group, (plane.receiving ?? plane).instance, volumes);
  }

  async completePoint(groupId: GroupId, pointId: PointId, place: string): Promise<void> {
    const group = this.#groups.get(groupId);
    if (group !== undefined && findPoint(group, pointId)) return;
    const receiving = group?.plane?.receiving;
    const isFilled = receiving?.request.pointId === pointId && receiving.instance === place;
    if (group?.plane === undefined || !isFilled) {
      return refuse({ code: 'point_missing', groupId, pointId });
    }
    const { content, instance } = receiving;
    const volumes = [...content.values()].map(specOf);
    const sealed = { pointId, sealedAt: this.#options.clock.now(), pauseMs: 0, volumes };
    group.points = [...group.points, { sealed, content, receivedBy: instance }];
    group.plane.receiving = undefined;
  }

  async abandonPoint(groupId: GroupId): Promise<void> {
    const plane = this.#groups.get(groupId)?.plane;
    if (plane !== undefined) plane.receiving = undefined;
  }

  async openStandby(request: OpenStandby): Promise<ReceivingTarget> {
    const { groupId, mirrorId, volumes } = request;
    const group = this.#groups.get(groupId);
    if (group === undefined) {
      return refuse({ code: 'point_missing', groupId, pointId: request.basePointId });
    }
    if (group.present !== undefined) throw new Failure(`group ${groupId} has a present`);
    const { instance } = this.#start(group);
    if (group.standby?.request.mirrorId !== mirrorId) {
      this.#needRoom();
      group.standby = newStandby(group, request, instance);
    }
    if (group.standby.plane !== instance) {
      refuse({ code: 'busy', groupId, doing: 'a data plane that died had this standby open' });
    }
    const { standby } = group;
    const nameOf = (volumeId: VolumeId): string => standbyExport(standby, volumeId);
    return this.#targetOf(group, instance, volumes, nameOf);
  }

  async dropStandby(groupId: GroupId): Promise<void> {
    const group = this.#groups.get(groupId);
    if (group !== undefined) group.standby = undefined;
  }

  async keepStandby(groupId: GroupId, mirrorId: MirrorId, pointId: PointId): Promise<void> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return refuse({ code: 'point_missing', groupId, pointId });
    if (findPoint(group, pointId)) return;
    const point = standbyPoint(group, mirrorId, pointId, this.#options.clock.now());
    group.points = [...group.points, point];
    group.standby = undefined;
  }

  async startMirror(request: StartMirror): Promise<void> {
    const { groupId, mirrorId } = request;
    const group = this.#need(groupId);
    const seen = viewMirror(group);
    if (seen?.mirrorId === mirrorId) return requireLevel(group, groupId, mirrorId);
    const { instance } = this.#start(group);
    group.mirror = beginMirror(group, request, instance, this.#options.network);
  }

  async inspectMirror(groupId: GroupId): Promise<MirrorInspection | undefined> {
    const group = this.#groups.get(groupId);
    return group && viewMirror(group);
  }

  async compareMirror(request: CompareMirror, { signal }: SendWatch): Promise<ComparedMirror> {
    signal.throwIfAborted();
    const { groupId, mirrorId } = request;
    const group = this.#need(groupId);
    requireLevel(group, groupId, mirrorId);
    if (group.mirror === undefined) throw new Failure(`group ${groupId} has no mirror`);
    return compareEnds(group, request, this.#options.network.connect(group.mirror.request.target));
  }

  async finishMirror(groupId: GroupId, mirrorId: MirrorId): Promise<void> {
    const group = this.#need(groupId);
    try {
      requireLevel(group, groupId, mirrorId);
      if (group.mirror !== undefined) this.#options.network.connect(group.mirror.request.target);
    } finally {
      group.mirror = undefined;
    }
  }

  async stopMirror(groupId: GroupId): Promise<void> {
    const group = this.#groups.get(groupId);
    if (group?.mirror === undefined) return;
    if (holds(group.mirror) && group.plane?.instance === group.mirror.plane)
      group.plane = undefined;
    group.mirror = undefined;
  }

  async promote(
    groupId: GroupId,
    pointId: PointId,
    volumeIds?: readonly VolumeId[],
  ): Promise<void> {
    const group = this.#groups.get(groupId);
    if (group?.present !== undefined) return;
    if (group === undefined) return refuse({ code: 'point_missing', groupId, pointId });
    const { content } = needPoint(group, pointId);
    if (group.points.at(-1)?.sealed.pointId !== pointId) {
      throw new Failure(`group ${groupId}: points after ${pointId} must be set aside first`);
    }
    if (group.plane !== undefined) group.plane.receiving = undefined;
    const members = [...content].filter(([id]) => volumeIds?.includes(id) ?? true);
    group.standby = undefined;
    group.present = new Map(members);
  }

  async demote(
    groupId: GroupId,
    pointId: PointId,
    forkId: Fork['forkId'],
  ): Promise<Fork | undefined> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return refuse({ code: 'point_missing', groupId, pointId });
    const point = needPoint(group, pointId);
    const done = group.forks.find((fork) => fork.forkId === forkId);
    if (done !== undefined) return forkOf(group, done);
    if (group.points.at(-1) === point && group.present === undefined) return undefined;
    await this.fence(groupId);
    await this.cancelSend(groupId);
    group.mirror = undefined;
    group.standby = undefined;
    setAside(group, point, forkId);
    return this.#forks(group).find((fork) => fork.forkId === forkId);
  }

  async discardFork(groupId: GroupId, forkId: Fork['forkId']): Promise<void> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return;
    const copy = group.copies.find(({ of }) => 'forkId' in of && of.forkId === forkId);
    if (copy !== undefined) {
      refuse({ code: 'in_use', what: 'fork', id: forkId, by: `copy ${copy.copyId}` });
    }
    group.forks = group.forks.filter((fork) => fork.forkId !== forkId);
  }

  async openCopy({ groupId, copyId, of, writable, access }: OpenCopy): Promise<ServedGroup> {
    const group = this.#groups.get(groupId) ?? refuseMissing(groupId, of);
    const known = group.copies.find((one) => one.copyId === copyId);
    if (known === undefined) this.#needRoom();
    else requireSame(known, { groupId, copyId, of, writable, access });
    const { port, plane } = known ?? { port: this.#freePort(), plane: undefined };
    if (plane?.hung === true) throw new Failure(`copy ${copyId}: the data plane hangs`);
    const made = known ?? { ...shown(group, of), base: shown(group, of).content };
    const { hosts } = access;
    const opened = { ...made, copyId, of, writable, hosts, port, plane: { hung: false } };
    group.copies = [...group.copies.filter((one) => one !== known), opened];
    this.#part(copyId, ({ hostName }) => !hosts.includes(hostName));
    const exports = [...opened.content.values()].map(({ volumeId, name }) => ({
      volumeId,
      exportName: name,
    }));
    return { host: this.#options.host, port, exports };
  }

  async closeCopy(groupId: GroupId, copyId: CopyId): Promise<void> {
    this.#changeCopy(groupId, copyId, (copy) => ({ ...copy, plane: undefined }));
    this.#part(copyId, () => true);
  }

  async discardCopy(groupId: GroupId, copyId: CopyId): Promise<void> {
    this.#changeCopy(groupId, copyId, () => undefined);
    this.#part(copyId, () => true);
  }

  async keepCopy(groupId: GroupId, copyId: CopyId, forkId: ForkId): Promise<Fork> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return refuse({ code: 'not_found', what: 'copy', id: copyId });
    const fork = keepCopy(group, copyId, forkId);
    this.#part(copyId, () => true);
    return fork;
  }

  async adoptFork(request: AdoptFork): Promise<AdoptedFork> {
    const { groupId, forkId, volumeIds } = request;
    const group = this.#groups.get(groupId);
    if (group === undefined) return refuse({ code: 'not_found', what: 'fork', id: forkId });
    if (group.adopted?.forkId === forkId) return adopted(group, group.adopted);
    requireVolumes(needFork(group, forkId), volumeIds);
    await this.fence(groupId);
    await this.cancelSend(groupId);
    if (group.plane !== undefined) group.plane.receiving = undefined;
    group.mirror = undefined;
    group.standby = undefined;
    return adopt(group, request);
  }

  async digestRanges(request: DigestRanges): Promise<RangeDigests> {
    const { groupId, pointId } = request;
    const group = this.#groups.get(groupId);
    if (group === undefined) return refuse({ code: 'point_missing', groupId, pointId });
    return digestRanges(needPoint(group, pointId), request);
  }

  async sendDifference(request: SendDifference, watch: SendWatch): Promise<SentDifference> {
    const group = this.#need(request.groupId);
    const { pointId, target } = request;
    const { network, beforeBlock } = this.#options;
    const before = group.sentDifference;
    const isSent = before?.pointId === pointId && before.targetInstance === target.instance;
    if (isSent) return before.result;
    const result = await sendDifferenceOverMemory(this.#start(group), request, watch, {
      network,
      point: needPoint(group, pointId),
      ...(beforeBlock && { beforeBlock }),
    });
    group.sentDifference = { pointId, targetInstance: target.instance, result };
    return result;
  }

  async limitSend(): Promise<void> {
    // Blocks take no time here: there is nothing to limit.
  }

  async limitLink(): Promise<void> {
    // As above.
  }

  async forgetPoints(groupId: GroupId, pointIds: readonly PointId[]): Promise<ForgottenPoints> {
    const group = this.#groups.get(groupId);
    const standing = [...(group?.forks ?? []), ...(group?.copies ?? [])];
    const bases = [...standing, ...(group?.standby ? [group.standby.request] : [])];
    const beneath = new Set(bases.map(({ basePointId }) => basePointId));
    const kept = pointIds.filter((id) => beneath.has(id));
    const forgotten = pointIds.filter((id) => !beneath.has(id));
    if (group !== undefined) {
      group.points = group.points.filter(({ sealed }) => !forgotten.includes(sealed.pointId));
    }
    return { forgotten, kept };
  }

  async points(groupId: GroupId): Promise<readonly PointId[]> {
    return this.#groups.get(groupId)?.points.map(({ sealed }) => sealed.pointId) ?? [];
  }

  async hashPoint(groupId: GroupId, pointId: PointId): Promise<readonly VolumeHash[]> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return refuse({ code: 'point_missing', groupId, pointId });
    return [...needPoint(group, pointId).content.values()].map(hashContent);
  }

  async bytesAbove(groupId: GroupId, pointId: PointId | undefined): Promise<number> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return 0;
    const base = pointId && findPoint(group, pointId)?.content;
    const top = group.present ?? group.points.at(-1)?.content;
    const written = [...(top?.values() ?? []), ...(group.plane?.receiving?.content.values() ?? [])];
    const blocks = written.map((v) => writtenSince(v, base?.get(v.volumeId)).length);
    return blocks.reduce((sum, count) => sum + count, 0) * BLOCK_BYTES;
  }

  async inspect(groupId: GroupId): Promise<GroupInspection> {
    const group = this.#groups.get(groupId);
    const plane = group?.plane;
    const content: GroupContent =
      group?.present ?? group?.points.at(-1)?.content ?? new Map<VolumeId, VolumeContent>();
    return {
      groupId,
      dataPlane: plane === undefined ? 'stopped' : plane.hung ? 'hung' : 'running',
      instance: plane?.instance,
      pid: plane === undefined ? undefined : 4000 + (group?.port ?? 0) - FIRST_PORT,
      address:
        group === undefined || plane === undefined
          ? undefined
          : { host: this.#options.host, port: group.port },
      serving: plane?.served !== undefined,
      hasPresent: group?.present !== undefined,
      receiving: plane?.receiving?.request.pointId,
      sending: plane?.sending?.isOver === false ? plane.sending.pointId : undefined,
      sendingTo: plane?.sending?.isOver === false ? plane.sending.to : undefined,
      volumes: [...content.values()].map((volume) => ({
        volumeId: volume.volumeId,
        sizeBytes: volume.sizeBytes,
        layers: 1 + (group?.points.length ?? 0),
        allocatedBytes: allocatedBytes([volume]),
      })),
      forks: group === undefined ? [] : this.#forks(group),
      copies: (group?.copies ?? []).map((copy) => inspectCopy(copy, this.#options.host)),
    };
  }

  async groups(): Promise<readonly GroupId[]> {
    return [...this.#groups.keys()];
  }

  async space(): Promise<Space> {
    return { totalBytes: this.#totalBytes, freeBytes: this.#freeBytes() };
  }

  async stop(groupId: GroupId): Promise<void> {
    this.crashDataPlane(groupId);
    for (const { copyId } of this.#groups.get(groupId)?.copies ?? []) {
      await this.closeCopy(groupId, copyId);
    }
  }

  async close(): Promise<void> {
    // Data planes go on.
  }

  /** Ends a group's process: what it had not recorded is gone, the next one is another instance. */
  crashDataPlane(groupId: GroupId): void {
    const group = this.#groups.get(groupId);
    group?.plane?.sending?.cancel.abort(new Failure(`group ${groupId}: the data plane died`));
    if (group !== undefined) group.plane = undefined;
    this.#part(groupId, () => true);
  }

  /** The same of a copy's process. What its hosts wrote is there all the same. */
  crashCopy(groupId: GroupId, copyId: CopyId): void {
    this.#changeCopy(groupId, copyId, (copy) => ({ ...copy, plane: undefined }));
    this.#part(copyId, () => true);
  }

  #changeCopy(
    groupId: GroupId,
    copyId: CopyId,
    change: (copy: MemoryCopy) => MemoryCopy | undefined,
  ): void {
    const group = this.#groups.get(groupId);
    if (group === undefined) return;
    group.copies = group.copies.flatMap((one) =>
      one.copyId === copyId ? (change(one) ?? []) : one,
    );
  }

  /** The process of a group lives and does not answer, or answers again. */
  hang(groupId: GroupId, hung: boolean): void {
    const plane = this.#groups.get(groupId)?.plane;
    if (plane !== undefined) plane.hung = hung;
  }

  /** Leaves room for so many bytes and no more. */
  leaveFree(bytes: number): void {
    this.#totalBytes = this.#usedBytes() + bytes;
  }

  /** What a host does. @throws Error when the volume is not open to it */
  write(groupId: GroupId, volumeId: VolumeId, block: number, fill: number | Uint8Array): void {
    const group = this.#groups.get(groupId);
    const volume = group?.present?.get(volumeId);
    if (group?.plane?.served?.volumeIds.has(volumeId) !== true || volume === undefined) {
      throw new Error(`volume ${volumeId} is not open to hosts at ${this.#options.host}`);
    }
    this.#needRoom();
    const bytes = typeof fill === 'number' ? new Uint8Array(BLOCK_BYTES).fill(fill) : fill;
    this.onHostWrite?.(groupId, volumeId, block, bytes);
    const { mirror } = group;
    // First there: a host that is held was answered nowhere.
    if (mirror?.plane === group.plane.instance)
      carry(mirror, this.#options.network, volumeId, block, bytes);
    group.present?.set(volumeId, withBlock(volume, block, bytes));
  }

  /** @throws Error when the volume is not open to hosts */
  read(groupId: GroupId, volumeId: VolumeId, block: number): Uint8Array {
    const group = this.#groups.get(groupId);
    const volume = group?.present?.get(volumeId);
    if (group?.plane?.served?.volumeIds.has(volumeId) !== true || volume === undefined) {
      throw new Error(`volume ${volumeId} is not open to hosts at ${this.#options.host}`);
    }
    return volume.blocks.get(block) ?? new Uint8Array(BLOCK_BYTES);
  }

  /**
   * A host's connection. It ends when the host may not go on.
   *
   * @throws Error unless the volume is served there, to that host
   */
  attach(port: number, name: string, hostName: string): MemoryHost {
    const { at, hosts, volumes, read, write } = this.#doorOf(port);
    const volume = volumes.find((v) => v.name === name);
    if (volume === undefined) {
      throw new Error(`nothing serves ${name} at ${this.#options.host}:${port}`);
    }
    if (!hosts.includes(hostName)) throw new Error(`host ${hostName} may not attach ${name}`);
    const { volumeId: id, sizeBytes } = volume;
    const { promise: ended, resolve: part } = Promise.withResolvers<void>();
    const attached: Attached = { at, id, hostName, part };
    this.#attached.add(attached);
    const onlyWhenAttached = (): void => {
      if (!this.#attached.has(attached))
        throw new Error(`host ${hostName} was parted from ${name}`);
    };
    return {
      sizeBytes,
      ended,
      read: (block) => {
        onlyWhenAttached();
        return read(id, block);
      },
      write: (block, bytes) => {
        onlyWhenAttached();
        write(id, block, bytes);
      },
      leave: () => this.#attached.delete(attached),
    };
  }

  /** What listens there. @throws Error when nothing does */
  #doorOf(port: number): Door {
    for (const group of this.#groups.values()) {
      const { id, plane, present } = group;
      if (group.port === port && plane?.served !== undefined) {
        const { hosts, volumeIds } = plane.served;
        return {
          at: id,
          hosts,
          volumes: [...(present?.values() ?? [])].filter((v) => volumeIds.has(v.volumeId)),
          read: (volumeId, block) => this.read(id, volumeId, block),
          write: (volumeId, block, bytes) => this.write(id, volumeId, block, bytes),
        };
      }
      const copy = group.copies.find((one) => one.port === port && one.plane !== undefined);
      if (copy !== undefined) return this.#doorOfCopy(group, copy);
    }
    throw new Error(`nothing listens at ${this.#options.host}:${port}`);
  }

  #doorOfCopy(group: MemoryGroup, { copyId, hosts, content, writable }: MemoryCopy): Door {
    const now = (volumeId: VolumeId): VolumeContent => {
      const copy = group.copies.find((one) => one.copyId === copyId);
      const volume = copy?.content.get(volumeId);
      if (volume === undefined) throw new Error(`copy ${copyId} is not open`);
      return volume;
    };
    return {
      at: copyId,
      hosts,
      volumes: [...content.values()],
      read: (volumeId, block) => now(volumeId).blocks.get(block) ?? new Uint8Array(BLOCK_BYTES),
      write: (volumeId, block, bytes) => {
        if (!writable) throw new Error(`copy ${copyId} is open read-only`);
        this.#needRoom();
        const written = withBlock(now(volumeId), block, bytes);
        this.#changeCopy(group.id, copyId, (copy) => ({
          ...copy,
          content: new Map(copy.content).set(volumeId, written),
        }));
      },
    };
  }

  #part(at: GroupId | CopyId, which: (attached: Attached) => boolean): void {
    for (const attached of this.#attached) {
      if (attached.at !== at || !which(attached)) continue;
      this.#attached.delete(attached);
      attached.part();
    }
  }

  /** Hosts of the group get to see this, as its present; its process runs. @returns its instance */
  showImport(groupId: GroupId, contents: readonly VolumeContent[]): string {
    const group = this.#groups.get(groupId) ?? this.#newGroup(groupId);
    this.#needRoom();
    group.present ??= new Map(contents.map((content) => [content.volumeId, content]));
    return this.#start(group).instance;
  }

  /** All that is kept of a group, for whoever checks it; not to be changed. */
  held(groupId: GroupId): MemoryGroup | undefined {
    return this.#groups.get(groupId);
  }

  #targetOf(
    { port }: MemoryGroup,
    instance: string,
    volumes: readonly VolumeSpec[],
    nameOf = exportName,
  ): ReceivingTarget {
    return {
      host: this.#options.host,
      port,
      tlsName: this.#options.siteId,
      instance,
      exports: volumes.map(({ volumeId }) => ({ volumeId, exportName: nameOf(volumeId) })),
    };
  }

  #newGroup(groupId: GroupId): MemoryGroup {
    const port = this.#freePort();
    const group: MemoryGroup = {
      id: groupId,
      port,
      present: undefined,
      points: [],
      forks: [],
      copies: [],
      adopted: undefined,
      sent: undefined,
      sentDifference: undefined,
      standby: undefined,
      mirror: undefined,
      plane: undefined,
    };
    this.#groups.set(groupId, group);
    this.#options.network.listen(this.#options.host, port, (wanted) => {
      const standby = standbyReceiver(group, this.#options.siteId, () => this.#needRoom());
      const isWanted = wanted.some((name) => standby?.exportNames.has(name));
      return isWanted ? standby : this.#receiver(groupId);
    });
    return group;
  }

  #freePort(): number {
    const taken = new Set(
      [...this.#groups.values()].flatMap(({ port, copies }) => [
        port,
        ...copies.map((copy) => copy.port),
      ]),
    );
    let port = FIRST_PORT;
    while (taken.has(port)) port += 1;
    return port;
  }

  #receiver(groupId: GroupId): Receiver | undefined {
    const { siteId } = this.#options;
    const plane = this.#groups.get(groupId)?.plane;
    const receiving = plane?.receiving;
    if (plane === undefined || receiving === undefined || plane.hung) return undefined;
    return {
      siteId,
      instance: receiving.instance,
      exportNames: new Set([...receiving.content.keys()].map(exportName)),
      read: (volumeId, block) => receiving.content.get(volumeId)?.blocks.get(block),
      write: (volumeId, block, bytes) => {
        const volume = receiving.content.get(volumeId);
        if (volume === undefined) throw new Error(`nothing receives volume ${volumeId}`);
        this.#needRoom();
        receiving.content.set(volumeId, withBlock(volume, block, Uint8Array.from(bytes)));
      },
    };
  }

  #start(group: MemoryGroup): DataPlane {
    if (group.plane?.hung === true) throw new Failure(`group ${group.id}: the data plane hangs`);
    if (group.plane === undefined) {
      this.#planes += 1;
      group.plane = {
        instance: `${this.#options.host}/${this.#planes}`,
        hung: false,
        served: undefined,
        receiving: undefined,
        sending: undefined,
      };
    }
    return group.plane;
  }

  #need(groupId: GroupId): MemoryGroup {
    const group = this.#groups.get(groupId);
    if (group === undefined) throw new Failure(`group ${groupId} is not known to the engine`);
    return group;
  }

  #forks(group: MemoryGroup): readonly Fork[] {
    return group.forks.map((fork) => forkOf(group, fork));
  }

  #usedBytes(): number {
    const contents = [...this.#groups.values()].flatMap(
      ({ present, points, forks, copies, plane, standby }) => [
        ...(present?.values() ?? []),
        ...(standby?.content.values() ?? []),
        ...[...points, ...forks, ...copies].flatMap(({ content }) => [...content.values()]),
        ...(plane?.receiving?.content.values() ?? []),
      ],
    );
    return allocatedBytes(contents);
  }

  #freeBytes(): number {
    return Math.max(0, this.#totalBytes - this.#usedBytes());
  }

  #needRoom(): void {
    if (this.#totalBytes === AMPLE_BYTES) return;
    const freeBytes = this.#freeBytes();
    if (freeBytes >= BLOCK_BYTES) return;
    refuse({
      code: 'no_space',
      siteId: this.#options.siteId,
      neededBytes: BLOCK_BYTES,
      freeBytes,
    });
  }
}

function noPresent(groupId: GroupId): Failure {
  return new Failure(`group ${groupId} has no present`);
}

/** @throws Refusal in the words for what is not there */
function refuseMissing(groupId: GroupId, of: CopyOf): never {
  if ('pointId' in of) refuse({ code: 'point_missing', groupId, pointId: of.pointId });
  refuse({ code: 'not_found', what: 'fork', id: of.forkId });
}

function exportName(volumeId: VolumeId): string {
  return `in-${volumeId}`;
}

function isSamePlace(known: ReceivePoint | undefined, wanted: ReceivePoint): boolean {
  return JSON.stringify(known) === JSON.stringify(wanted);
}

function closeExport({ plane }: MemoryGroup, volumeId: VolumeId): void {
  if (plane?.served === undefined) return;
  const volumeIds = new Set([...plane.served.volumeIds].filter((id) => id !== volumeId));
  plane.served = { ...plane.served, volumeIds };
}

function withoutKey(content: GroupContent, volumeId: VolumeId): GroupContent {
  return new Map([...content].filter(([id]) => id !== volumeId));
}

function withoutVolume({ sealed, content }: MemoryPoint, volumeId: VolumeId): MemoryPoint {
  const volumes = sealed.volumes.filter((volume) => volume.volumeId !== volumeId);
  return { sealed: { ...sealed, volumes }, content: withoutKey(content, volumeId) };
}
