import { request } from 'node:https';
import type { Agent } from 'node:https';
import type { Duplex } from 'node:stream';

/** Answers of sites are small; more than this is not one. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

export interface Post {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly body: unknown;
  readonly timeoutMs: number;
  /** Ends the wait before that, with its reason. */
  readonly signal?: AbortSignal;
  readonly agent?: Agent;
  readonly connection?: Duplex;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * Sends JSON and reads JSON. The time limit covers everything from the connection to the last byte.
 *
 * @throws Error when no whole answer came in time
 */
export async function postJson(post: Post): Promise<Answer> {
  const { status, text } = await exchange(post);
  try {
    const body: unknown = JSON.parse(text);
    return { status, body };
  } catch (error) {
    throw new Error('the answer is not JSON', { cause: error });
  }
}

interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

function exchange(post: Post): Promise<RawAnswer> {
  const { host, port, path, body, timeoutMs, agent, connection } = post;
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const timeLimit = AbortSignal.timeout(timeoutMs);
    const signal = post.signal ? AbortSignal.any([timeLimit, post.signal]) : timeLimit;
    const outgoing = request({
      host,
      port,
      path,
      method: 'POST',
      signal,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      ...(agent && { agent }),
      ...(connection && { createConnection: () => connection }),
    });
    const failed = (error: Error): void => {
      if (post.signal?.aborted) reject(post.signal.reason as Error);
      else if (!timeLimit.aborted) reject(error);
      else reject(new Error(`no answer within ${timeoutMs} ms`, { cause: error }));
    };
    outgoing.on('error', failed);
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      let length = 0;
      incoming.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > MAX_ANSWER_BYTES) incoming.destroy(new Error('the answer is too long'));
      });
      incoming.on('error', failed);
      incoming.on('end', () => {
        resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
    });
    outgoing.end(text);
  });
}
