import type { ByteReader } from './byte-reader.ts';
import { NbdError } from './errors.ts';
import { chunk, decodeExtents } from './protocol.ts';
import type { Extent, Request } from './protocol.ts';

/** QEMU sends up to 1 MiB of extents; an error's message is shorter. */
const MAX_CHUNK_BESIDE_DATA_BYTES = 2 * 1024 * 1024;

/** A request on its way, gathering its answer from one simple reply or several chunks. */
export class PendingAnswer {
  readonly request: Request;
  readonly payload: Buffer | undefined;
  readonly answer: Promise<PendingAnswer>;
  /** What was read; filled when the answer is complete. */
  data: Buffer = Buffer.alloc(0);
  extents: readonly Extent[] = [];
  complete = false;
  #receivedBytes = 0;
  #error: Error | undefined;
  readonly #resolve: (self: PendingAnswer) => void;
  readonly #reject: (reason: Error) => void;

  constructor(request: Request, payload: Buffer | undefined) {
    this.request = request;
    this.payload = payload;
    const { promise, resolve, reject } = Promise.withResolvers<PendingAnswer>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get payloadBytes(): number {
    const { command, lengthBytes } = this.request;
    return command === 'read' || command === 'write' ? lengthBytes : 0;
  }

  async takeSimple(reader: ByteReader, errno: number): Promise<void> {
    this.complete = true;
    if (errno !== 0) this.#fail(errno, '');
    else if (this.request.command === 'read') this.data = await reader.read(this.payloadBytes);
  }

  /** @throws Error the server broke the protocol: the connection can not go on */
  async takeChunk(reader: ByteReader, head: Buffer): Promise<void> {
    const lengthBytes = (await reader.read(4)).readUInt32BE(0);
    const isDone = (head.readUInt16BE(4) & chunk.done) !== 0;
    const type = head.readUInt16BE(6);
    const { command } = this.request;
    if (lengthBytes > this.payloadBytes + MAX_CHUNK_BESIDE_DATA_BYTES) {
      throw new Error(`${command} answered with a chunk of ${lengthBytes} bytes`);
    }
    const body = await reader.read(lengthBytes);
    if (type === chunk.data && command === 'read') this.#place(body);
    else if (type === chunk.hole && command === 'read') this.#placeHole(body);
    else if (type === chunk.blockStatus) this.extents = decodeExtents(body, this.request);
    else if (type & chunk.errorBit) this.#takeError(body);
    else if (type !== chunk.none) throw new Error(`${command} answered with chunk type ${type}`);
    if (isDone) this.#finish();
  }

  settle(): void {
    if (this.#error) this.#reject(this.#error);
    else this.#resolve(this);
  }

  lose(reason: Error): void {
    this.#reject(reason);
  }

  #place(body: Buffer): void {
    const content = body.subarray(8);
    const at = this.#positionOf(body, content.length);
    // The common case: one chunk holds it all, and needs no copy.
    if (content.length === this.payloadBytes) this.data = content;
    else content.copy(this.#gathered(), at);
  }

  #placeHole(body: Buffer): void {
    const lengthBytes = body.readUInt32BE(8);
    const at = this.#positionOf(body, lengthBytes);
    this.#gathered().fill(0, at, at + lengthBytes);
  }

  #positionOf(body: Buffer, lengthBytes: number): number {
    const at = Number(body.readBigUInt64BE(0)) - this.request.offset;
    this.#receivedBytes += lengthBytes;
    if (at < 0 || at + lengthBytes > this.payloadBytes) {
      throw new Error('read answered with bytes outside of the asked range');
    }
    return at;
  }

  #gathered(): Buffer {
    if (this.data.length === 0) this.data = Buffer.alloc(this.payloadBytes);
    return this.data;
  }

  #takeError(body: Buffer): void {
    const saysBytes = body.readUInt16BE(4);
    this.#fail(body.readUInt32BE(0), body.toString('utf8', 6, 6 + saysBytes));
  }

  #fail(errno: number, serverSays: string): void {
    const { command, offset, lengthBytes } = this.request;
    const what = `${command} of ${lengthBytes} bytes at ${offset}`;
    this.#error ??= new NbdError(errno, what, serverSays);
  }

  #finish(): void {
    this.complete = true;
    const { command } = this.request;
    if (this.#error) return;
    if (command === 'read' && this.#receivedBytes !== this.payloadBytes) {
      throw new Error(`read got ${this.#receivedBytes} of ${this.payloadBytes} bytes`);
    }
    if (command === 'blockStatus' && this.extents.length === 0) {
      throw new Error('block status answered without an extent');
    }
  }
}
