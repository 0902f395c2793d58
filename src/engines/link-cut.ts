import { execFile } from 'node:child_process';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { promisify } from 'node:util';
import { Failure } from '../domain/refusal.ts';
import type { LinkCut, LinkCutProbe, ListenerCut } from '../ports/link-cut.ts';

const run = promisify(execFile);
const SS_LIMIT_MS = 5_000;
/** A connection closes at once; the list may lag behind for some milliseconds. */
const GONE_LIMIT_MS = 1_000;
const LOOK_AGAIN_MS = 5;

interface Connection {
  readonly state: string;
  readonly local: string;
  readonly remote: string;
}

/**
 * Cuts with `ss -K`, which closes a socket in the kernel: also one whose other end is silent, and
 * under TLS. Needs CAP_NET_ADMIN and a kernel with INET_DIAG_DESTROY.
 */
export const linkCut: LinkCut & ListenerCut = { probe, cutConnections, closeListener };

async function cutConnections(host: string, port: number): Promise<number> {
  const outgoing = ['dst', host, 'dport', '=', `${port}`];
  const incoming = ['src', host, 'sport', '=', `${port}`];
  const [to, from] = await Promise.all([cut(outgoing), cut(incoming)]);
  return to + from;
}

async function closeListener(host: string, port: number): Promise<void> {
  // The kernel goes through its listeners first: who is not in by then stays out. Without the right
  // to close sockets the door stays open, and somebody may come in at the last moment.
  const filter = ['exclude', 'time-wait', 'src', host, 'sport', '=', `${port}`];
  const isConnected = ({ state }: Connection): boolean => state !== 'LISTEN';
  await cut(filter, { list: '-Htna', counts: isConnected });
}

interface CutOptions {
  /** Options of `ss` that choose which sockets it looks at. */
  readonly list?: string;
  /** Whether a socket must be gone afterwards; all of them, unless told. */
  readonly counts?: (connection: Connection) => boolean;
}

/** @throws Failure when a connection that should be gone is still there */
async function cut(
  filter: readonly string[],
  { list = '-Htn', counts }: CutOptions = {},
): Promise<number> {
  const closed = await connections([`${list}K`, ...filter]);
  const before = counts ? closed.filter(counts) : closed;
  if (before.length === 0) return 0;
  const giveUpAt = performance.now() + GONE_LIMIT_MS;
  for (;;) {
    // Its exit code says nothing, so look: a new connection has other ports than the one it follows.
    const now = await connections([list, ...filter]);
    const left = before.filter((one) =>
      now.some((o) => o.local === one.local && o.remote === one.remote),
    );
    if (left.length === 0) return before.length;
    if (performance.now() > giveUpAt) {
      throw new Failure(
        `wanted ${before.length} connections cut (${filter.join(' ')}), ${left.length} are left`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

/** Columns of `ss -Htn`: state, two queues, local address, remote address. */
async function connections(args: readonly string[]): Promise<readonly Connection[]> {
  try {
    const { stdout } = await run('ss', [...args], { timeout: SS_LIMIT_MS });
    return stdout.split('\n').flatMap((line) => {
      const [state = '', , , local, remote] = line.trim().split(/\s+/);
      return local !== undefined && remote !== undefined ? [{ state, local, remote }] : [];
    });
  } catch (cause) {
    throw new Failure(`ss ${args.join(' ')} did not run: ${String(cause)}`, { cause });
  }
}

async function probe(): Promise<LinkCutProbe> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
  try {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const client = await connected(port);
    sockets.push(client);
    const closed = new Promise<boolean>((resolve) => client.once('close', () => resolve(true)));
    const count = await cutConnections('127.0.0.1', port);
    const ended = await Promise.race([closed, after(GONE_LIMIT_MS)]);
    if (ended) return { possible: true, why: `a connection of its own was cut (${count} ends)` };
    return { possible: false, why: 'ss -K left a connection of its own open' };
  } catch (cause) {
    return { possible: false, why: cause instanceof Error ? cause.message : String(cause) };
  } finally {
    for (const socket of sockets) socket.destroy();
    await close(server);
  }
}

function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}

function after(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms));
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
