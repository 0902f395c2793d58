/** Who asks, in every dialect: each says how a request brings its token, and what a route needs. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { requireRole } from '../app/sign-in.ts';
import type { Caller } from '../app/sign-in.ts';
import type { Need } from '../domain/user.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller must be allowed to do; `nothing` is open to everybody. */
    readonly needs?: Need | 'nothing';
  }
}

/**
 * Looks at every request's token before anything of it is read. A route that does not say what it
 * needs is a defect, found at start.
 *
 * @param authenticate who brings this request; throws Refusal `unauthenticated`
 */
export function requireCaller(
  http: FastifyInstance,
  authenticate: (request: FastifyRequest) => Promise<Caller>,
): void {
  http.decorateRequest('caller');
  http.addHook('onRoute', ({ method, url, config }) => {
    if (config?.needs === undefined) throw new Error(`${[method].flat().join()} ${url}: who may?`);
  });
  http.addHook('onRequest', async (request) => {
    const { needs } = request.routeOptions.config;
    if (needs === undefined || needs === 'nothing') return;
    const caller = await authenticate(request);
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
