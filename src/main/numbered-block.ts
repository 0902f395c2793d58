import { crc32 } from 'node:zlib';

/**
 * A block that tells by itself which write it came from.
 *
 *   0 magic (8) │ 8 run (4) │ 12 CRC-32 of all the rest (4) │ 16 block index (8) │ 24 sequence (8)
 *   32 label length (1), label (up to 63) │ 96 noise that follows from sequence and block, to 4096
 */
export const BLOCK_BYTES = 4096;

const MAGIC = Buffer.from('BATONNUM', 'latin1');
const RUN_AT = 8;
const CHECKSUM_AT = 12;
const BLOCK_AT = 16;
const SEQUENCE_AT = 24;
const LABEL_AT = 32;
const NOISE_AT = 96;
const MAX_LABEL_BYTES = NOISE_AT - LABEL_AT - 1;

export interface NumberedBlock {
  /** Tells one run of a writer from another on the same volume; 32 bits. */
  readonly run: number;
  readonly label: string;
  /** Its place on the volume, in blocks of 4 KiB. */
  readonly block: number;
  readonly sequence: number;
}

export type DecodedBlock = NumberedBlock | 'zeroes' | 'torn';

export function encodeBlock({ run, label, block, sequence }: NumberedBlock): Buffer {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  const name = Buffer.from(label, 'utf8');
  if (name.length > MAX_LABEL_BYTES) throw new RangeError(`label '${label}' is too long`);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(run >>> 0, RUN_AT);
  bytes.writeBigUInt64LE(BigInt(block), BLOCK_AT);
  bytes.writeBigUInt64LE(BigInt(sequence), SEQUENCE_AT);
  bytes.writeUInt8(name.length, LABEL_AT);
  name.copy(bytes, LABEL_AT + 1);
  fillWithNoise(bytes, (Math.imul(sequence, 0x9e3779b1) + block) | 1);
  bytes.writeUInt32LE(checksum(bytes), CHECKSUM_AT);
  return bytes;
}

/** @returns 'torn' for anything that is neither a whole numbered block nor all zeroes */
export function decodeBlock(bytes: Buffer): DecodedBlock {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    return bytes.equals(zeroes) ? 'zeroes' : 'torn';
  }
  if (bytes.readUInt32LE(CHECKSUM_AT) !== checksum(bytes)) return 'torn';
  const labelBytes = bytes.readUInt8(LABEL_AT);
  return {
    run: bytes.readUInt32LE(RUN_AT),
    label: bytes.toString('utf8', LABEL_AT + 1, LABEL_AT + 1 + labelBytes),
    block: Number(bytes.readBigUInt64LE(BLOCK_AT)),
    sequence: Number(bytes.readBigUInt64LE(SEQUENCE_AT)),
  };
}

const zeroes = Buffer.alloc(BLOCK_BYTES);

function checksum(bytes: Buffer): number {
  return crc32(bytes.subarray(BLOCK_AT), crc32(bytes.subarray(0, CHECKSUM_AT)));
}

/** Xorshift: two neighbouring sectors of two writes never look alike. */
function fillWithNoise(bytes: Buffer, seed: number): void {
  let state = seed | 0;
  for (let at = NOISE_AT; at < BLOCK_BYTES; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
}
