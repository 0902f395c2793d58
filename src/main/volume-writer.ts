import type { NbdConnection } from '../engines/nbd/connection.ts';
import { NbdConnectionLost, NbdError } from '../engines/nbd/errors.ts';
import { BLOCK_BYTES, encodeBlock } from './numbered-block.ts';
import type { WriteLog } from './write-log.ts';
import type { WritePace } from './write-pace.ts';

const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 500;
const MAX_TRIES_FOR_A_BLOCK = 1_000;

interface VolumeWriterOptions {
  readonly volume: number;
  readonly label: string;
  readonly run: number;
  readonly log: WriteLog;
  readonly pace: WritePace;
  readonly blocks: number;
  readonly connect: () => Promise<NbdConnection>;
  readonly seed: number;
  readonly queueDepth: number;
  readonly flushEvery: number;
}

/** Writes one volume: `queueDepth` loops over one connection at a time. */
export class VolumeWriter {
  readonly label: string;
  serverErrors = 0;
  /** Why there is no connection now; undefined while there is one. */
  waitsBecause: string | undefined = 'not opened yet';
  readonly #options: VolumeWriterOptions;
  readonly #random: () => number;
  /** Blocks with a write in flight or in doubt. */
  readonly #taken = new Set<number>();
  #connection: NbdConnection | undefined;
  #connecting: Promise<void> | undefined;
  #loops: Promise<unknown> = Promise.resolve();
  #flush: Promise<void> = Promise.resolve();
  #sinceFlush = 0;

  constructor(options: VolumeWriterOptions) {
    this.label = options.label;
    this.#options = options;
    this.#random = randomNumbers(options.seed);
  }

  /** @throws what `connect` throws */
  async open(): Promise<void> {
    this.#use(await this.#options.connect());
  }

  start(): void {
    const loops = Array.from({ length: this.#options.queueDepth }, () => this.#writeOn());
    this.#loops = Promise.all(loops);
    this.#loops.catch((reason: unknown) => {
      this.waitsBecause = `stopped: ${String(reason)}`;
    });
  }

  /** To be called when the pace is over. */
  async stop(limitMs: number): Promise<void> {
    const timer = setTimeout(() => this.#connection?.destroy(), limitMs);
    try {
      await this.#loops;
      await this.#flush;
      const { flushEvery } = this.#options;
      if (this.#connection && flushEvery > 0) await this.#flushNow(this.#connection);
      await this.#connection?.disconnect();
    } finally {
      clearTimeout(timer);
      this.#connection?.destroy();
    }
  }

  async #writeOn(): Promise<void> {
    const { pace, log, volume, run } = this.#options;
    while (!pace.stopped) {
      await pace.turn();
      const connection = await this.#connected();
      if (!connection || pace.stopped) return;
      const block = this.#freeBlock();
      const sequence = log.issue(volume, block);
      const content = encodeBlock({ run, label: this.label, block, sequence });
      try {
        await connection.write(block * BLOCK_BYTES, content);
      } catch (reason) {
        log.doubt(sequence);
        await this.#failed(connection, reason);
        continue;
      }
      log.acknowledge(sequence, { flushable: this.#connection === connection });
      this.#taken.delete(block);
      this.#flushWhenDue(connection);
    }
  }

  #flushWhenDue(connection: NbdConnection): void {
    const { flushEvery } = this.#options;
    this.#sinceFlush += 1;
    if (flushEvery === 0 || this.#sinceFlush < flushEvery) return;
    this.#sinceFlush = 0;
    this.#flush = this.#flush.then(() => this.#flushNow(connection));
  }

  async #flushNow(connection: NbdConnection): Promise<void> {
    if (this.#connection !== connection) return;
    const covers = this.#options.log.beginFlush(this.#options.volume);
    try {
      await connection.flush();
      covers();
    } catch (reason) {
      await this.#failed(connection, reason);
    }
  }

  async #failed(connection: NbdConnection, reason: unknown): Promise<void> {
    if (reason instanceof NbdConnectionLost) {
      this.#lose(connection, reason.message);
    } else if (reason instanceof NbdError) {
      this.serverErrors += 1;
      if (reason.code === 'ESHUTDOWN') this.#lose(connection, reason.message);
      else await this.#options.pace.pause(FIRST_RETRY_MS);
    } else {
      throw reason;
    }
  }

  #use(connection: NbdConnection): void {
    this.#connection = connection;
    this.waitsBecause = undefined;
    void connection.ended.then(() => this.#lose(connection, 'the connection ended'));
  }

  #lose(connection: NbdConnection, reason: string): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.waitsBecause = reason;
    this.#options.log.forgetUnflushed(this.#options.volume);
    connection.destroy();
  }

  async #connected(): Promise<NbdConnection | undefined> {
    while (!this.#connection && !this.#options.pace.stopped) {
      this.#connecting ??= this.#connectAgain();
      await this.#connecting;
    }
    return this.#connection;
  }

  async #connectAgain(): Promise<void> {
    const { pace, connect } = this.#options;
    let retryMs = FIRST_RETRY_MS;
    while (!this.#connection && !pace.stopped) {
      try {
        this.#use(await connect());
      } catch (reason) {
        this.waitsBecause = reason instanceof Error ? reason.message : String(reason);
        await pace.pause(retryMs);
        retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
      }
    }
    this.#connecting = undefined;
  }

  #freeBlock(): number {
    for (let tries = 0; tries < MAX_TRIES_FOR_A_BLOCK; tries += 1) {
      const block = this.#random() % this.#options.blocks;
      if (this.#taken.has(block)) continue;
      this.#taken.add(block);
      return block;
    }
    throw new Error(`${this.label}: nearly every block has a write in flight or in doubt`);
  }
}

/** Mulberry32: the same whole numbers below 2^32 for the same seed. */
function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
