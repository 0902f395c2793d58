/** Who asks: a token from the identity service, in `X-Auth-Token`, for the project in the path. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { refuse } from '../../domain/refusal.ts';
import { requireCaller } from '../callers.ts';
import type { DialectOptions } from '../options.ts';
import { Fault } from './errors.ts';
import { PROJECT_ID, withoutDashes } from './ids.ts';

/** Looks at every request's token before anything of it is read. */
export function requireSignIn(http: FastifyInstance, { app }: DialectOptions): void {
  requireCaller(http, (request) =>
    app.authenticate(
      tokenOf(request) ??
        refuse({ code: 'unauthenticated', why: 'the request brings no X-Auth-Token' }),
    ),
  );
}

/** There is one project, which every token is for. */
export function requireProject(http: FastifyInstance): void {
  http.addHook('onRequest', async ({ params, routeOptions }) => {
    if (routeOptions.config.needs === undefined || routeOptions.config.needs === 'nothing') return;
    const { project } = params as { readonly project?: string };
    if (project === undefined) return;
    if (withoutDashes(project) !== PROJECT_ID) {
      throw new Fault(400, 'Malformed request url: the project is not the one of the token.');
    }
  });
}

export function tokenOf({ headers }: FastifyRequest, header = 'x-auth-token'): string | undefined {
  const token = headers[header];
  return typeof token === 'string' ? token : undefined;
}
