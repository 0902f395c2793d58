import type { Socket } from 'node:net';
import type { ByteReader } from './byte-reader.ts';
import { NbdRefused } from './errors.ts';
import {
  FIXED_NEWSTYLE,
  NBD_MAGIC,
  NO_ZEROES,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  encodeNumber,
  encodeOption,
  encodeString,
  info,
  option,
  reply,
  transmission,
} from './protocol.ts';
import type { StatusKind } from './target.ts';
import type { ExportInfo } from './protocol.ts';

const MAX_OPTION_REPLY_BYTES = 64 * 1024;
const MAX_OPTION_REPLIES = 10_000;
const DEFAULT_MAX_PAYLOAD_BYTES = 32 * 1024 * 1024;
const contexts: { readonly [K in StatusKind]: string } = {
  zeroes: 'base:allocation',
  layers: 'qemu:allocation-depth',
};

export interface Session {
  readonly stream: Socket;
  readonly reader: ByteReader;
}

interface OptionReply {
  readonly type: number;
  readonly data: Buffer;
}

interface OptionAnswer {
  readonly replies: readonly OptionReply[];
  /** `reply.ack`, or the error that ended the option. */
  readonly end: number;
  readonly serverSays: string;
}

/** Reads the server's greeting and answers it. */
export async function greet({ stream, reader }: Session, where: string): Promise<void> {
  const greeting = await reader.read(18);
  const flags = greeting.readUInt16BE(16);
  const isNbd = greeting.readBigUInt64BE(0) === NBD_MAGIC;
  if (!isNbd || greeting.readBigUInt64BE(8) !== OPTION_MAGIC || !(flags & FIXED_NEWSTYLE)) {
    throw new NbdRefused('not_nbd', `${where} does not speak NBD's fixed newstyle handshake`);
  }
  stream.write(encodeNumber(FIXED_NEWSTYLE | (flags & NO_ZEROES)));
}

/** Sends one option and reads its replies up to the one that ends it. */
export async function ask(
  { stream, reader }: Session,
  number: number,
  data: Buffer,
): Promise<OptionAnswer> {
  stream.write(encodeOption(number, data));
  const replies: OptionReply[] = [];
  while (replies.length < MAX_OPTION_REPLIES) {
    const head = await reader.read(20);
    const type = head.readUInt32BE(12);
    const lengthBytes = head.readUInt32BE(16);
    const isReply = head.readBigUInt64BE(0) === OPTION_REPLY_MAGIC;
    if (!isReply || head.readUInt32BE(8) !== number || lengthBytes > MAX_OPTION_REPLY_BYTES) {
      throw new NbdRefused('not_nbd', `the server answered option ${number} out of order`);
    }
    const body = await reader.read(lengthBytes);
    if (type === reply.ack) return { replies, end: type, serverSays: '' };
    if (type >= reply.errorBit) return { replies, end: type, serverSays: body.toString('utf8') };
    replies.push({ type, data: body });
  }
  throw new NbdRefused('not_nbd', `the server sent over ${MAX_OPTION_REPLIES} replies`);
}

/** Opens an export. Afterwards the session carries requests. */
export async function openExport(
  session: Session,
  exportName: string,
  status: StatusKind = 'zeroes',
): Promise<ExportInfo> {
  const structured = await ask(session, option.structuredReply, Buffer.alloc(0));
  const name = encodeString(exportName);
  let blockStatusOffered = false;
  if (structured.end === reply.ack) {
    const query = Buffer.concat([name, encodeNumber(1), encodeString(contexts[status])]);
    const answer = await ask(session, option.setMetaContext, query);
    blockStatusOffered = answer.end === reply.ack && answer.replies.length > 0;
  }
  const wanted = Buffer.from([0, 1, 0, info.blockSize]);
  const answer = await ask(session, option.go, Buffer.concat([name, wanted]));
  if (answer.end !== reply.ack) throw refusal(answer, `export '${exportName}'`);
  return decodeInfo(answer.replies, blockStatusOffered);
}

/** Asks for the names of all exports, and takes leave. */
export async function readExportNames(session: Session): Promise<readonly string[]> {
  const answer = await ask(session, option.list, Buffer.alloc(0));
  if (answer.end !== reply.ack) throw refusal(answer, 'the list of exports');
  session.stream.write(encodeOption(option.abort, Buffer.alloc(0)));
  return answer.replies
    .filter(({ type }) => type === reply.server)
    .map(({ data }) => data.toString('utf8', 4, 4 + data.readUInt32BE(0)));
}

function decodeInfo(replies: readonly OptionReply[], blockStatusOffered: boolean): ExportInfo {
  const find = (kind: number, lengthBytes: number): Buffer | undefined =>
    replies.find(
      ({ type, data }) =>
        type === reply.info && data.length >= lengthBytes && data.readUInt16BE(0) === kind,
    )?.data;
  const told = find(info.export, 12);
  const sizes = find(info.blockSize, 14);
  const sizeBytes = Number(told?.readBigUInt64BE(2));
  if (!told || !Number.isSafeInteger(sizeBytes)) {
    throw new NbdRefused('not_nbd', 'the server did not tell a usable size of the export');
  }
  const flags = told.readUInt16BE(10);
  return {
    sizeBytes,
    readOnly: (flags & transmission.readOnly) !== 0,
    canFlush: (flags & transmission.flush) !== 0,
    canFua: (flags & transmission.fua) !== 0,
    blockStatusOffered,
    minimumBlockBytes: sizes?.readUInt32BE(2) ?? 1,
    preferredBlockBytes: sizes?.readUInt32BE(6) ?? 4096,
    maximumPayloadBytes: Math.min(
      sizes?.readUInt32BE(10) ?? DEFAULT_MAX_PAYLOAD_BYTES,
      DEFAULT_MAX_PAYLOAD_BYTES,
    ),
  };
}

function refusal({ end, serverSays }: OptionAnswer, what: string): NbdRefused {
  const detail = serverSays === '' ? '' : `: ${serverSays}`;
  switch (end) {
    case reply.unknownExport:
      return new NbdRefused('no_such_export', `the server has no ${what}${detail}`);
    case reply.tlsRequired:
      return new NbdRefused('tls_required', `the server gives ${what} over TLS only${detail}`);
    default:
      return new NbdRefused('refused', `the server refused ${what}${detail}`);
  }
}
