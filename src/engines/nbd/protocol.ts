/**
 * The words of the NBD protocol that we speak, and their coding.
 *
 *   client                              server
 *          ◀─ NBDMAGIC IHAVEOPT flags ─
 *     ── flags ─▶
 *     ── option ─▶  ◀─ reply* ─           handshake: STARTTLS, STRUCTURED_REPLY,
 *     ── GO ─▶      ◀─ INFO* ACK ─                   SET_META_CONTEXT, GO
 *     ── request ─▶ ◀─ chunk* ─           transmission: any number in flight
 *     ── DISC ─▶
 *
 * @see https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
 */
import type { StatusKind } from './target.ts';

export const NBD_MAGIC = 0x4e42444d41474943n;
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;

export const FIXED_NEWSTYLE = 1;
export const NO_ZEROES = 2;

export const option = {
  abort: 2,
  list: 3,
  startTls: 5,
  go: 7,
  structuredReply: 8,
  setMetaContext: 10,
} as const;

export const reply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errorBit: 0x8000_0000,
  policy: 0x8000_0002,
  tlsRequired: 0x8000_0005,
  unknownExport: 0x8000_0006,
} as const;

export const info = { export: 0, blockSize: 3 } as const;

export const transmission = { readOnly: 1 << 1, flush: 1 << 2, fua: 1 << 3 } as const;

export const command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export type Command = keyof typeof command;

export const flag = { fua: 1, noHole: 2, oneChunk: 4 } as const;

export const chunk = {
  done: 1,
  none: 0,
  data: 1,
  hole: 2,
  blockStatus: 5,
  errorBit: 0x8000,
} as const;

/** Bits of the base:allocation context. */
export const allocation = { hole: 1, zero: 2 } as const;

/** What an export can do, as its server told when it was opened. Sizes are bytes. */
export interface ExportInfo {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly canFlush: boolean;
  readonly canFua: boolean;
  readonly blockStatusOffered: boolean;
  /** Every offset and length is a multiple of this. */
  readonly minimumBlockBytes: number;
  readonly preferredBlockBytes: number;
  /** No read or write is longer. */
  readonly maximumPayloadBytes: number;
}

/**
 * A run of bytes with one allocation status. `zero`: it reads as zeroes; where a connection asks for
 * `layers`, the export's own file has nothing there.
 */
export interface Extent {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly hole: boolean;
  readonly zero: boolean;
}

export interface Request {
  /** Of a block status. */
  readonly status?: StatusKind;
  readonly command: Command;
  readonly flags: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

export const REQUEST_BYTES = 28;

/** @param cookie a whole number below 2^32 that no other request in flight carries */
export function encodeRequest(cookie: number, request: Request): Buffer {
  const bytes = Buffer.allocUnsafe(REQUEST_BYTES);
  bytes.writeUInt32BE(REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(request.flags, 4);
  bytes.writeUInt16BE(command[request.command], 6);
  bytes.writeUInt32BE(0, 8);
  bytes.writeUInt32BE(cookie, 12);
  bytes.writeBigUInt64BE(BigInt(request.offset), 16);
  bytes.writeUInt32BE(request.lengthBytes, 24);
  return bytes;
}

export function encodeOption(number: number, data: Buffer): Buffer {
  const head = Buffer.allocUnsafe(16);
  head.writeBigUInt64BE(OPTION_MAGIC, 0);
  head.writeUInt32BE(number, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

/** A string as the options carry it: its length in 32 bits, then its bytes. */
export function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([encodeNumber(bytes.length), bytes]);
}

export function encodeNumber(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

/** @returns the extents of a BLOCK_STATUS chunk, without its context id, within the asked range */
export function decodeExtents(payload: Buffer, request: Request): readonly Extent[] {
  const end = request.offset + request.lengthBytes;
  const extents: Extent[] = [];
  let offset = request.offset;
  for (let at = 4; at + 8 <= payload.length && offset < end; at += 8) {
    const lengthBytes = Math.min(payload.readUInt32BE(at), end - offset);
    const bits = payload.readUInt32BE(at + 4);
    // In `layers` it is the number of the file that has it, from 1; 0: none.
    const isAbsent = request.status === 'layers' && bits === 0;
    const ofZeroes = request.status === 'layers' ? 0 : bits;
    const hole = isAbsent || (ofZeroes & allocation.hole) !== 0;
    const zero = isAbsent || (ofZeroes & allocation.zero) !== 0;
    extents.push({ offset, lengthBytes, hole, zero });
    offset += lengthBytes;
  }
  return extents;
}
