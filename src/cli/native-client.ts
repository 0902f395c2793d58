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
}

const TIMEOUT_MS = 30_000;

/** The site answered, and the answer was no. */
export class ProblemAnswer extends Error {
  override readonly name = 'ProblemAnswer';
  readonly status: number;
  /** The machine's reason, where the problem carried one. */
  readonly reason: { readonly code: string } | undefined;

  constructor(status: number, problem: Record<string, unknown>) {
    const { detail, title, reason } = problem;
    super(String(detail ?? title ?? `HTTP ${status}`));
    this.status = status;
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
  { method, path, body, timeoutMs = TIMEOUT_MS }: NativeRequest,
): Promise<{ readonly status: number; readonly text: string }> {
  const signal = AbortSignal.timeout(timeoutMs);
  const content = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const unreachable = (error: Error): void => {
      const why = signal.aborted ? `no answer within ${timeoutMs} ms` : error.message;
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

function parse(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SiteUnreachable(`${url}: what answers there is not a Baton site`, { cause: error });
  }
}
