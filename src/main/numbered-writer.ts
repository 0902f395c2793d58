import type { NbdConnection } from '../engines/nbd/connection.ts';
import { BLOCK_BYTES } from './numbered-block.ts';
import { readImage, verifyCut, verifyWrites } from './verify-writes.ts';
import type {
  BlockReader,
  Cut,
  CutBounds,
  Promised,
  Verification,
  VolumeImage,
} from './verify-writes.ts';
import { VolumeWriter } from './volume-writer.ts';
import { longestGap } from './write-gaps.ts';
import type { Gap, GapQuestion } from './write-gaps.ts';
import { WriteLog } from './write-log.ts';
import type { Mark, WriteCounts } from './write-log.ts';
import { WritePace } from './write-pace.ts';

export interface WrittenVolume {
  /** Unique among the writer's volumes; at most 63 bytes. */
  readonly label: string;
  /** Only the first so many bytes are written: whole blocks of 4 KiB. */
  readonly sizeBytes: number;
}

export interface NumberedWriterOptions {
  readonly volumes: readonly WrittenVolume[];
  /**
   * Opens a volume wherever it is held now. Called again, after a pause, whenever a connection was
   * lost or this rejected; so the writer follows a volume to another site. The connection must
   * bring its own time limits.
   */
  readonly connect: (label: string) => Promise<NbdConnection>;
  /** Which blocks are written, in which order. */
  readonly seed: number;
  /** Writes in flight per volume; 8 unless told. */
  readonly queueDepth?: number;
  /** Over all volumes; as fast as they are answered unless told. */
  readonly writesPerSecond?: number;
  /** A flush after so many acknowledged writes of a volume; 100 unless told, 0 for none. */
  readonly flushEvery?: number;
}

/** Where to read a volume from for a check. */
export type ReaderOf = (label: string) => BlockReader | Promise<BlockReader>;

const STOP_LIMIT_MS = 10_000;

/**
 * Starts to write numbered blocks of 4 KiB at random places of the volumes, and to remember what was
 * acknowledged. No block has two writes in flight; one with a write in doubt is left alone for good,
 * since the old server may still carry that write out.
 *
 * @throws what `connect` throws when a volume cannot be opened at the start
 */
export async function startNumberedWriter(options: NumberedWriterOptions): Promise<NumberedWriter> {
  const run = Math.floor(Math.random() * 0x1_0000_0000);
  const log = new WriteLog(options.volumes.length);
  const pace = new WritePace(options.writesPerSecond);
  const lanes = options.volumes.map(
    ({ label, sizeBytes }, volume) =>
      new VolumeWriter({
        volume,
        label,
        run,
        log,
        pace,
        blocks: Math.floor(sizeBytes / BLOCK_BYTES),
        connect: () => options.connect(label),
        seed: options.seed + volume * 7919,
        queueDepth: options.queueDepth ?? 8,
        flushEvery: options.flushEvery ?? 100,
      }),
  );
  const opened = await Promise.allSettled(lanes.map((lane) => lane.open()));
  const failed = opened.find((result) => result.status === 'rejected');
  if (failed) {
    await Promise.all(lanes.map((lane) => lane.stop(STOP_LIMIT_MS)));
    throw failed.reason;
  }
  for (const lane of lanes) lane.start();
  return new NumberedWriter(log, lanes, run, pace);
}

/** A running writer and, once stopped, its memory. */
export class NumberedWriter {
  readonly log: WriteLog;
  readonly #lanes: readonly VolumeWriter[];
  readonly #labels: readonly string[];
  readonly #run: number;
  readonly #pace: WritePace;

  constructor(log: WriteLog, lanes: readonly VolumeWriter[], run: number, pace: WritePace) {
    this.log = log;
    this.#lanes = lanes;
    this.#labels = lanes.map(({ label }) => label);
    this.#run = run;
    this.#pace = pace;
  }

  counts(): WriteCounts {
    return this.log.counts();
  }

  /** Volumes that have no connection now, with the newest reason. */
  disconnected(): readonly { readonly label: string; readonly reason: string }[] {
    return this.#lanes.flatMap(({ label, waitsBecause }) =>
      waitsBecause === undefined ? [] : [{ label, reason: waitsBecause }],
    );
  }

  /** Writes and flushes that a server answered with an error. */
  serverErrors(): number {
    return this.#lanes.reduce((sum, { serverErrors }) => sum + serverErrors, 0);
  }

  /** Taken before and after an instant, two marks bracket it for `verifyCut`. */
  mark(): Mark {
    return this.log.mark();
  }

  /** The mark behind all that was acknowledged before an instant, milliseconds since 1970. */
  markAt(instantMs: number): Mark {
    return this.log.markAt(instantMs - performance.timeOrigin);
  }

  longestGap(question: GapQuestion = {}): Gap {
    return longestGap(this.log, question);
  }

  /** The longest time without an acknowledged write that touches the span between two instants. */
  outageBetween(sinceMs: number, untilMs: number): Gap {
    return longestGap(this.log, { sinceMs, untilMs });
  }

  /**
   * Issues no more writes, waits for those in flight, flushes, and disconnects. What is not answered
   * within the limit is in doubt. Safe to repeat.
   */
  async stop({ limitMs = STOP_LIMIT_MS } = {}): Promise<WriteCounts> {
    this.#pace.stop();
    await Promise.all(this.#lanes.map((lane) => lane.stop(limitMs)));
    this.log.close();
    return this.counts();
  }

  /** Reads every block ever written. The writer must have been stopped; readers are left open. */
  async verify(readerOf: ReaderOf, promised: Promised): Promise<Verification> {
    return verifyWrites(this.log, this.#labels, await this.#images(readerOf), promised);
  }

  /** Checks a point's images; the writer may go on meanwhile. */
  async verifyCut(readerOf: ReaderOf, bounds: CutBounds = {}): Promise<Cut> {
    return verifyCut(this.log, await this.#images(readerOf), bounds);
  }

  #images(readerOf: ReaderOf): Promise<readonly VolumeImage[]> {
    return Promise.all(
      this.#labels.map(async (label, volume) =>
        readImage(this.log, volume, { run: this.#run, label }, await readerOf(label)),
      ),
    );
  }
}
