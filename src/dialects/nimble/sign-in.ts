/** Who asks: a name and password become a token, and each request brings it in `X-Auth-Token`. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { refuse } from '../../domain/refusal.ts';
import { requireCaller } from '../callers.ts';
import type { DialectOptions } from '../options.ts';

/** Looks at every request's token before anything of it is read. */
export function requireSignIn(http: FastifyInstance, { app }: DialectOptions): void {
  requireCaller(http, (request) =>
    app.authenticate(
      tokenOf(request) ??
        refuse({ code: 'unauthenticated', why: 'the request brings no X-Auth-Token' }),
    ),
  );
}

export function tokenOf({ headers }: FastifyRequest): string | undefined {
  const token = headers['x-auth-token'];
  return typeof token === 'string' ? token : undefined;
}
