/** Who asks: a name and password become a bearer token, and each request brings it. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { refuse } from '../../domain/refusal.ts';
import { roles } from '../../domain/user.ts';
import { requireCaller } from '../callers.ts';
import type { DialectOptions } from '../options.ts';
import { Instant, iso, object } from './schemas.ts';

/** Looks at every request's token before anything of it is read. */
export function requireSignIn(http: FastifyInstance, { app }: DialectOptions): void {
  http.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  requireCaller(http, (request) => app.authenticate(bearerToken(request)));
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

export const signIn: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
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
      return { token, expiresAt: iso(expiresAt), name: caller.name, role: caller.role };
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
