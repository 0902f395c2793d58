/** Mirrors and standbys of a memory engine: each host write goes to both ends, or fails the mirror. */
import type { GroupId, MirrorId, PointId, VolumeId } from '../../src/domain/ids.ts';
import { HOLD_SECONDS } from '../../src/domain/mirror-sight.ts';
import { Failure, refuse } from '../../src/domain/refusal.ts';
import type { VolumeSpec } from '../../src/ports/engine.ts';
import type {
  CompareMirror,
  ComparedMirror,
  MirrorInspection,
  OpenStandby,
  StartMirror,
} from '../../src/ports/mirroring.ts';
import type { MemoryGroup } from './memory-group.ts';
import type { MemoryNetwork, Receiver } from './memory-network.ts';
import { BLOCK_BYTES, withBlock, writtenSince } from './volume-content.ts';
import type { VolumeContent } from './volume-content.ts';

/** What has come through a mirror. It outlives the process that had it open. */
export interface MemoryStandby {
  readonly request: OpenStandby;
  /** The process that had it open. */
  readonly plane: string;
  readonly content: Map<VolumeId, VolumeContent>;
}

export interface MemoryMirror {
  readonly request: StartMirror;
  /** The process that carries it. */
  readonly plane: string;
  readonly doneBytes: Map<VolumeId, number>;
  failed: string | undefined;
}

/** Another mirror finds none of the exports that this one had. */
export function standbyExport({ request }: MemoryStandby, volumeId: VolumeId): string {
  return `standby-${request.mirrorId}-${volumeId}`;
}

/** A standby of the group's newest point, empty above it. */
export function newStandby(
  { points }: MemoryGroup,
  request: OpenStandby,
  plane: string,
): MemoryStandby {
  const { groupId, basePointId, volumes } = request;
  const base = points.find(({ sealed }) => sealed.pointId === basePointId);
  if (base === undefined) return refuse({ code: 'point_missing', groupId, pointId: basePointId });
  if (points.at(-1) !== base)
    throw new Failure(`group ${groupId}: ${basePointId} is not its newest`);
  const content = volumes.map((spec): [VolumeId, VolumeContent] => {
    const blocks = base.content.get(spec.volumeId)?.blocks ?? new Map<number, Uint8Array>();
    return [spec.volumeId, { ...spec, blocks }];
  });
  return { request, plane, content: new Map(content) };
}

/** A standby as its mirror finds it at the group's address. */
export function standbyReceiver(
  { standby, plane }: MemoryGroup,
  siteId: Receiver['siteId'],
  needRoom: () => void,
): Receiver | undefined {
  if (standby === undefined || plane?.instance !== standby.plane || plane.hung) return undefined;
  return {
    siteId,
    instance: standby.plane,
    exportNames: new Set([...standby.content.keys()].map((id) => standbyExport(standby, id))),
    read: (volumeId, block) => standby.content.get(volumeId)?.blocks.get(block),
    write: (volumeId, block, bytes) => {
      const volume = standby.content.get(volumeId);
      if (volume === undefined) throw new Error(`no standby of volume ${volumeId}`);
      needRoom();
      standby.content.set(volumeId, withBlock(volume, block, Uint8Array.from(bytes)));
    },
  };
}

/** @throws LinkFailure when the target cannot be reached; Refusal `no_space` when its disk is full */
export function beginMirror(
  group: MemoryGroup,
  request: StartMirror,
  plane: string,
  network: MemoryNetwork,
): MemoryMirror {
  const { basePointId, groupId, target } = request;
  const base = group.points.at(-1);
  if (base?.sealed.pointId !== basePointId) {
    throw new Failure(`group ${groupId}: point ${basePointId} is not its newest`);
  }
  network.connect(target);
  const mirror: MemoryMirror = { request, plane, doneBytes: new Map(), failed: undefined };
  for (const volume of group.present?.values() ?? []) {
    const { volumeId } = volume;
    let doneBytes = 0;
    for (const block of writtenSince(volume, base.content.get(volumeId))) {
      const bytes = volume.blocks.get(block);
      if (bytes === undefined) continue;
      network.carry(target, volumeId, block, bytes);
      doneBytes += BLOCK_BYTES;
    }
    mirror.doneBytes.set(volumeId, doneBytes);
  }
  return mirror;
}

/** A host's write at the other end. What does not get there fails the mirror, never the host. */
export function carry(
  mirror: MemoryMirror,
  network: MemoryNetwork,
  volumeId: VolumeId,
  block: number,
  bytes: Uint8Array,
): void {
  if (mirror.failed !== undefined) return;
  try {
    network.carry(mirror.request.target, volumeId, block, bytes);
    const before = mirror.doneBytes.get(volumeId) ?? 0;
    mirror.doneBytes.set(volumeId, before + BLOCK_BYTES);
  } catch (error) {
    if (holds(mirror)) throw new Error('the host waits for the other site', { cause: error });
    mirror.failed = error instanceof Error ? error.message : String(error);
  }
}

/** Whether its hosts wait for the other site as long as it takes. */
export function holds({ request }: MemoryMirror): boolean {
  return request.reconnectSeconds >= HOLD_SECONDS;
}

export function viewMirror({ mirror, plane }: MemoryGroup): MirrorInspection | undefined {
  if (mirror === undefined) return undefined;
  const { mirrorId, target } = mirror.request;
  const died = plane?.instance === mirror.plane ? undefined : 'its data plane died';
  const why = mirror.failed ?? died;
  return {
    mirrorId,
    targetInstance: target.instance,
    to: { host: target.host, port: target.port },
    state: why === undefined ? 'level' : 'failed',
    why,
    volumes: [...mirror.doneBytes].map(([volumeId, doneBytes]) => ({
      volumeId,
      doneBytes,
      totalBytes: doneBytes,
    })),
  };
}

/** Blocks that differ from the point's, at both ends. @throws LinkFailure */
export function compareEnds(
  { present, points }: MemoryGroup,
  { afterPointId }: CompareMirror,
  there: Receiver,
): ComparedMirror {
  const after = points.find(({ sealed }) => sealed.pointId === afterPointId);
  const compared = [...(present?.values() ?? [])].flatMap((volume) => {
    const { volumeId, blocks } = volume;
    return [...writtenSince(volume, after?.content.get(volumeId))].map((block) => {
      const [a, b] = [blocks.get(block), there.read(volumeId, block)].map(
        (bytes) => bytes ?? new Uint8Array(BLOCK_BYTES),
      );
      const isSame = a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
      const range = { volumeId, offset: block * BLOCK_BYTES, lengthBytes: BLOCK_BYTES };
      return { isSame, range };
    });
  });
  return {
    comparedBytes: compared.length * BLOCK_BYTES,
    differing: compared.filter(({ isSame }) => !isSame).map(({ range }) => range),
  };
}

/** The standby as a point. @throws Refusal `point_missing` */
export function standbyPoint(
  group: MemoryGroup,
  mirrorId: MirrorId,
  pointId: PointId,
  sealedAt: number,
): MemoryGroup['points'][number] {
  const { standby, id: groupId } = group;
  if (standby?.request.mirrorId !== mirrorId) {
    return refuse({ code: 'point_missing', groupId, pointId });
  }
  const volumes = [...standby.content.values()].map(specOf);
  return { sealed: { pointId, sealedAt, pauseMs: 0, volumes }, content: standby.content };
}

/** @throws Failure unless it is this mirror, and level */
export function requireLevel(group: MemoryGroup, groupId: GroupId, mirrorId: MirrorId): void {
  const seen = viewMirror(group);
  if (seen?.mirrorId === mirrorId && seen.state === 'level') return;
  throw new Failure(
    `group ${groupId}: mirror ${mirrorId} is not level: ${seen?.why ?? 'it ended'}`,
  );
}

function specOf({ volumeId, name, sizeBytes }: VolumeSpec): VolumeSpec {
  return { volumeId, name, sizeBytes };
}
