/** The audit log: every changing request leaves one entry, and administrators read it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { AuditEntry } from '../../domain/audit.ts';
import { auditChanges, shortMember } from '../audit-changes.ts';
import type { DialectOptions } from '../options.ts';
import { problemTypeOf } from './problems.ts';
import { Instant, PageOf, Paging, Uuid, iso, known, object, page } from './schemas.ts';

export function auditNativeChanges(http: FastifyInstance, options: DialectOptions): void {
  const signIn = `${http.prefix}/sign-in`;
  auditChanges(http, options, {
    signsIn: ({ routeOptions, body }) =>
      routeOptions.url === signIn ? shortMember(body, 'name') : undefined,
    came: (reply) => problemTypeOf(reply.request) ?? location(reply.getHeader('location')),
  });
}

function location(header: unknown): string | undefined {
  return typeof header === 'string' ? header : undefined;
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

export const audit: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
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
