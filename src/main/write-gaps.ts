import type { WriteLog } from './write-log.ts';

/** A time without an acknowledged write. Instants are monotonic, as `performance.now()` tells them. */
export interface Gap {
  readonly durationMs: number;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface GapQuestion {
  /** Index of one volume; all together unless told: then one volume that goes on hides the rest. */
  readonly volume?: number;
  /** Only gaps that touch the time from here; the writer's start unless told. */
  readonly sinceMs?: number;
  /** … to here; the end unless told. */
  readonly untilMs?: number;
}

/**
 * Finds the longest time between two acknowledged writes: the outage as a host felt it. A gap that
 * began before `sinceMs` or ended after `untilMs` counts whole; one that no acknowledgement has
 * ended counts up to now, or to the writer's stop.
 */
export function longestGap(
  log: WriteLog,
  { volume, sinceMs = log.startedAtMs, untilMs = Infinity }: GapQuestion = {},
): Gap {
  const indexes = volume === undefined ? log.volumes() : [volume];
  const instants = indexes.flatMap((index) => log.acknowledgedAtMs(index));
  if (indexes.length > 1) instants.sort((a, b) => a - b);
  instants.push(log.endsAtMs());
  let longest: Gap = { durationMs: 0, fromMs: sinceMs, toMs: sinceMs };
  let fromMs = log.startedAtMs;
  for (const toMs of instants) {
    const touches = toMs >= sinceMs && fromMs <= untilMs;
    if (touches && toMs - fromMs > longest.durationMs) {
      longest = { durationMs: toMs - fromMs, fromMs, toMs };
    }
    fromMs = toMs;
  }
  return longest;
}
