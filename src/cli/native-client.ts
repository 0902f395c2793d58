import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:https';

/** A site's native API, as a program of ours reaches it. */
export interface NativeSite {
  /** `https://127.0.0.1:8443/api/v1` */
  readonly url: string;
  /** The authority that the site's certificate must come from; absent: the machine's own. */
  readonly authorityPem?: string;
  readonly token?: string;
}

export interface NativeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the API's root: `/volumes/data1` */
  readonly path: string;
  readonly body?: unknown;
  /** From the connection to the last byte; 30 s unless told. */
  readonly timeoutMs?: number;
  /** Gives the wait up. */
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 30_000;

/** The site answered, and the answer was no. */
export class ProblemAnswer extends Error {
  override readonly name = 'ProblemAnswer';
  readonly status: number;
  /** The machine's reason, where the problem carried one. */
  readonly reason: { readonly code: string } | undefined;
  /** All that the site said. */
  readonly problem: Readonly<Record<string, unknown>>;

  constructor(status: number, problem: Record<string, unknown>) {
    const { detail, title, reason } = problem;
    const said = [detail, title].find((text) => typeof text === 'string');
    super(said ?? `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
    this.reason = reason as { readonly code: string } | undefined;
  }
}

/** No answer came; what the site did is not known. */
export class SiteUnreachable extends Error {
  override readonly name = 'SiteUnreachable';
}

/**
 * Asks a site.
 *
 * @returns the answer's JSON, undefined when it had none
 * @throws ProblemAnswer, SiteUnreachable
 */
export async function askSite<Answer>(site: NativeSite, asked: NativeRequest): Promise<Answer> {
  const { status, text } = await exchange(site, asked);
  const body: unknown = text === '' ? undefined : parse(text, site.url);
  if (status >= 400) throw new ProblemAnswer(status, (body ?? {}) as Record<string, unknown>);
  return body as Answer;
}

/** @returns the site with a token that it gave for the name and password */
export async function signInTo(
  site: NativeSite,
  credentials: { readonly name: string; readonly password: string },
): Promise<NativeSite & { readonly token: string }> {
  const asked = { method: 'POST', path: '/sign-in', body: credentials } as const;
  const { token } = await askSite<{ readonly token: string }>(site, asked);
  return { ...site, token };
}

function exchange(
  { url, authorityPem, token }: NativeSite,
  { method, path, body, timeoutMs = TIMEOUT_MS, signal: givenUp }: NativeRequest,
): Promise<{ readonly status: number; readonly text: string }> {
  const tooLong = AbortSignal.timeout(timeoutMs);
  const signal = givenUp === undefined ? tooLong : AbortSignal.any([tooLong, givenUp]);
  const content = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const unreachable = (error: Error): void => {
      const why = tooLong.aborted ? `no answer within ${timeoutMs} ms` : error.message;
      reject(new SiteUnreachable(`${url}: ${why}`, { cause: error }));
    };
    const outgoing = request(url + path, {
      method,
      signal,
      ...(authorityPem !== undefined && { ca: authorityPem }),
      headers: {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(content !== undefined && { 'content-type': 'application/json' }),
      },
    });
    outgoing.on('error', unreachable);
    outgoing.on('response', (incoming) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => (text += chunk));
      incoming.on('error', unreachable);
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }));
    });
    outgoing.end(content);
  });
}

/**
 * Opens an answer that does not end by itself, as events.
 *
 * @returns its text as it comes; ends when the site closes it, throws when the link breaks
 * @throws ProblemAnswer, SiteUnreachable
 */
export async function openStream(
  { url, authorityPem, token }: NativeSite,
  path: string,
  signal: AbortSignal,
): Promise<AsyncIterable<string>> {
  const outgoing = request(url + path, {
    signal,
    ...(authorityPem !== undefined && { ca: authorityPem }),
    headers: {
      accept: 'text/event-stream',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
  });
  outgoing.end();
  const incoming = await answered(outgoing, url);
  incoming.setEncoding('utf8');
  if (incoming.statusCode === 200) return incoming as AsyncIterable<string>;
  let text = '';
  for await (const chunk of incoming as AsyncIterable<string>) text += chunk;
  throw new ProblemAnswer(incoming.statusCode ?? 0, parse(text, url) as Record<string, unknown>);
}

async function answered(outgoing: ClientRequest, url: string): Promise<IncomingMessage> {
  try {
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    return incoming;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SiteUnreachable(`${url}: ${why}`, { cause: error });
  }
}

function parse(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SiteUnreachable(`${url}: what answers there is not a Baton site`, { cause: error });
  }
}
