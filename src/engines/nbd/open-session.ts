import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls } from 'node:tls';
import { ByteReader } from './byte-reader.ts';
import { NbdRefused } from './errors.ts';
import { ask, greet } from './option-haggling.ts';
import type { Session } from './option-haggling.ts';
import { option, reply } from './protocol.ts';
import { describeAddress } from './target.ts';
import type { NbdServer, NbdTls } from './target.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connects, greets, begins TLS where told, and haggles; all within the server's time limit.
 * The stream is destroyed when anything fails.
 *
 * @throws NbdRefused what was wrong, in a sentence
 */
export async function openSession<T>(
  server: NbdServer,
  haggle: (session: Session) => Promise<T>,
): Promise<{ readonly session: Session; readonly result: T }> {
  const where = describeAddress(server.address);
  const limitMs = server.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const raw = connect(
    'host' in server.address ? server.address : { path: server.address.socketPath },
  );
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    raw.destroy(new Error(`no answer within ${limitMs} ms`));
  }, limitMs);
  try {
    await connected(raw, where);
    const plain: Session = { stream: raw, reader: new ByteReader(raw) };
    await greet(plain, where);
    const session = server.tls ? await beginTls(plain, server.tls, where) : plain;
    const result = await firstAnswer(haggle(session), server.tls !== undefined, where);
    return { session, result };
  } catch (reason) {
    raw.on('error', () => undefined);
    raw.destroy();
    if (timedOut) {
      throw new NbdRefused('timed_out', `${where} did not answer within ${limitMs} ms`);
    }
    if (reason instanceof NbdRefused) throw reason;
    throw new NbdRefused('not_nbd', `${where}: ${messageOf(reason)} during the NBD handshake`, {
      cause: reason,
    });
  } finally {
    clearTimeout(timer);
  }
}

function connected(socket: Socket, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void => {
      const message = `cannot connect to ${where}: ${cause.message}`;
      reject(new NbdRefused('unreachable', message, { cause }));
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, 10_000);
      resolve();
    });
  });
}

async function beginTls(plain: Session, tls: NbdTls, where: string): Promise<Session> {
  const { end } = await ask(plain, option.startTls, Buffer.alloc(0));
  if (end !== reply.ack) {
    throw new NbdRefused('tls_not_offered', `${where} does not offer TLS`);
  }
  plain.reader.release();
  const stream = await secured(plain.stream, tls, where);
  return { stream, reader: new ByteReader(stream) };
}

function secured(socket: Socket, tls: NbdTls, where: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const stream = connectTls({
      socket,
      minVersion: 'TLSv1.2',
      ca: tls.trusted,
      ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
      ...(tls.privateKey === undefined ? {} : { key: tls.privateKey }),
      // An IP address may not be sent as a server name, but its certificate is checked all the same.
      servername: isIP(tls.serverName) ? '' : tls.serverName,
      checkServerIdentity: (_, certificate) => checkServerIdentity(tls.serverName, certificate),
    });
    const failed = (cause: Error): void => {
      stream.on('error', () => undefined);
      const untrusted = stream.authorizationError as unknown;
      reject(
        untrusted
          ? new NbdRefused(
              'server_not_trusted',
              `the certificate of ${where} was not accepted as '${tls.serverName}': ${cause.message}`,
              { cause },
            )
          : clientRefused(where, cause),
      );
    };
    const closed = (): void => failed(new Error('the server closed the connection'));
    stream.once('error', failed);
    stream.once('close', closed);
    stream.once('secureConnect', () => {
      stream.off('error', failed);
      stream.off('close', closed);
      resolve(stream);
    });
  });
}

/**
 * A server that does not accept our certificate says so after our side of TLS 1.3 is done: the
 * first option finds the connection closed.
 */
async function firstAnswer<T>(answer: Promise<T>, secure: boolean, where: string): Promise<T> {
  try {
    return await answer;
  } catch (reason) {
    if (secure && !(reason instanceof NbdRefused)) throw clientRefused(where, reason);
    throw reason;
  }
}

function clientRefused(where: string, cause: unknown): NbdRefused {
  const message = `${where} did not accept our certificate: ${messageOf(cause)}`;
  return new NbdRefused('client_refused', message, { cause });
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
