/** The ports of one control process: whatever it waits for, it may be gone before that comes. */
import type { GroupId, MirrorId, PointId, VolumeId } from '../../src/domain/ids.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Engine } from '../../src/ports/engine.ts';
import type { Store } from '../../src/ports/store.ts';
import { Turns } from '../../src/store/sqlite/turns.ts';
import type { Random } from './random.ts';
import type { Life, Scheduler } from './scheduler.ts';

export interface ProcessOptions {
  readonly life: Life;
  readonly scheduler: Scheduler;
  readonly random: Random;
}

/** A transaction takes a moment, in which the process may die; then nothing was written. */
export function storeOf(store: Store, { life, scheduler, random }: ProcessOptions): Store {
  const turns = new Turns();
  return {
    ...store,
    transaction: (work) =>
      turns.take(async () => {
        await scheduler.after(random.between(0, 2), life);
        return store.transaction(work);
      }),
    read: (work) => turns.take(() => (life.isOver ? never() : store.read(work))),
    onCommit: (listener) => store.onCommit(() => void (life.isOver || listener())),
    close: () => Promise.resolve(),
  };
}

/** Told at the very instant when the data plane has done it. */
export interface EngineWatch {
  readonly onCall: (name: string) => void;
  readonly onSeal: (groupId: GroupId, pointId: PointId) => void;
  /** A look at the group's mirror begins; what it returns is told which mirror was seen. */
  readonly onLook: (groupId: GroupId) => (seen: MirrorId) => void;
  /** A standby has become this point. */
  readonly onKeep: (groupId: GroupId, pointId: PointId) => void;
  readonly onMove: (volumeId: VolumeId, from: GroupId, to: GroupId) => void;
}

/** Calls for one group wait for each other, in the order in which they were made. */
export function engineOf(
  engine: Engine,
  { life, scheduler, random }: ProcessOptions,
  watch: EngineWatch,
): Engine {
  const groups = new Map<GroupId, Turns>();
  const turnsOf = (groupId: GroupId): Turns => {
    const turns = groups.get(groupId) ?? new Turns();
    groups.set(groupId, turns);
    return turns;
  };
  const some = (): Promise<void> => scheduler.after(random.wait(6, 400, 0.03), life);
  /** Before it is carried out and before its answer is heard there is time to die. */
  const carryOut = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    await some();
    const result = await work();
    watch.onCall(name);
    if (random.chance(0.5)) await some();
    return result;
  };
  const locked = <T>(groupId: GroupId, name: string, work: () => Promise<T>): Promise<T> =>
    turnsOf(groupId).take(() => carryOut(name, work));

  return {
    createVolume: (id, volume) => locked(id, 'createVolume', () => engine.createVolume(id, volume)),
    deleteVolume: (id, volumeId) =>
      locked(id, 'deleteVolume', () => engine.deleteVolume(id, volumeId)),
    resizeVolume: (id, volumeId, sizeBytes) =>
      locked(id, 'resizeVolume', () => engine.resizeVolume(id, volumeId, sizeBytes)),
    moveVolume: (volumeId, from, to) =>
      locked(from, 'moveVolume', () =>
        turnsOf(to).take(async () => {
          await engine.moveVolume(volumeId, from, to);
          watch.onMove(volumeId, from, to);
        }),
      ),
    deleteGroup: (id) => locked(id, 'deleteGroup', () => engine.deleteGroup(id)),
    serve: (id, access) => locked(id, 'serve', () => engine.serve(id, access)),
    fence: (id) => locked(id, 'fence', () => engine.fence(id)),
    bytesAbove: (id, pointId) => engine.bytesAbove(id, pointId),
    sealPoint: (id, pointId, limit) =>
      locked(id, 'sealPoint', async () => {
        const sealed = await engine.sealPoint(id, pointId, limit);
        watch.onSeal(id, pointId);
        return sealed;
      }),
    sendPoint: async (request, { onProgress, signal }) => {
      signal.throwIfAborted();
      await turnsOf(request.groupId).take(some);
      const sent = await engine.sendPoint(request, {
        onProgress: onlyAlive(life, onProgress),
        signal,
      });
      await some();
      return sent;
    },
    sendDifference: async (request, { onProgress, signal }) => {
      signal.throwIfAborted();
      await turnsOf(request.groupId).take(some);
      const sent = await engine.sendDifference(request, {
        onProgress: onlyAlive(life, onProgress),
        signal,
      });
      await some();
      return sent;
    },
    prepareSeal: (id) => locked(id, 'prepareSeal', () => engine.prepareSeal(id)),
    prepareSend: (request) =>
      locked(request.groupId, 'prepareSend', () => engine.prepareSend(request)),
    cancelSend: (id) => locked(id, 'cancelSend', () => engine.cancelSend(id)),
    receivePoint: (request) =>
      locked(request.groupId, 'receivePoint', () => engine.receivePoint(request)),
    completePoint: (id, pointId, place) =>
      locked(id, 'completePoint', () => engine.completePoint(id, pointId, place)),
    abandonPoint: (id) => locked(id, 'abandonPoint', () => engine.abandonPoint(id)),
    limitSend: (id, limit) => carryOut('limitSend', () => engine.limitSend(id, limit)),
    limitLink: (peerId, limit) => carryOut('limitLink', () => engine.limitLink(peerId, limit)),
    promote: (id, pointId, volumeIds) =>
      locked(id, 'promote', () => engine.promote(id, pointId, volumeIds)),
    openStandby: (request) =>
      locked(request.groupId, 'openStandby', () => engine.openStandby(request)),
    dropStandby: (id) => locked(id, 'dropStandby', () => engine.dropStandby(id)),
    keepStandby: (id, mirrorId, pointId) =>
      locked(id, 'keepStandby', async () => {
        await engine.keepStandby(id, mirrorId, pointId);
        watch.onKeep(id, pointId);
      }),
    startMirror: (request) =>
      locked(request.groupId, 'startMirror', () => engine.startMirror(request)),
    inspectMirror: async (id) => {
      const onSeen = watch.onLook(id);
      const seen = await carryOut('inspectMirror', () => engine.inspectMirror(id));
      if (seen !== undefined) onSeen(seen.mirrorId);
      return seen;
    },
    compareMirror: async (request, { onProgress, signal }) => {
      await some();
      const compared = await engine.compareMirror(request, {
        onProgress: onlyAlive(life, onProgress),
        signal,
      });
      await some();
      return compared;
    },
    finishMirror: (id, mirrorId) =>
      locked(id, 'finishMirror', () => engine.finishMirror(id, mirrorId)),
    stopMirror: (id) => locked(id, 'stopMirror', () => engine.stopMirror(id)),
    demote: (id, pointId, forkId) => locked(id, 'demote', () => engine.demote(id, pointId, forkId)),
    discardFork: (id, forkId) => locked(id, 'discardFork', () => engine.discardFork(id, forkId)),
    openCopy: (request) => locked(request.groupId, 'openCopy', () => engine.openCopy(request)),
    closeCopy: (id, copyId) => locked(id, 'closeCopy', () => engine.closeCopy(id, copyId)),
    discardCopy: (id, copyId) => locked(id, 'discardCopy', () => engine.discardCopy(id, copyId)),
    keepCopy: (id, copyId, forkId) =>
      locked(id, 'keepCopy', () => engine.keepCopy(id, copyId, forkId)),
    adoptFork: (request) => locked(request.groupId, 'adoptFork', () => engine.adoptFork(request)),
    digestRanges: (request) => carryOut('digestRanges', () => engine.digestRanges(request)),
    forgetPoints: (id, pointIds, limit) =>
      locked(id, 'forgetPoints', () => engine.forgetPoints(id, pointIds, limit)),
    hashPoint: (id, pointId) => carryOut('hashPoint', () => engine.hashPoint(id, pointId)),
    inspect: (id) => carryOut('inspect', () => engine.inspect(id)),
    points: (id) => engine.points(id),
    groups: () => engine.groups(),
    space: () => engine.space(),
    stop: (id) => locked(id, 'stop', () => engine.stop(id)),
    close: () => engine.close(),
  };
}

/** A site's time: the wall clock may be wrong and jump; what is slept may be longer than asked. */
export function clockOf(
  { life, scheduler, random }: ProcessOptions,
  wall: { readonly aheadMs: number },
): Clock {
  return {
    now: () => START + Math.floor(scheduler.nowMs) + wall.aheadMs,
    monotonicMs: () => scheduler.nowMs,
    sleep: (ms, signal) => scheduler.after(ms * random.between(1, 6), life, signal),
  };
}

const START = Date.UTC(2026, 0, 1);

function onlyAlive<Args extends readonly unknown[]>(
  life: Life,
  call: (...args: Args) => void,
): (...args: Args) => void {
  return (...args) => {
    if (!life.isOver) call(...args);
  };
}

function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
