/**
 * What a numbered writer knows of its writes. Issues and acknowledgements are counted by one clock
 * of ticks, so that "X was acknowledged before Y was issued" can be asked of any two writes.
 */
export interface LoggedWrite {
  readonly sequence: number;
  /** Index of the volume among the writer's. */
  readonly volume: number;
  readonly block: number;
  readonly issuedTick: number;
  /** Infinity while, or for ever when, no acknowledgement came. */
  readonly acknowledgedTick: number;
}

/** What is known of the newest writes to one block; 0 where there is none. */
export interface BlockRecord {
  readonly lastAcknowledged: number;
  /** Acknowledged, and then covered by a flush over the same connection. */
  readonly lastFlushed: number;
  /** Issued, and not acknowledged when their connection was lost or the server said no. */
  readonly inDoubt: readonly number[];
}

export interface WriteCounts {
  readonly issued: number;
  readonly acknowledged: number;
  readonly flushed: number;
  readonly inDoubt: number;
}

interface MutableRecord {
  lastAcknowledged: number;
  lastFlushed: number;
  inDoubt: number[];
}

interface VolumeLog {
  readonly blocks: Map<number, MutableRecord>;
  /** Acknowledged over the present connection and not yet covered by a flush. */
  unflushed: LoggedWrite[];
  /** When each acknowledgement came, monotonic milliseconds. */
  readonly acknowledgedAtMs: number[];
  /** The same on the clock of ticks. */
  readonly acknowledgedTicks: number[];
}

/** A point on the clock of ticks: taken before and after an instant, it brackets the instant. */
export type Mark = number & { readonly __mark: true };

/** Some 500 MB of memory; more than an hour at 1,000 writes a second. */
const MAX_WRITES = 4_000_000;

type MutableWrite = { -readonly [K in keyof LoggedWrite]: LoggedWrite[K] };

/** Grows by one entry per write; a writer ends when it is full. */
export class WriteLog {
  readonly startedAtMs = performance.now();
  #closedAtMs: number | undefined;
  readonly #volumes: readonly VolumeLog[];
  readonly #writes: MutableWrite[] = [];
  #tick = 0;
  #acknowledged = 0;
  #flushed = 0;
  #inDoubt = 0;

  constructor(volumes: number) {
    this.#volumes = Array.from({ length: volumes }, () => ({
      blocks: new Map<number, MutableRecord>(),
      unflushed: [],
      acknowledgedAtMs: [],
      acknowledgedTicks: [],
    }));
  }

  /** @returns the write's sequence number: 1 and up, over all volumes */
  issue(volume: number, block: number): number {
    if (this.#writes.length >= MAX_WRITES) throw new Error(`log full: ${MAX_WRITES} writes`);
    const sequence = this.#writes.length + 1;
    const issuedTick = this.#next();
    this.#writes.push({ sequence, volume, block, issuedTick, acknowledgedTick: Infinity });
    this.#recordOf(volume, block);
    return sequence;
  }

  /** `flushable`: its connection still stands, so the next flush over it covers this write. */
  acknowledge(sequence: number, { flushable }: { readonly flushable: boolean }): void {
    const write = this.#write(sequence);
    write.acknowledgedTick = this.#next();
    this.#acknowledged += 1;
    this.#recordOf(write.volume, write.block).lastAcknowledged = sequence;
    const volume = this.#volume(write.volume);
    volume.acknowledgedAtMs.push(performance.now());
    volume.acknowledgedTicks.push(write.acknowledgedTick);
    if (flushable) volume.unflushed.push(write);
  }

  doubt(sequence: number): void {
    const { volume, block } = this.#write(sequence);
    this.#inDoubt += 1;
    this.#recordOf(volume, block).inDoubt.push(sequence);
  }

  /** @returns to be called when the flush is answered: what was acknowledged before is durable */
  beginFlush(volume: number): () => void {
    const log = this.#volume(volume);
    const covered = log.unflushed;
    log.unflushed = [];
    return () => {
      this.#flushed += covered.length;
      for (const { block, sequence } of covered) {
        const record = this.#recordOf(volume, block);
        record.lastFlushed = Math.max(record.lastFlushed, sequence);
      }
    };
  }

  /** The server may have died with its cache: no later flush speaks for what it acknowledged. */
  forgetUnflushed(volume: number): void {
    this.#volume(volume).unflushed = [];
  }

  /** No write is expected any more: the time from here on is no gap. */
  close(): void {
    this.#closedAtMs ??= performance.now();
  }

  /** When the log was closed, or now. */
  endsAtMs(): number {
    return this.#closedAtMs ?? performance.now();
  }

  mark(): Mark {
    return this.#next() as Mark;
  }

  /** What was acknowledged before an instant, monotonic milliseconds, is what comes before this mark. */
  markAt(atMs: number): Mark {
    let mark = this.#tick + 1;
    for (const { acknowledgedAtMs, acknowledgedTicks } of this.#volumes) {
      const later = acknowledgedAtMs.findIndex((when) => when >= atMs);
      mark = Math.min(mark, acknowledgedTicks[later] ?? mark);
    }
    return mark as Mark;
  }

  counts(): WriteCounts {
    return {
      issued: this.#writes.length,
      acknowledged: this.#acknowledged,
      flushed: this.#flushed,
      inDoubt: this.#inDoubt,
    };
  }

  /** The index of each volume. */
  volumes(): readonly number[] {
    return [...this.#volumes.keys()];
  }

  writes(): readonly LoggedWrite[] {
    return this.#writes;
  }

  /** Every block of the volume that a write was ever issued to. */
  blocks(volume: number): ReadonlyMap<number, BlockRecord> {
    return this.#volume(volume).blocks;
  }

  acknowledgedAtMs(volume: number): readonly number[] {
    return this.#volume(volume).acknowledgedAtMs;
  }

  #next(): number {
    this.#tick += 1;
    return this.#tick;
  }

  #write(sequence: number): MutableWrite {
    const write = this.#writes[sequence - 1];
    if (!write) throw new Error(`no write ${sequence} was issued`);
    return write;
  }

  #volume(index: number): VolumeLog {
    const volume = this.#volumes[index];
    if (!volume) throw new Error(`no volume ${index} among ${this.#volumes.length}`);
    return volume;
  }

  #recordOf(volume: number, block: number): MutableRecord {
    const { blocks } = this.#volume(volume);
    const known = blocks.get(block) ?? { lastAcknowledged: 0, lastFlushed: 0, inDoubt: [] };
    blocks.set(block, known);
    return known;
  }
}
