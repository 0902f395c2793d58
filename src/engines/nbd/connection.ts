import type { Socket } from 'node:net';
import type { ByteReader } from './byte-reader.ts';
import { NbdConnectionLost } from './errors.ts';
import { openSession } from './open-session.ts';
import { openExport, readExportNames } from './option-haggling.ts';
import type { Session } from './option-haggling.ts';
import { SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC, encodeRequest, flag } from './protocol.ts';
import type { ExportInfo, Extent, Request } from './protocol.ts';
import { PendingAnswer } from './pending-answer.ts';
import { describeAddress } from './target.ts';
import type { NbdServer, NbdTarget, StatusKind } from './target.ts';

const MAX_IN_FLIGHT = 64;
const MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024;
const MAX_WAITING = 4096;
const LEAVE_TIME_LIMIT_MS = 1_000;

/**
 * Opens an export.
 *
 * @throws NbdRefused no session was made: `unreachable`, `client_refused`, `no_such_export`, …
 */
export async function connectNbd(target: NbdTarget): Promise<NbdConnection> {
  const { session, result } = await openSession(target, (s) =>
    openExport(s, target.exportName, target.status),
  );
  return new NbdConnection(session, result, target);
}

/** @throws NbdRefused as `connectNbd` */
export async function listExports(server: NbdServer): Promise<readonly string[]> {
  const { session, result } = await openSession(server, readExportNames);
  session.stream.destroy();
  return result;
}

/**
 * An open export. Requests may be issued without waiting for one another: up to `maxInFlight` are
 * on the wire, up to 4096 more wait here, and one beyond that is rejected. Two requests that touch
 * the same bytes have no order unless the first is answered before the second is issued.
 *
 * Each request rejects with NbdError (the server said no; the connection goes on) or
 * NbdConnectionLost (whether it was carried out is unknown). Offsets and lengths are bytes.
 */
export class NbdConnection {
  readonly info: ExportInfo;
  /** Settles when the connection is gone, for whatever reason. */
  readonly ended: Promise<void>;
  readonly #where: string;
  readonly #status: StatusKind;
  readonly #stream: Socket;
  readonly #reader: ByteReader;
  readonly #maxInFlight: number;
  readonly #inFlight = new Map<number, PendingAnswer>();
  readonly #waiting: PendingAnswer[] = [];
  #inFlightBytes = 0;
  #nextCookie = 0;
  #lost: NbdConnectionLost | undefined;

  constructor({ stream, reader }: Session, info: ExportInfo, target: NbdTarget) {
    this.info = info;
    this.#stream = stream;
    this.#reader = reader;
    this.#maxInFlight = target.maxInFlight ?? MAX_IN_FLIGHT;
    this.#where = `'${target.exportName}' at ${describeAddress(target.address)}`;
    this.#status = target.status ?? 'zeroes';
    const { stallTimeoutMs } = target;
    if (stallTimeoutMs !== undefined) {
      stream.setTimeout(stallTimeoutMs, () => {
        if (this.#inFlight.size > 0) this.#lose(new Error(`no answer for ${stallTimeoutMs} ms`));
      });
    }
    this.ended = this.#readReplies();
  }

  /**
   * @param oneChunk of an area that may not be readable: QEMU's server closes the connection when it
   *   fails in the middle of an answer in several
   */
  read(offset: number, lengthBytes: number, { oneChunk = false } = {}): Promise<Buffer> {
    const flags = oneChunk ? flag.oneChunk : 0;
    return this.#send({ command: 'read', flags, offset, lengthBytes }).then(({ data }) => data);
  }

  /** `data` must stay as it is until the promise settles. `fua`: durable when answered. */
  write(offset: number, data: Buffer, { fua = false } = {}): Promise<void> {
    const flags = fua ? flag.fua : 0;
    return this.#send({ command: 'write', flags, offset, lengthBytes: data.length }, data).then(
      done,
    );
  }

  /** Everything acknowledged before this was issued is durable when it is answered. */
  flush(): Promise<void> {
    return this.#send({ command: 'flush', flags: 0, offset: 0, lengthBytes: 0 }).then(done);
  }

  /** What the bytes read as afterwards is not defined. */
  trim(offset: number, lengthBytes: number): Promise<void> {
    return this.#send({ command: 'trim', flags: 0, offset, lengthBytes }).then(done);
  }

  /** `allocate`: keep the space instead of making a hole. */
  writeZeroes(offset: number, lengthBytes: number, { allocate = false } = {}): Promise<void> {
    const flags = allocate ? flag.noHole : 0;
    return this.#send({ command: 'writeZeroes', flags, offset, lengthBytes }).then(done);
  }

  /** @returns at least one extent from `offset` on; they may end before the asked range does */
  blockStatus(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    const status = this.#status;
    return this.#send({ command: 'blockStatus', flags: 0, offset, lengthBytes, status }).then(
      ({ extents }) => extents,
    );
  }

  /** Waits for the requests in flight, then takes leave. Safe to repeat. */
  async disconnect(): Promise<void> {
    const open = [...this.#inFlight.values(), ...this.#waiting];
    await Promise.allSettled(open.map(({ answer }) => answer));
    if (!this.#lost) {
      const leave: Request = { command: 'disconnect', flags: 0, offset: 0, lengthBytes: 0 };
      this.#stream.end(encodeRequest(this.#cookie(), leave));
    }
    const timer = setTimeout(() => this.destroy(), LEAVE_TIME_LIMIT_MS);
    await this.ended;
    clearTimeout(timer);
  }

  /** Cuts the connection now; requests in flight reject with NbdConnectionLost. */
  destroy(): void {
    this.#lose(new Error('we cut the connection'));
  }

  #send(request: Request, payload?: Buffer): Promise<PendingAnswer> {
    const wrong = this.#lost ?? this.#misuse(request);
    if (wrong) return Promise.reject(wrong);
    const pending = new PendingAnswer(request, payload);
    this.#waiting.push(pending);
    this.#pump();
    return pending.answer;
  }

  #misuse({ command, offset, lengthBytes }: Request): Error | undefined {
    const { sizeBytes, maximumPayloadBytes } = this.info;
    if (this.#waiting.length >= MAX_WAITING) return new Error(`over ${MAX_WAITING} requests wait`);
    const withPayload = command === 'read' || command === 'write';
    const tooLong = lengthBytes > (withPayload ? maximumPayloadBytes : 0xffff_ffff);
    if (offset >= 0 && offset + lengthBytes <= sizeBytes && !tooLong) return undefined;
    return new RangeError(`${command} of ${lengthBytes} bytes at ${offset}: export ${this.#where}`);
  }

  #pump(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const bytes = this.#inFlightBytes + next.payloadBytes;
      const full = this.#inFlight.size >= this.#maxInFlight || bytes > MAX_IN_FLIGHT_BYTES;
      if (full && this.#inFlight.size > 0) return;
      this.#waiting.shift();
      const cookie = this.#cookie();
      this.#inFlight.set(cookie, next);
      this.#inFlightBytes = bytes;
      this.#stream.cork();
      this.#stream.write(encodeRequest(cookie, next.request));
      if (next.payload) this.#stream.write(next.payload);
      this.#stream.uncork();
    }
  }

  #cookie(): number {
    this.#nextCookie = (this.#nextCookie + 1) >>> 0;
    return this.#nextCookie;
  }

  async #readReplies(): Promise<void> {
    try {
      for (;;) await this.#readReply();
    } catch (reason) {
      this.#lose(reason);
    }
  }

  async #readReply(): Promise<void> {
    const head = await this.#reader.read(16);
    const magic = head.readUInt32BE(0);
    const cookie = head.readUInt32BE(12);
    const pending = this.#inFlight.get(cookie);
    if (!pending || head.readUInt32BE(8) !== 0) throw new Error(`answer to no request: ${cookie}`);
    if (magic === SIMPLE_REPLY_MAGIC) await pending.takeSimple(this.#reader, head.readUInt32BE(4));
    else if (magic === STRUCTURED_REPLY_MAGIC) await pending.takeChunk(this.#reader, head);
    else throw new Error(`answer with an unknown magic ${magic.toString(16)}`);
    if (!pending.complete) return;
    this.#inFlight.delete(cookie);
    this.#inFlightBytes -= pending.payloadBytes;
    pending.settle();
    this.#pump();
  }

  #lose(cause: unknown): void {
    if (this.#lost) return;
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#lost = new NbdConnectionLost(`connection to ${this.#where} lost: ${why}`, { cause });
    const open = [...this.#inFlight.values(), ...this.#waiting];
    this.#inFlight.clear();
    this.#waiting.length = 0;
    this.#stream.on('error', () => undefined);
    this.#stream.destroy();
    this.#reader.fail(this.#lost);
    for (const pending of open) pending.lose(this.#lost);
  }
}

function done(): void {}
