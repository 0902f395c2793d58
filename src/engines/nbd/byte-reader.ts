import type { Duplex } from 'node:stream';

/** The stream is paused when it holds this much more than is asked for. */
const READ_AHEAD_BYTES = 1024 * 1024;

interface Waiting {
  readonly lengthBytes: number;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (reason: Error) => void;
}

/**
 * Reads counted bytes from a stream, and holds the stream back while nobody asks. One read at a
 * time. When the stream ends, the read that waits is rejected, and every later one.
 */
export class ByteReader {
  readonly #stream: Duplex;
  readonly #chunks: Buffer[] = [];
  #heldBytes = 0;
  #waiting: Waiting | undefined;
  #failure: Error | undefined;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', this.#onData);
    stream.on('error', this.#onError);
    stream.on('end', this.#onEnd);
    stream.on('close', this.#onEnd);
  }

  /** Rejects the read that waits and all later ones; the first reason stays. */
  fail(reason: Error): void {
    this.#failure ??= reason;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#failure);
  }

  /** @throws the stream's error, or an error saying that it was closed */
  read(lengthBytes: number): Promise<Buffer> {
    if (this.#heldBytes >= lengthBytes) return Promise.resolve(this.#take(lengthBytes));
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { lengthBytes, resolve, reject };
      this.#stream.resume();
    });
  }

  /** Lets go of the stream, so that TLS may take it over. Nothing may be held by then. */
  release(): void {
    this.#stream.off('data', this.#onData);
    this.#stream.off('error', this.#onError);
    this.#stream.off('end', this.#onEnd);
    this.#stream.off('close', this.#onEnd);
    this.#stream.pause();
    if (this.#heldBytes > 0) throw new Error(`${this.#heldBytes} bytes came before TLS began`);
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#chunks.push(bytes);
    this.#heldBytes += bytes.length;
    const waiting = this.#waiting;
    if (waiting && this.#heldBytes >= waiting.lengthBytes) {
      this.#waiting = undefined;
      waiting.resolve(this.#take(waiting.lengthBytes));
    }
    const wantedBytes = this.#waiting?.lengthBytes ?? 0;
    if (this.#heldBytes > wantedBytes + READ_AHEAD_BYTES) this.#stream.pause();
  };

  readonly #onError = (reason: Error): void => this.fail(reason);

  readonly #onEnd = (): void => this.fail(new Error('the server closed the connection'));

  #take(lengthBytes: number): Buffer {
    this.#heldBytes -= lengthBytes;
    const first = this.#chunks[0];
    if (first && first.length > lengthBytes) {
      this.#chunks[0] = first.subarray(lengthBytes);
      return first.subarray(0, lengthBytes);
    }
    if (first?.length === lengthBytes) {
      this.#chunks.shift();
      return first;
    }
    return this.#takeSeveral(lengthBytes);
  }

  #takeSeveral(lengthBytes: number): Buffer {
    const bytes = Buffer.allocUnsafe(lengthBytes);
    let filled = 0;
    let used = 0;
    for (const piece of this.#chunks) {
      if (filled === lengthBytes) break;
      const copied = piece.copy(bytes, filled);
      filled += copied;
      if (copied < piece.length) this.#chunks[used] = piece.subarray(copied);
      else used += 1;
    }
    this.#chunks.splice(0, used);
    return bytes;
  }
}
