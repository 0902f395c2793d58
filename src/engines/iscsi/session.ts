/**
 * A session that asks a target what it has and leaves again:
 *
 *   connect ─ security (CHAP, where the target wants it) ─ parameters ─▶ text, commands ─ logout
 *
 * One request at a time. It carries no volume's data: the data plane opens its own.
 */
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { ByteReader } from '../nbd/byte-reader.ts';
import { decodeKeys, encodeKeys, encodePdu, newHeader, opcode, readPdu } from './pdu.ts';
import type { Keys, Pdu } from './pdu.ts';

export interface Portal {
  readonly host: string;
  readonly port: number;
  readonly initiatorName: string;
  readonly chap?: { readonly user: string; readonly secret: string };
  /** For a whole session, in milliseconds; one at another portal has its own. */
  readonly limitMs: number;
}

/** The target does not let this initiator in. */
export class LoginRefused extends Error {
  override readonly name: string = 'LoginRefused';
}

/** The target is to be asked at another portal. */
class Redirected extends LoginRefused {
  override readonly name = 'Redirected';
  readonly to: Pick<Portal, 'host' | 'port'>;

  constructor(to: Pick<Portal, 'host' | 'port'>) {
    super(`the target sends to ${to.host}:${to.port}, and that to another, without end`);
    this.to = to;
  }
}

const SECURITY = 0;
const PARAMETERS = 1;
const FULL_FEATURE = 3;
const TRANSIT = 0x80;
const FINAL = 0x80;
const CONTINUE = 0x40;
/** An answer to a question, and no part of a longer exchange. */
const NO_TAG = 0xffff_ffff;
/** The class of a login's status. */
const REDIRECTION = 0x01;
const CHAP_MD5 = '5';
const MAX_LOGIN_ROUNDS = 10;
const MAX_REDIRECTIONS = 4;
const DEFAULT_PORT = 3260;
const READ_SIMPLE = 0x80 | 0x40 | 0x01;
const STATUS_IN_DATA = 0x01;
const CHECK_CONDITION = 2;
/** A target tells each new session that it was reset, as an error of its first command. */
const MAX_ATTEMPTS = 3;

/**
 * Opens a session, does the work, and logs out. Goes where the target sends it.
 *
 * @param target undefined for one that may only ask which targets there are
 * @throws LoginRefused; Error when nobody answers, or not within the limit
 */
export async function withSession<T>(
  portal: Portal,
  target: string | undefined,
  work: (session: IscsiSession) => Promise<T>,
): Promise<T> {
  let at = portal;
  for (let left = MAX_REDIRECTIONS; ; left -= 1) {
    try {
      return await sessionAt(at, target, work);
    } catch (error) {
      if (!(error instanceof Redirected) || left === 0) throw error;
      at = { ...portal, ...error.to };
    }
  }
}

async function sessionAt<T>(
  portal: Portal,
  target: string | undefined,
  work: (session: IscsiSession) => Promise<T>,
): Promise<T> {
  const { host, port, limitMs } = portal;
  const socket = connect({ host, port });
  const reader = new ByteReader(socket);
  const where = `${host}:${port}`;
  const timer = setTimeout(
    () => socket.destroy(new Error(`${where} did not answer within ${limitMs} ms`)),
    limitMs,
  );
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const session = new IscsiSession(socket, reader);
    await session.logIn(portal, target);
    const result = await work(session);
    session.logOut();
    return result;
  } finally {
    clearTimeout(timer);
    // Once the logout is written; whether the other end ever closes is its own affair.
    socket.destroySoon();
  }
}

export class IscsiSession {
  readonly #socket: Socket;
  readonly #reader: ByteReader;
  /** Random, so that a session of the data plane's under the same name goes on. */
  readonly #id = Buffer.concat([Buffer.of(0x80), randomBytes(5)]);
  #nextTag = 1;
  #nextCommand = 1;
  #nextStatus = 0;

  constructor(socket: Socket, reader: ByteReader) {
    this.#socket = socket;
    this.#reader = reader;
  }

  /** @throws LoginRefused */
  async logIn({ initiatorName, chap }: Portal, target: string | undefined): Promise<void> {
    const names = {
      InitiatorName: initiatorName,
      SessionType: target === undefined ? 'Discovery' : 'Normal',
      ...(target !== undefined && { TargetName: target }),
    };
    await this.#authenticate(names, chap);
    let keys = parameters(target !== undefined);
    for (let round = 0; round < MAX_LOGIN_ROUNDS; round += 1) {
      const { isNext } = await this.#loginRound(TRANSIT | (PARAMETERS << 2) | FULL_FEATURE, keys);
      if (isNext) return;
      keys = {};
    }
    throw new LoginRefused('the login came to no end');
  }

  async #authenticate(names: Keys, chap: Portal['chap']): Promise<void> {
    const [ask, goOn] = [SECURITY << 2, TRANSIT | (SECURITY << 2) | PARAMETERS];
    if (chap === undefined) {
      const { isNext } = await this.#loginRound(goOn, { ...names, AuthMethod: 'None' });
      if (isNext) return;
      throw new LoginRefused('the target wants a CHAP user and secret');
    }
    const { said } = await this.#loginRound(ask, { ...names, AuthMethod: 'CHAP,None' });
    if (said['AuthMethod'] === 'None') return void (await this.#loginRound(goOn, {}));
    const { said: challenge } = await this.#loginRound(ask, { CHAP_A: CHAP_MD5 });
    const { isNext } = await this.#loginRound(goOn, chapAnswer(challenge, chap));
    if (!isNext) throw new LoginRefused('the target is not content with CHAP');
  }

  async #loginRound(
    flags: number,
    keys: Keys,
  ): Promise<{ readonly said: Keys; readonly isNext: boolean }> {
    const data = encodeKeys(keys);
    const header = newHeader(opcode.loginRequest, flags, data.length);
    this.#id.copy(header, 8);
    header.writeUInt32BE(this.#nextTag, 16);
    header.writeUInt32BE(this.#nextCommand, 24);
    header.writeUInt32BE(this.#nextStatus, 28);
    this.#socket.write(encodePdu({ header, data }));
    const answer = await this.#answerOf(opcode.loginResponse);
    const status = answer.header.readUInt16BE(36);
    const said: Keys = Object.fromEntries(decodeKeys(answer.data));
    if (status >> 8 === REDIRECTION) throw redirected(said['TargetAddress']);
    if (status !== 0) throw new LoginRefused(refusedLogin(status));
    return { said, isNext: (answer.header.readUInt8(1) & TRANSIT) !== 0 };
  }

  /** @returns the keys that the target answered */
  async text(keys: Keys): Promise<readonly (readonly [key: string, value: string])[]> {
    const parts: Buffer[] = [];
    let data = encodeKeys(keys);
    let transferTag = NO_TAG;
    for (;;) {
      const header = newHeader(opcode.textRequest, FINAL, data.length);
      header.writeUInt32BE(this.#nextTag++, 16);
      header.writeUInt32BE(transferTag, 20);
      this.#number(header);
      this.#socket.write(encodePdu({ header, data }));
      const answer = await this.#answerOf(opcode.textResponse);
      parts.push(answer.data);
      transferTag = answer.header.readUInt32BE(20);
      const isLast = (answer.header.readUInt8(1) & CONTINUE) === 0 || transferTag === NO_TAG;
      if (isLast) return decodeKeys(Buffer.concat(parts));
      data = Buffer.alloc(0);
    }
  }

  /**
   * A SCSI command that only reads.
   *
   * @param lun eight bytes, as the target names it
   * @returns what came, at most `lengthBytes`; undefined when the target refused
   */
  async command(lun: Buffer, block: Buffer, lengthBytes: number): Promise<Buffer | undefined> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const header = newHeader(opcode.scsiCommand, READ_SIMPLE, 0);
      lun.copy(header, 8);
      header.writeUInt32BE(this.#nextTag++, 16);
      header.writeUInt32BE(lengthBytes, 20);
      this.#number(header);
      block.copy(header, 32);
      this.#socket.write(encodePdu({ header, data: Buffer.alloc(0) }));
      const { status, data } = await this.#result(lengthBytes);
      if (status === 0) return data;
      if (status !== CHECK_CONDITION) return undefined;
    }
    return undefined;
  }

  logOut(): void {
    const header = newHeader(opcode.logoutRequest, FINAL, 0);
    header.writeUInt32BE(this.#nextTag++, 16);
    header.writeUInt32BE(this.#nextCommand, 24);
    header.writeUInt32BE(this.#nextStatus, 28);
    this.#socket.write(encodePdu({ header, data: Buffer.alloc(0) }));
  }

  async #result(lengthBytes: number): Promise<{ readonly status: number; readonly data: Buffer }> {
    const data = Buffer.alloc(lengthBytes);
    let filled = 0;
    for (;;) {
      const { header, data: part } = await this.#answerOf(opcode.dataIn, opcode.scsiResponse);
      if (codeOf(header) === opcode.scsiResponse) {
        const status = header.readUInt8(2) === 0 ? header.readUInt8(3) : -1;
        return { status, data: data.subarray(0, filled) };
      }
      const at = header.readUInt32BE(40);
      part.copy(data, at);
      filled = Math.max(filled, Math.min(at + part.length, lengthBytes));
      if (!tellsStatus(header)) continue;
      return { status: header.readUInt8(3), data: data.subarray(0, filled) };
    }
  }

  /** The next answer of these kinds; a target's own pings and messages need none in so short a time. */
  async #answerOf(...codes: readonly number[]): Promise<Pdu> {
    for (;;) {
      const pdu = await readPdu(this.#reader);
      const code = codeOf(pdu.header);
      if (code === opcode.nopIn || code === opcode.asyncMessage) continue;
      if (!codes.includes(code)) throw new Error(`the target answered with PDU ${code}`);
      if (tellsStatus(pdu.header)) this.#nextStatus = (pdu.header.readUInt32BE(24) + 1) >>> 0;
      return pdu;
    }
  }

  #number(header: Buffer): void {
    header.writeUInt32BE(this.#nextCommand++, 24);
    header.writeUInt32BE(this.#nextStatus, 28);
  }
}

function parameters(isNormal: boolean): Keys {
  const common = {
    HeaderDigest: 'None',
    DataDigest: 'None',
    MaxRecvDataSegmentLength: '65536',
    DefaultTime2Wait: '2',
    DefaultTime2Retain: '0',
    ErrorRecoveryLevel: '0',
  };
  if (!isNormal) return common;
  return {
    ...common,
    InitialR2T: 'Yes',
    ImmediateData: 'No',
    MaxBurstLength: '65536',
    FirstBurstLength: '65536',
    MaxConnections: '1',
    MaxOutstandingR2T: '1',
    DataPDUInOrder: 'Yes',
    DataSequenceInOrder: 'Yes',
  };
}

/** @throws LoginRefused when the target wants what we have not */
function chapAnswer(
  { CHAP_A: algorithm, CHAP_I: id, CHAP_C: challenge }: Keys,
  { user, secret }: NonNullable<Portal['chap']>,
): Keys {
  if (algorithm !== CHAP_MD5 || id === undefined || challenge === undefined) {
    throw new LoginRefused('the target wants a login that is not CHAP with MD5');
  }
  const hash = createHash('md5')
    .update(Buffer.of(Number(id)))
    .update(secret);
  return { CHAP_N: user, CHAP_R: `0x${hash.update(binary(challenge)).digest('hex')}` };
}

function codeOf(header: Buffer): number {
  return header.readUInt8(0) & 0x3f;
}

/** Of data on its way only the last part carries the command's status. */
function tellsStatus(header: Buffer): boolean {
  return codeOf(header) !== opcode.dataIn || (header.readUInt8(1) & STATUS_IN_DATA) !== 0;
}

/** RFC 7143, 6.1: `0x` and hexadecimal digits, or `0b` and base64. */
function binary(text: string): Buffer {
  const isHex = /^0x/i.test(text);
  return Buffer.from(text.slice(2), isHex ? 'hex' : 'base64');
}

/** RFC 7143, 13.8: `host[:port][,portal group]`, an IPv6 address in brackets. */
function redirected(address = ''): LoginRefused {
  const found = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:,]+))(?::(?<port>\d+))?(?:,\d+)?$/.exec(address);
  const { six, host = six, port = `${DEFAULT_PORT}` } = found?.groups ?? {};
  if (host !== undefined) return new Redirected({ host, port: Number(port) });
  return new LoginRefused(`the target sends to another address, and that is '${address}'`);
}

/** RFC 7143, 11.13.5 */
function refusedLogin(status: number): string {
  switch (status) {
    case 0x0201:
      return 'the target refused the login: it wants a CHAP user and secret, or others';
    case 0x0202:
      return 'the target refused the login: this initiator may not use it';
    case 0x0203:
      return 'there is no such target';
    default:
      return `the target refused the login, status 0x${status.toString(16).padStart(4, '0')}`;
  }
}
