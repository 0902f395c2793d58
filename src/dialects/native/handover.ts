/** A planned handover, and what it would do: for a group, and for a volume that stands alone. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { GroupId } from '../../domain/ids.ts';
import { Job, answerJob } from './jobs.ts';
import type { DialectOptions } from '../options.ts';
import { groupIdOf, peerIdOf, volumeIdOf } from './references.ts';
import { Reference, Uuid, Wait, known, object } from './schemas.ts';

const Request = object({
  to: Type.Optional(Reference),
  reverse: Type.Optional(
    Type.Boolean({
      default: true,
      description: 'Replicate back at once; else both sides wait for `reprotect`.',
    }),
  ),
});

const Preflight = Type.Object({
  from: Uuid,
  to: Type.Optional(Uuid),
  blockedBy: Type.Array(Type.String(), { description: 'Empty: it could start now.' }),
  epoch: Type.Integer(),
  lostBytes: Type.Integer({ description: 'A planned handover loses nothing.' }),
  expectedSeconds: Type.Optional(Type.Integer()),
  newestPointAgeSeconds: Type.Optional(Type.Integer()),
  hosts: Type.Object({
    follow: Type.Array(Type.Object({ host: Type.String(), address: Type.String() }), {
      description: 'Their agents follow the group: they notice a pause.',
    }),
    cut: Type.Array(Type.Object({ address: Type.String(), connections: Type.Integer() }), {
      description: 'Connections of programs that follow nobody, by where they come from.',
    }),
  }),
});

const Answer = Type.Object({
  job: Type.Optional(Job),
  preflight: Type.Optional(Preflight),
});

export const handover: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  await http.register(handoverOf('group', groupIdOf), options);
  await http.register(
    handoverOf('volume', async (app, reference) =>
      app.groupOfLoneVolume({ volumeId: await volumeIdOf(app, reference), wanted: 'moving' }),
    ),
    options,
  );
};

function handoverOf(
  noun: 'group' | 'volume',
  groupOf: (app: App, reference: string) => Promise<GroupId>,
): FastifyPluginAsyncTypebox<DialectOptions> {
  return async (http, { app }) => {
    http.post(
      `/${noun}s/:owner/handover`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags: [`${noun}s`],
          summary: `Hand a ${noun} over to its peer with no write lost`,
          description: 'With `dryRun` nothing happens: the answer says what would.',
          params: Type.Object({ owner: Reference }),
          querystring: object({ ...Wait, dryRun: Type.Optional(Type.Boolean()) }),
          body: Request,
          response: { 200: Answer, 202: Answer },
        },
      },
      async ({ params, body, query }, reply) => {
        const groupId = await groupOf(app, params.owner);
        const to = body.to === undefined ? undefined : await peerIdOf(app, body.to);
        const request = { groupId, to, reverse: body.reverse ?? true };
        if (query.dryRun === true) {
          return { preflight: say(await app.preflightHandover(request)) };
        }
        const { jobId } = await app.handOverGroup(request);
        return answerJob(reply, app, jobId, query.wait);
      },
    );

    http.post(
      `/${noun}s/:owner/handover/preflight`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags: [`${noun}s`],
          summary: 'What a handover would do; nothing happens',
          params: Type.Object({ owner: Reference }),
          body: Request,
          response: { 200: Preflight },
        },
      },
      async ({ params, body }) => {
        const groupId = await groupOf(app, params.owner);
        const to = body.to === undefined ? undefined : await peerIdOf(app, body.to);
        return say(await app.preflightHandover({ groupId, to, reverse: body.reverse ?? true }));
      },
    );
  };
}

function say({
  blockedBy,
  hosts: { follow, cut },
  ...preflight
}: Awaited<ReturnType<App['preflightHandover']>>): Static<typeof Preflight> {
  const said = { blockedBy: [...blockedBy], hosts: { follow: [...follow], cut: [...cut] } };
  return known({ ...preflight, ...said });
}
