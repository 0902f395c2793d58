/**
 * Taking a group without the other site, and what comes after: for a group, and for a volume that
 * stands alone.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { FailOverGroup, FailoverLoss, FailoverPreflight } from '../../app/fail-over-group.ts';
import {
  MAX_COMMIT_AFTER_SECONDS,
  MIN_COMMIT_AFTER_SECONDS,
} from '../../domain/failover-window.ts';
import type { ForkId, GroupId, PointId } from '../../domain/ids.ts';
import { Job, answerJob } from './jobs.ts';
import type { DialectOptions } from '../options.ts';
import { Point, sayPoint } from './points.ts';
import { groupIdOf, volumeIdOf } from './references.ts';
import { Confirmation, Reference, Uuid, Wait, isoOr, known, object } from './schemas.ts';

const Request = object({
  point: Type.Optional(Uuid),
  useTestCopy: Type.Optional(
    Type.Boolean({ default: false, description: 'On what the running failover test has written.' }),
  ),
  fork: Type.Optional(Uuid),
  force: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Also where it was taken away before, and is not replicated back yet.',
    }),
  ),
  commitAfterSeconds: Type.Optional(
    Type.Integer({
      description:
        `It can be rolled back for so long, and stands then: ${MIN_COMMIT_AFTER_SECONDS} to ` +
        `${MAX_COMMIT_AFTER_SECONDS}. Absent: it stands at once.`,
    }),
  ),
  confirmation: Confirmation,
});

const Preflight = Type.Object({
  point: Type.Optional(Point),
  pointAgeSeconds: Type.Optional(
    Type.Integer({ description: 'What hosts wrote in this time is not here.' }),
  ),
  completeUpTo: Type.Optional(
    Type.String({
      format: 'date-time',
      description:
        "Everything the source's hosts were answered for until then is here; nothing is known of later.",
    }),
  ),
  nothingAfter: Type.Boolean({
    description:
      'Nothing came later, unless somebody at the source let hosts go on that were to be held: both ' +
      'sites were in sync at its last word, and it holds its hosts when it loses this site.',
  }),
  newerPoints: Type.Integer({ description: 'Points here that would become a fork.' }),
  incompleteBytes: Type.Integer({ description: 'Known to have been sent, and not complete.' }),
  setAsideBytes: Type.Integer({ description: 'About what that fork would hold.' }),
  expectedSeconds: Type.Optional(
    Type.Integer({ description: 'As long as the last one at this site took.' }),
  ),
  blockedBy: Type.Array(Type.String()),
  warnings: Type.Array(Type.String()),
  confirmation: Type.Optional(Type.String()),
});

const Loss = Type.Pick(Preflight, [
  'pointAgeSeconds',
  'completeUpTo',
  'nothingAfter',
  'newerPoints',
  'incompleteBytes',
  'setAsideBytes',
]);

const Answer = Type.Object({
  job: Type.Optional(Job),
  point: Type.Optional(Point),
  loss: Type.Optional(Loss),
  preflight: Type.Optional(Preflight),
});

export const failover: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  await http.register(failoverOf('group', groupIdOf), options);
  await http.register(
    failoverOf('volume', async (app, reference) =>
      app.groupOfLoneVolume({ volumeId: await volumeIdOf(app, reference), wanted: 'moving' }),
    ),
    options,
  );
};

function failoverOf(
  noun: 'group' | 'volume',
  groupOf: (app: App, reference: string) => Promise<GroupId>,
): FastifyPluginAsyncTypebox<DialectOptions> {
  const tags = [`${noun}s`];
  const params = Type.Object({ owner: Reference });
  return async (http, { app }) => {
    http.post(
      `/${noun}s/:owner/failover`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: `Take a ${noun} without the other site, on its newest complete point`,
          description:
            'With `dryRun` nothing happens: the answer says what would, and the confirmation.',
          params,
          querystring: object({ ...Wait, dryRun: Type.Optional(Type.Boolean()) }),
          body: Request,
          response: { 200: Answer, 202: Answer },
        },
      },
      async ({ params: { owner }, body, query }, reply) => {
        const request = requestOf(await groupOf(app, owner), body);
        if (query.dryRun === true) return { preflight: say(await app.preflightFailover(request)) };
        const taken = await app.failOverGroup(request);
        const answer = await answerJob(reply, app, taken.jobId, query.wait);
        return { ...answer, point: sayPoint(taken.point), loss: sayLoss(taken.loss) };
      },
    );

    http.post(
      `/${noun}s/:owner/failover/preflight`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: 'What a failover would stand on and lose; nothing happens',
          params,
          body: Request,
          response: { 200: Preflight },
        },
      },
      async ({ params: { owner }, body }) =>
        say(await app.preflightFailover(requestOf(await groupOf(app, owner), body))),
    );

    http.post(
      `/${noun}s/:owner/failover/acknowledge`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: 'Somebody has seen that it was taken by force',
          params,
          response: { 204: Type.Null() },
        },
      },
      async ({ params: { owner } }, reply) => {
        await app.acknowledgeFailover({ groupId: await groupOf(app, owner) });
        return reply.code(204).send(null);
      },
    );
  };
}

function requestOf(
  groupId: GroupId,
  { point, fork, ...body }: Static<typeof Request>,
): FailOverGroup {
  return {
    groupId,
    pointId: point as PointId | undefined,
    forkId: fork as ForkId | undefined,
    ...body,
  };
}

function say(preflight: FailoverPreflight): Static<typeof Preflight> {
  const { point, blockedBy, warnings, completeUpTo, ...rest } = preflight;
  return known({
    ...rest,
    completeUpTo: isoOr(completeUpTo),
    point: point && sayPoint(point),
    blockedBy: [...blockedBy],
    warnings: [...warnings],
  });
}

function sayLoss({ completeUpTo, ...loss }: FailoverLoss): Static<typeof Loss> {
  return known({ ...loss, completeUpTo: isoOr(completeUpTo) });
}
