/** Replicating from the new holder, and what that would move: for a group, and for a lone volume. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { ReprotectPreflight } from '../../app/reprotect-group.ts';
import type { GroupId } from '../../domain/ids.ts';
import { LongAnswer, answerJob } from './jobs.ts';
import type { DialectOptions } from '../options.ts';
import { Point, sayPoint } from './points.ts';
import { groupIdOf, volumeIdOf } from './references.ts';
import { Reference, Uuid, Wait, known, object } from './schemas.ts';

const Preflight = Type.Object({
  to: Type.Optional(Uuid),
  method: Type.Optional(
    Type.Enum(['delta', 'comparison'], {
      description:
        '`delta`: what differs since `point` moves. `comparison`: the sites have no point in common; ' +
        'both read all bytes, and what differs by its hash moves. Absent: not known.',
    }),
  ),
  point: Type.Optional(Point),
  bytes: Type.Optional(
    Type.Integer({
      description: 'Of a delta: moves at least. Of a comparison: read at each site.',
    }),
  ),
  expectedSeconds: Type.Optional(Type.Integer()),
  lostBytes: Type.Integer({ description: 'What differs at the other site is a fork there.' }),
  blockedBy: Type.Array(Type.String(), { description: 'Empty: it could start now.' }),
});

export const reprotect: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  await http.register(reprotectOf('group', groupIdOf), options);
  await http.register(
    reprotectOf('volume', async (app, reference) =>
      app.groupOfLoneVolume({ volumeId: await volumeIdOf(app, reference), wanted: 'moving' }),
    ),
    options,
  );
};

function reprotectOf(
  noun: 'group' | 'volume',
  groupOf: (app: App, reference: string) => Promise<GroupId>,
): FastifyPluginAsyncTypebox<DialectOptions> {
  const tags = [`${noun}s`];
  const params = Type.Object({ owner: Reference });
  return async (http, { app }) => {
    http.post(
      `/${noun}s/:owner/session/reprotect`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: 'Replicate from the new holder',
          description:
            'The first cycle moves what differs since the newest point that both sites have; without ' +
            'one it compares all bytes by their hashes. The preflight says which.',
          params,
          querystring: object(Wait),
          response: LongAnswer,
        },
      },
      async ({ params: { owner }, query }, reply) => {
        const { jobId } = await app.reprotectGroup({ groupId: await groupOf(app, owner) });
        return answerJob(reply, app, jobId, query.wait);
      },
    );

    http.post(
      `/${noun}s/:owner/session/reprotect/preflight`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: 'What replicating from the new holder would move; nothing happens',
          params,
          response: { 200: Preflight },
        },
      },
      async ({ params: { owner } }) =>
        say(await app.preflightReprotect({ groupId: await groupOf(app, owner) })),
    );
  };
}

function say({ point, blockedBy, ...rest }: ReprotectPreflight): Static<typeof Preflight> {
  return known({
    ...rest,
    point: point && sayPoint(point),
    lostBytes: 0,
    blockedBy: [...blockedBy],
  });
}
