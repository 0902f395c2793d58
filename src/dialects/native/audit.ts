/** The audit log: every changing request leaves one entry, and administrators read it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { AuditEntry } from '../../domain/audit.ts';
import type { NativeOptions } from './options.ts';
import { Instant, PageOf, Paging, Uuid, iso, known, object, page } from './schemas.ts';
import { problemTypeOf } from './problems.ts';
import { callerOf } from './sign-in.ts';

const READING = new Set(['GET', 'HEAD', 'OPTIONS']);
const SIGN_IN = '/sign-in';

/** Writes down each request that could change something, before its answer is seen. */
export function auditChanges(http: FastifyInstance, { app, log }: NativeOptions): void {
  http.addHook('onSend', async (request, reply) => {
    const user = whoChanges(request, http.prefix);
    if (user === undefined) return;
    const what = `${request.method} ${request.routeOptions.url ?? ''}`;
    const line = {
      user,
      from: request.ip,
      what,
      target: targetOf(request),
      result: resultOf(reply),
    };
    try {
      await app.recordAudit(line);
    } catch (error) {
      // What was asked has been done: the answer must not say otherwise.
      log.error({ event: 'audit_not_recorded', requestId: request.id, what, error });
    }
  });
}

/** Undefined when there is nothing to write down: a look, or a stranger who was turned away. */
function whoChanges(request: FastifyRequest, prefix: string): string | undefined {
  const { config, url } = request.routeOptions;
  if (READING.has(request.method) || config.needs === undefined) return undefined;
  if (url === prefix + SIGN_IN) return memberOf(request.body, 'name');
  return callerOf(request)?.name;
}

/** What the path names, or what a new thing is to be called. Never anything else of a body. */
function targetOf({ params, body }: FastifyRequest): string | undefined {
  const named = Object.values(params as Readonly<Record<string, string>>);
  return named.length > 0 ? named.join(' ') : memberOf(body, 'name');
}

function memberOf(body: unknown, member: string): string | undefined {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, member)) return undefined;
  const value = (body as Readonly<Record<string, unknown>>)[member];
  return typeof value === 'string' && value.length <= 64 ? value : undefined;
}

function resultOf(reply: FastifyReply): string {
  const came = problemTypeOf(reply.request) ?? reply.getHeader('location');
  return [reply.statusCode, came].filter((part) => part !== undefined).join(' ');
}

const Entry = Type.Object({
  id: Uuid,
  at: Instant,
  user: Type.String(),
  from: Type.String(),
  what: Type.String(),
  target: Type.Optional(Type.String()),
  result: Type.String(),
});

function sayEntry({ id, at, user, from, what, target, result }: AuditEntry): Static<typeof Entry> {
  return known({ id, at: iso(at), user, from, what, target, result });
}

export const audit: FastifyPluginAsyncTypebox<NativeOptions> = async (http, { app }) => {
  http.get(
    '/audit',
    {
      config: { needs: 'administer' },
      schema: {
        tags: ['audit'],
        summary: 'Who asked for which change, newest first',
        querystring: object(Paging),
        response: { 200: PageOf(Entry) },
      },
    },
    async ({ query }) => page((await app.listAudit()).toReversed(), query, sayEntry),
  );
};
