/** A failover that is provisional, and its two ends: for a group, and for a volume that stands alone. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { RollbackPreflight } from '../../app/decide-failover.ts';
import type { FailoverWindow } from '../../domain/failover-window.ts';
import type { GroupId } from '../../domain/ids.ts';
import { Job, answerJob } from './jobs.ts';
import type { DialectOptions } from '../options.ts';
import { Point, sayPoint } from './points.ts';
import { groupIdOf, volumeIdOf } from './references.ts';
import {
  Confirmation,
  Instant,
  Named,
  Reference,
  Uuid,
  Wait,
  iso,
  isoOr,
  known,
  object,
} from './schemas.ts';

export const Window = Type.Object(
  { returnsTo: Named, openedAt: Instant, endsAt: Instant },
  {
    description:
      'At the holder of a provisional failover, which is committed at its end unless it is rolled back.',
  },
);

export function sayWindow(
  { returnsTo, openedAt, endsAt }: FailoverWindow,
  siteName: string,
): Static<typeof Window> {
  return {
    returnsTo: { id: returnsTo, name: siteName },
    openedAt: iso(openedAt),
    endsAt: iso(endsAt),
  };
}

const Request = object({
  confirmation: Confirmation,
});

const Preflight = Type.Object({
  to: Type.Optional(Uuid),
  point: Type.Optional(Point),
  setAsideBytes: Type.Integer({ description: 'About what the fork here would hold.' }),
  setAsideSeconds: Type.Integer({ description: 'What hosts wrote here in this time.' }),
  endsAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'Afterwards it cannot be rolled back.' }),
  ),
  expectedSeconds: Type.Optional(
    Type.Integer({ description: 'As long as the last one at this site took.' }),
  ),
  blockedBy: Type.Array(Type.String()),
  confirmation: Type.Optional(Type.String()),
});

const Answer = Type.Object({ job: Type.Optional(Job), preflight: Type.Optional(Preflight) });

export const failoverWindow: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  await http.register(windowOf('group', groupIdOf), options);
  await http.register(
    windowOf('volume', async (app, reference) =>
      app.groupOfLoneVolume({ volumeId: await volumeIdOf(app, reference), wanted: 'moving' }),
    ),
    options,
  );
};

function windowOf(
  noun: 'group' | 'volume',
  groupOf: (app: App, reference: string) => Promise<GroupId>,
): FastifyPluginAsyncTypebox<DialectOptions> {
  const tags = [`${noun}s`];
  const params = Type.Object({ owner: Reference });
  return async (http, { app }) => {
    http.post(
      `/${noun}s/:owner/failover/commit`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: 'The provisional failover stands, before its term is over',
          description: 'It cannot be rolled back afterwards, and can be reprotected.',
          params,
          response: { 204: Type.Null() },
        },
      },
      async ({ params: { owner } }, reply) => {
        await app.commitFailover({ groupId: await groupOf(app, owner) });
        return reply.code(204).send(null);
      },
    );

    http.post(
      `/${noun}s/:owner/failover/rollback`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: `Return a ${noun} to the site that it was taken from, as it was there`,
          description:
            'What hosts wrote here since becomes a fork; replication from there goes on. With ' +
            '`dryRun` nothing happens: the answer says what would, and the confirmation.',
          params,
          querystring: object({ ...Wait, dryRun: Type.Optional(Type.Boolean()) }),
          body: Request,
          response: { 200: Answer, 202: Answer },
        },
      },
      async ({ params: { owner }, body, query }, reply) => {
        const request = { groupId: await groupOf(app, owner), ...body };
        if (query.dryRun === true) return { preflight: say(await app.preflightRollback(request)) };
        const { jobId } = await app.rollBackFailover(request);
        return answerJob(reply, app, jobId, query.wait);
      },
    );

    http.post(
      `/${noun}s/:owner/failover/rollback/preflight`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: 'What a rollback would set aside; nothing happens',
          params,
          response: { 200: Preflight },
        },
      },
      async ({ params: { owner } }) =>
        say(await app.preflightRollback({ groupId: await groupOf(app, owner) })),
    );
  };
}

function say({ point, window, blockedBy, ...rest }: RollbackPreflight): Static<typeof Preflight> {
  return known({
    ...rest,
    point: point && sayPoint(point),
    endsAt: isoOr(window?.endsAt),
    blockedBy: [...blockedBy],
  });
}
