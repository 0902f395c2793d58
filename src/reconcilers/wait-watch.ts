import type { GroupId, VolumeId } from '../domain/ids.ts';
import type { MirroredVolume } from '../ports/mirroring.ts';

interface Progress {
  readonly doneBytes: number;
  readonly sinceMs: number;
}

/** Tells for how long the longest waiting write of a group has not got on. */
export class WaitWatch {
  readonly #groups = new Map<GroupId, Map<VolumeId, Progress>>();

  /** @returns milliseconds; 0 while everything gets on or nothing is to be done */
  longest(groupId: GroupId, volumes: readonly MirroredVolume[], nowMs: number): number {
    const before = this.#groups.get(groupId);
    const now = new Map<VolumeId, Progress>();
    for (const { volumeId, doneBytes, totalBytes } of volumes) {
      if (doneBytes >= totalBytes) continue;
      const known = before?.get(volumeId);
      const isStill = known?.doneBytes === doneBytes;
      now.set(volumeId, { doneBytes, sinceMs: isStill ? known.sinceMs : nowMs });
    }
    this.#groups.set(groupId, now);
    return Math.max(0, ...[...now.values()].map(({ sinceMs }) => nowMs - sinceMs));
  }

  /** What has waited was helped: it is counted from now on. */
  forget(groupId: GroupId): void {
    this.#groups.delete(groupId);
  }
}
