/** iSCSI on the wire, as far as asking a target what it has needs it. See RFC 7143, section 11. */
import type { ByteReader } from '../nbd/byte-reader.ts';

export const opcode = {
  scsiCommand: 0x01,
  loginRequest: 0x43,
  textRequest: 0x04,
  logoutRequest: 0x46,
  nopIn: 0x20,
  scsiResponse: 0x21,
  loginResponse: 0x23,
  textResponse: 0x24,
  dataIn: 0x25,
  asyncMessage: 0x32,
} as const;

export const HEADER_BYTES = 48;
const MAX_SEGMENT_BYTES = 1024 * 1024;

export interface Pdu {
  readonly header: Buffer;
  readonly data: Buffer;
}

/** A header with its opcode, its flags and the length of its data. */
export function newHeader(code: number, flags: number, dataBytes: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(code, 0);
  header.writeUInt8(flags, 1);
  header.writeUIntBE(dataBytes, 5, 3);
  return header;
}

/** Data is padded to whole words. */
export function encodePdu({ header, data }: Pdu): Buffer {
  return Buffer.concat([header, data, Buffer.alloc(paddingOf(data.length))]);
}

/** @throws Error when the connection ends, or what comes is no iSCSI */
export async function readPdu(reader: ByteReader): Promise<Pdu> {
  const header = await reader.read(HEADER_BYTES);
  const additionalBytes = header.readUInt8(4) * 4;
  const lengthBytes = header.readUIntBE(5, 3);
  if (lengthBytes > MAX_SEGMENT_BYTES) throw new Error('what answers there does not speak iSCSI');
  if (additionalBytes > 0) await reader.read(additionalBytes);
  const data = lengthBytes === 0 ? Buffer.alloc(0) : await reader.read(lengthBytes);
  if (paddingOf(lengthBytes) > 0) await reader.read(paddingOf(lengthBytes));
  return { header, data };
}

export type Keys = Readonly<Record<string, string>>;

export function encodeKeys(keys: Keys): Buffer {
  return Buffer.from(
    Object.entries(keys)
      .map(([key, value]) => `${key}=${value}\0`)
      .join(''),
  );
}

/** In their order, since `TargetName` comes once for each target. */
export function decodeKeys(data: Buffer): readonly (readonly [key: string, value: string])[] {
  return data
    .toString('utf8')
    .split('\0')
    .filter((text) => text.includes('='))
    .map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] as const);
}

function paddingOf(lengthBytes: number): number {
  return (4 - (lengthBytes % 4)) % 4;
}
