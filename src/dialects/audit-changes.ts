/** The audit log of every dialect: a request that could change something leaves one entry. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from './callers.ts';
import type { DialectOptions } from './options.ts';

const READING = new Set(['GET', 'HEAD', 'OPTIONS']);

/** What only the dialect knows of a request that has been answered. */
export interface AuditWords {
  /** Who tried to sign in with this request; undefined when it is no sign-in. */
  readonly signsIn: (request: FastifyRequest) => string | undefined;
  /** What came of it beside the status: an error's code, or where the new thing is. */
  readonly came: (reply: FastifyReply) => string | undefined;
  /** The members of the body below which a thing's name is found. */
  readonly bodyOf?: (body: unknown) => unknown;
}

/** Writes down each request that could change something, before its answer is seen. */
export function auditChanges(
  http: FastifyInstance,
  { app, log }: DialectOptions,
  { signsIn, came, bodyOf = (body) => body }: AuditWords,
): void {
  http.addHook('onSend', async (request, reply) => {
    const { config, url } = request.routeOptions;
    // A look, or a stranger who was turned away, is not written down.
    if (READING.has(request.method) || config.needs === undefined) return;
    const user = signsIn(request) ?? callerOf(request)?.name;
    if (user === undefined) return;
    const what = `${request.method} ${url ?? ''}`;
    const result = [reply.statusCode, came(reply)].filter((part) => part !== undefined).join(' ');
    const target = targetOf(request.params, bodyOf(request.body));
    try {
      await app.recordAudit({ user, from: request.ip, what, target, result });
    } catch (error) {
      // What was asked has been done: the answer must not say otherwise.
      log.error({ event: 'audit_not_recorded', requestId: request.id, what, error });
    }
  });
}

/** What the path names, or what a new thing is to be called. Never anything else of a body. */
function targetOf(params: unknown, body: unknown): string | undefined {
  const named = Object.values(params as Readonly<Record<string, string>>);
  return named.length > 0 ? named.join(' ') : shortMember(body, 'name');
}

/** A member of a body, where it is a text of a name's length. */
export function shortMember(body: unknown, member: string): string | undefined {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, member)) return undefined;
  const value = (body as Readonly<Record<string, unknown>>)[member];
  return typeof value === 'string' && value.length <= 64 ? value : undefined;
}
