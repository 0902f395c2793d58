/** Histories that were set aside: listed at both sites, discarded where their bytes are. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { Fork as ForkRow } from '../../domain/fork.ts';
import type { ForkId } from '../../domain/ids.ts';
import type { DialectOptions } from '../options.ts';
import { groupIdOf } from './references.ts';
import {
  Confirmation,
  Instant,
  PageOf,
  Paging,
  Reference,
  Uuid,
  iso,
  known,
  object,
  page,
} from './schemas.ts';

const Fork = Type.Object({
  id: Uuid,
  name: Type.String(),
  groupId: Uuid,
  siteId: Uuid,
  basePointId: Uuid,
  origin: Type.Enum(['failover', 'failover_test', 'restore', 'undo', 'rollback']),
  allocatedBytes: Type.Integer(),
  setAsideAt: Instant,
  expiresAt: Instant,
});

const Preflight = Type.Object({
  fork: Fork,
  blockedBy: Type.Array(Type.String()),
  confirmation: Type.Optional(Type.String()),
});

export const forks: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  const tags = ['forks'];

  http.get(
    '/forks',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'List the histories that were set aside',
        querystring: object({ ...Paging, group: Type.Optional(Reference) }),
        response: { 200: PageOf(Fork) },
      },
    },
    async ({ query }) => {
      const groupId = query.group === undefined ? undefined : await groupIdOf(app, query.group);
      return page(await app.listForks({ groupId }), query, sayFork);
    },
  );

  http.delete(
    '/forks/:fork',
    {
      config: { needs: 'recovery' },
      schema: {
        tags,
        summary: 'Discard a fork and its bytes',
        description:
          'Its bytes are nowhere else. Wants the confirmation that the preflight answers.',
        params: Type.Object({ fork: Uuid }),
        querystring: object({ confirmation: Confirmation }),
        response: { 204: Type.Null() },
      },
    },
    async ({ params, query: { confirmation } }, reply) => {
      await app.discardFork({ forkId: params.fork as ForkId, confirmation });
      return reply.code(204).send(null);
    },
  );

  http.post(
    '/forks/:fork/preflight',
    {
      config: { needs: 'recovery' },
      schema: {
        tags,
        summary: 'What discarding a fork would delete; nothing happens',
        params: Type.Object({ fork: Uuid }),
        response: { 200: Preflight },
      },
    },
    async ({ params }) => {
      const { fork, blockedBy, confirmation } = await app.preflightDiscard({
        forkId: params.fork as ForkId,
      });
      return known({ fork: sayFork(fork), blockedBy: [...blockedBy], confirmation });
    },
  );
};

function sayFork({ setAsideAt, expiresAt, ...fork }: ForkRow): Static<typeof Fork> {
  return { ...fork, setAsideAt: iso(setAsideAt), expiresAt: iso(expiresAt) };
}
