import { createHash, subtle } from 'node:crypto';
import type { NbdConnection } from './connection.ts';
import { unitsOf } from './allocation.ts';
import type { Unit } from './allocation.ts';

export const HASH_BLOCK_BYTES = 4 * 1024 * 1024;
const PARALLEL_READS = 8;

export interface HashProgress {
  readonly hashedBytes: number;
  readonly sizeBytes: number;
}

export interface HashOptions {
  /** Called after each block, in order. */
  readonly onProgress?: (progress: HashProgress) => void;
  /** Blocks read at once, 4 MiB each; 8 unless told. */
  readonly parallelReads?: number;
}

export interface VolumeHash {
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The rest was known to be zeroes from block status. */
  readonly readBytes: number;
}

/**
 * Hashes an export's whole content: the SHA-256 over the concatenated SHA-256 (32 bytes each) of
 * every 4 MiB block, in order, the last block as short as the export ends. Equal content gives
 * equal hashes however zeroes are stored; blocks that the server knows to be zeroes are not read.
 * The content must not change meanwhile.
 *
 * @throws NbdError, NbdConnectionLost
 */
export async function hashVolume(
  connection: NbdConnection,
  { onProgress, parallelReads = PARALLEL_READS }: HashOptions = {},
): Promise<VolumeHash> {
  const { sizeBytes } = connection.info;
  const root = createHash('sha256');
  const zeroes = new ZeroDigests();
  const window: { readonly block: Unit; readonly digest: Promise<Uint8Array> }[] = [];
  let readBytes = 0;

  const takeOldest = async (): Promise<void> => {
    const oldest = window.shift();
    if (!oldest) return;
    root.update(await oldest.digest);
    const { offset, lengthBytes, zero } = oldest.block;
    if (!zero) readBytes += lengthBytes;
    onProgress?.({ hashedBytes: offset + lengthBytes, sizeBytes });
  };

  try {
    for await (const block of unitsOf(connection, { unitBytes: HASH_BLOCK_BYTES })) {
      const digest = block.zero ? zeroes.of(block.lengthBytes) : digestOf(connection, block);
      window.push({ block, digest });
      // Its rejection is met when its turn comes, which may be later than when it happens.
      digest.catch(() => undefined);
      if (window.length >= parallelReads) await takeOldest();
    }
    while (window.length > 0) await takeOldest();
  } finally {
    await Promise.allSettled(window.map(({ digest }) => digest));
  }
  return { sha256: root.digest('hex'), sizeBytes, readBytes };
}

async function digestOf(connection: NbdConnection, block: Unit): Promise<Uint8Array> {
  return sha256(await connection.read(block.offset, block.lengthBytes));
}

/** Web Crypto's digest runs beside the main thread, several at once. */
async function sha256(bytes: Buffer): Promise<Uint8Array> {
  return new Uint8Array(await subtle.digest('SHA-256', bytes as Buffer<ArrayBuffer>));
}

/** The digest of a block of zeroes, computed once per length. */
class ZeroDigests {
  readonly #known = new Map<number, Promise<Uint8Array>>();

  of(lengthBytes: number): Promise<Uint8Array> {
    const known = this.#known.get(lengthBytes) ?? sha256(Buffer.alloc(lengthBytes));
    this.#known.set(lengthBytes, known);
    return known;
  }
}
