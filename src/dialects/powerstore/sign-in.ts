/**
 * Who asks. Any request may bring a name and password (HTTP Basic); the answer brings a session:
 *
 *   client ── Basic ─────────────────────────▶ Set-Cookie: auth_cookie, DELL-EMC-TOKEN
 *   client ── cookie ────────────────────────▶ may look
 *   client ── cookie and DELL-EMC-TOKEN ─────▶ may change: a page of another site has the cookie only
 *
 * A request with valid Basic credentials of its own needs neither cookie nor token.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { App } from '../../app/app.ts';
import type { Caller } from '../../app/sign-in.ts';
import { Refusal, refuse } from '../../domain/refusal.ts';
import { requireCaller } from '../callers.ts';
import type { DialectOptions } from '../options.ts';
import { PowerStoreError } from './errors.ts';

const COOKIE = 'auth_cookie';
const TOKEN_HEADER = 'dell-emc-token';
const READING = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Clients that send their password with each request sign in once, not each time. */
const MAX_REMEMBERED = 1000;

/** The session that each request came with or was given. */
const sessions = new WeakMap<FastifyRequest, string>();

/** Looks at every request's credentials before anything of it is read. */
export function requireSignIn(http: FastifyInstance, { app }: DialectOptions): void {
  const signIns = new SignIns(app);
  requireCaller(http, async (request) => {
    const basic = basicIn(request);
    const cookie = cookieIn(request);
    if (cookie !== undefined) {
      const caller = await app.authenticate(cookie).catch(unlessUnauthenticated);
      if (caller !== undefined) {
        if (basic === undefined) checkToken(request, cookie);
        sessions.set(request, cookie);
        return caller;
      }
    }
    if (basic !== undefined) {
      const { session, caller } = await signIns.of(basic, request.ip);
      sessions.set(request, session);
      return caller;
    }
    if (cookie === undefined) {
      refuse({
        code: 'unauthenticated',
        why: 'the request brings neither credentials nor a session',
      });
    }
    throw new PowerStoreError('session_unknown', 'The login session is unknown or has ended.');
  });
  http.addHook('onSend', async (request, reply) => {
    reply.headers({
      'cache-control': 'no-cache, no-store, must-revalidate, max-age=0',
      'content-language': 'en-US',
      expires: '-1',
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'x-content-type-options': 'nosniff',
    });
    if (reply.statusCode === 401) reply.header('www-authenticate', 'Basic realm="baton"');
    const session = sessions.get(request);
    if (session === undefined) return;
    reply.header(TOKEN_HEADER, tokenOf(session));
    if (cookieIn(request) !== session) {
      reply.header('set-cookie', `${COOKIE}=${session}; Path=/; Secure; HTTPOnly`);
    }
  });
}

/** What the request's own session is called. */
export function sessionOf(request: FastifyRequest): string | undefined {
  return sessions.get(request);
}

/** After signing out the answer brings no session. */
export function forgetSession(request: FastifyRequest): void {
  sessions.delete(request);
}

/** Follows from the session, so that it needs no place to be kept in; it does not open anything. */
function tokenOf(session: string): string {
  return createHash('sha256').update(`${TOKEN_HEADER}\n${session}`).digest('base64');
}

/** @throws PowerStoreError `session_unknown` */
function checkToken({ method, headers }: FastifyRequest, session: string): void {
  if (READING.has(method)) return;
  const given = Buffer.from(String(headers[TOKEN_HEADER] ?? ''));
  const wanted = Buffer.from(tokenOf(session));
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
  const sentence =
    'A request that changes something needs the DELL-EMC-TOKEN of its login session.';
  throw new PowerStoreError('session_unknown', sentence);
}

interface Credentials {
  readonly name: string;
  readonly password: string;
}

interface SignedIn {
  readonly session: string;
  readonly caller: Caller;
}

/** Sessions by the credentials that opened them; of those only a keyed hash is kept, in memory. */
class SignIns {
  readonly #app: App;
  readonly #key = randomBytes(32);
  readonly #sessions = new Map<string, string>();

  constructor(app: App) {
    this.#app = app;
  }

  /** @throws Refusal `unauthenticated`, `too_many_logins` */
  async of({ name, password }: Credentials, from: string): Promise<SignedIn> {
    const key = createHmac('sha256', this.#key).update(`${name}\n${password}`).digest('hex');
    const known = this.#sessions.get(key);
    if (known !== undefined) {
      const caller = await this.#app.authenticate(known).catch(unlessUnauthenticated);
      if (caller !== undefined) return { session: known, caller };
    }
    const { token: session, caller } = await this.#app.signIn({ name, password, from });
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MAX_REMEMBERED && oldest !== undefined) this.#sessions.delete(oldest);
    return { session, caller };
  }
}

function unlessUnauthenticated(error: unknown): undefined {
  if (error instanceof Refusal && error.reason.code === 'unauthenticated') return undefined;
  throw error;
}

function basicIn({ headers }: FastifyRequest): Credentials | undefined {
  const encoded = /^Basic +(?<encoded>[A-Za-z0-9+/=_-]+) *$/i.exec(headers.authorization ?? '')
    ?.groups?.['encoded'];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

function cookieIn({ headers }: FastifyRequest): string | undefined {
  for (const part of (headers.cookie ?? '').split(';')) {
    const [name, value] = part.trim().split('=', 2);
    if (name === COOKIE && value !== undefined && value !== '') return value;
  }
  return undefined;
}
