/** Who asks: a name and password become a bearer token, and each request brings it. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { requireRole } from '../../app/sign-in.ts';
import type { Caller } from '../../app/sign-in.ts';
import { refuse } from '../../domain/refusal.ts';
import { roles } from '../../domain/user.ts';
import type { Need } from '../../domain/user.ts';
import type { NativeOptions } from './options.ts';
import { Instant, iso, object } from './schemas.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller must be allowed to do; `nothing` is open to everybody. */
    readonly needs?: Need | 'nothing';
  }
}

/** Looks at every request's token before anything of it is read. */
export function requireSignIn(http: FastifyInstance, { app }: NativeOptions): void {
  http.decorateRequest('caller');
  http.addHook('onRoute', ({ method, url, config }) => {
    if (config?.needs === undefined) throw new Error(`${[method].flat().join()} ${url}: who may?`);
  });
  http.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    const { needs } = request.routeOptions.config;
    if (needs === undefined || needs === 'nothing') return;
    const caller = await app.authenticate(bearerToken(request));
    request.setDecorator<Caller>('caller', caller);
    requireRole(caller, needs);
  });
}

/** Undefined where nobody had to sign in. */
export function callerOf(request: FastifyRequest): Caller | undefined {
  return request.getDecorator<Caller | undefined>('caller');
}

/** Who is written down as the one who asked. */
export function callerName(request: FastifyRequest): string {
  return callerOf(request)?.name ?? 'nobody';
}

/** @throws Refusal `unauthenticated` */
export function bearerToken({ headers }: FastifyRequest): string {
  const token = /^Bearer +(?<token>\S+) *$/i.exec(headers.authorization ?? '')?.groups?.['token'];
  return token ?? refuse({ code: 'unauthenticated', why: 'the request brings no bearer token' });
}

const Credentials = object({
  name: Type.String({ minLength: 1, maxLength: 64 }),
  password: Type.String({ maxLength: 256 }),
});

const SignedIn = Type.Object({
  token: Type.String({ description: 'Goes into the header `Authorization: Bearer …`.' }),
  expiresAt: Instant,
  name: Type.String(),
  role: Type.Enum([...roles]),
});

export const signIn: FastifyPluginAsyncTypebox<NativeOptions> = async (http, { app }) => {
  http.post(
    '/sign-in',
    {
      config: { needs: 'nothing' },
      schema: {
        tags: ['sign-in'],
        summary: 'Sign in with a name and password',
        body: Credentials,
        response: { 200: SignedIn },
      },
    },
    async ({ body }) => {
      const { token, expiresAt, caller } = await app.signIn(body);
      return { token, expiresAt: iso(expiresAt), ...caller };
    },
  );

  http.post(
    '/sign-out',
    {
      config: { needs: 'view' },
      schema: { tags: ['sign-in'], summary: 'End the token', response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await app.signOut(bearerToken(request));
      return reply.code(204).send(null);
    },
  );
};
