/** The holder goes back: to a recovery point, or to a history that was set aside. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { RestorePreflight } from '../../app/restore-group.ts';
import type { ForkId, GroupId, PointId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { DialectOptions } from '../options.ts';
import { Job, answerJob } from './jobs.ts';
import { Point, sayPoint } from './points.ts';
import { groupIdOf, volumeIdOf } from './references.ts';
import { Confirmation, Reference, Uuid, Wait, known, object } from './schemas.ts';

const Request = object({
  point: Type.Optional(Uuid),
  fork: Type.Optional(Uuid),
  confirmation: Confirmation,
});

const Preflight = Type.Object({
  point: Type.Optional(Point),
  pointAgeSeconds: Type.Optional(
    Type.Integer({ description: 'What hosts wrote in this time is set aside as a fork.' }),
  ),
  setAsideBytes: Type.Integer({ description: 'About what that fork would hold.' }),
  setAsidePoints: Type.Integer(),
  expectedSeconds: Type.Optional(
    Type.Integer({ description: 'As long as the last one at this site took.' }),
  ),
  blockedBy: Type.Array(Type.String()),
  confirmation: Type.Optional(Type.String()),
});

const Answer = Type.Object({ job: Type.Optional(Job), preflight: Type.Optional(Preflight) });

export const restore: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  await http.register(restoreOf('group', groupIdOf), options);
  await http.register(
    restoreOf('volume', async (app, reference) =>
      app.groupOfLoneVolume({ volumeId: await volumeIdOf(app, reference), wanted: 'restoring' }),
    ),
    options,
  );
};

function restoreOf(
  noun: 'group' | 'volume',
  groupOf: (app: App, reference: string) => Promise<GroupId>,
): FastifyPluginAsyncTypebox<DialectOptions> {
  return async (http, { app }) => {
    http.post(
      `/${noun}s/:owner/restore`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags: [`${noun}s`],
          summary: `Make a point or a fork the present of a ${noun}`,
          description:
            'What hosts wrote since becomes a fork; they reconnect. With `dryRun` nothing happens: ' +
            'the answer says what would, and the confirmation.',
          params: Type.Object({ owner: Reference }),
          querystring: object({ ...Wait, dryRun: Type.Optional(Type.Boolean()) }),
          body: Request,
          response: { 200: Answer, 202: Answer },
        },
      },
      async ({ params, body: { point, fork, confirmation }, query }, reply) => {
        const groupId = await groupOf(app, params.owner);
        const request = { groupId, to: target(point, fork), confirmation };
        if (query.dryRun === true) return { preflight: say(await app.preflightRestore(request)) };
        const { jobId } = await app.restoreGroup(request);
        return answerJob(reply, app, jobId, query.wait);
      },
    );

    http.post(
      `/${noun}s/:owner/restore/preflight`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags: [`${noun}s`],
          summary: 'What going back would set aside; nothing happens',
          params: Type.Object({ owner: Reference }),
          body: Request,
          response: { 200: Preflight },
        },
      },
      async ({ params, body: { point, fork } }) => {
        const groupId = await groupOf(app, params.owner);
        return say(await app.preflightRestore({ groupId, to: target(point, fork) }));
      },
    );
  };
}

function target(
  point: string | undefined,
  fork: string | undefined,
): { readonly pointId: PointId } | { readonly forkId: ForkId } {
  if (point !== undefined && fork === undefined) return { pointId: point as PointId };
  if (fork !== undefined && point === undefined) return { forkId: fork as ForkId };
  const seen = point === undefined ? 'neither' : 'both';
  return refuse({ code: 'invalid', field: 'point', wanted: 'a point or a fork', seen });
}

function say({ point, blockedBy, ...rest }: RestorePreflight): Static<typeof Preflight> {
  return known({ ...rest, point: point && sayPoint(point), blockedBy: [...blockedBy] });
}
