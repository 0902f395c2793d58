/**
 * A group's replication: `/groups/{group}/session` and, for a volume that stands alone,
 * `/volumes/{volume}/session`. Both paths have the same verbs.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { App } from '../../app/app.ts';
import type { UnprotectGroup } from '../../app/unprotect-group.ts';
import type { SessionView } from '../../app/views.ts';
import { isId } from '../../domain/ids.ts';
import type { GroupId, SessionId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { MAX_RETAINED_POINTS } from '../../domain/replication-session.ts';
import { LongAnswer, answerJob } from './jobs.ts';
import { callerName } from '../callers.ts';
import type { DialectOptions } from '../options.ts';
import { groupIdOf, peerIdOf, volumeIdOf } from './references.ts';
import { Confirmation, PageOf, Paging, Reference, Wait, known, object, page } from './schemas.ts';
import { Session, saySession } from './session-view.ts';

const settings = {
  mode: Type.Optional(
    Type.Enum(['async', 'sync'], {
      description:
        '`sync`: hosts are answered when both sites have a write; cycles go on beside it.',
    }),
  ),
  stallSeconds: Type.Optional(
    Type.Integer({ description: 'Of a synchronous session: 1 to 10, unless told 3.' }),
  ),
  onLoss: Type.Optional(
    Type.Enum(['continue', 'hold'], {
      description:
        '`continue`: hosts go on alone after that. `hold`: they wait until both sites are in step ' +
        'again, or until they are released.',
    }),
  ),
  acceptUnboundedStall: Type.Optional(
    Type.Boolean({
      description: 'Although this machine cannot close a connection that has gone silent.',
    }),
  ),
  bytesPerSecond: Type.Optional(
    Type.Union([Type.Integer(), Type.Null()], { description: 'Of the link. `null`: no limit.' }),
  ),
  retainedPoints: Type.Optional(
    Type.Integer({ description: `The destination keeps so many, 1 to ${MAX_RETAINED_POINTS}.` }),
  ),
};

const Protect = object({ peer: Reference, rpoSeconds: Type.Integer(), ...settings });
const Change = object({ rpoSeconds: Type.Optional(Type.Integer()), ...settings });
const ending = {
  discardCopy: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        "Delete the destination's copy. It stays otherwise, and makes a later session a delta.",
    }),
  ),
  force: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Although the other site does not answer; also at a destination without source.',
    }),
  ),
};
const End = object({ ...Wait, ...ending, confirmation: Confirmation });
const EndPreflight = Type.Object({
  points: Type.Integer({ description: 'Complete at the destination.' }),
  consequence: Type.String(),
  blockedBy: Type.Array(Type.String()),
  confirmation: Type.Optional(Type.String({ description: 'Absent: none is needed.' })),
});
const ById = Type.Object({ session: Type.String() });

/** What stands in the path before `/session`, and how it becomes a group. */
interface Owner {
  readonly noun: 'group' | 'volume';
  readonly groupId: (app: App, reference: string) => Promise<GroupId>;
}

const group: Owner = { noun: 'group', groupId: groupIdOf };

const volume: Owner = {
  noun: 'volume',
  groupId: async (app, reference) =>
    app.groupOfLoneVolume({ volumeId: await volumeIdOf(app, reference), wanted: 'replicating' }),
};

export const sessions: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  const { app } = options;

  http.get(
    '/sessions',
    {
      config: { needs: 'view' },
      schema: {
        tags: ['sessions'],
        summary: 'List all replication sessions',
        querystring: object(Paging),
        response: { 200: PageOf(Session) },
      },
    },
    async ({ query }) => page(await app.listSessions(), query, saySession),
  );

  http.get(
    '/sessions/:session',
    {
      config: { needs: 'view' },
      schema: {
        tags: ['sessions'],
        summary: 'Show a replication session',
        params: ById,
        response: { 200: Session },
      },
    },
    async ({ params }) => {
      const id = params.session.toLowerCase();
      if (!isId(id)) refuse({ code: 'not_found', what: 'replication_session', id });
      return saySession(await app.showSession(id as SessionId));
    },
  );

  await http.register(sessionsOf(group), options);
  await http.register(sessionsOf(volume), options);
};

function sessionsOf({ noun, groupId }: Owner): FastifyPluginAsyncTypebox<DialectOptions> {
  const path = `/${noun}s/:owner/session`;
  const params = Type.Object({ owner: Reference });
  const tags = ['sessions'];

  return async (http, { app }) => {
    const sessionIdOf = async (owner: string): Promise<SessionId> =>
      (await needSession(app, await groupId(app, owner))).id;
    const endOf = async (
      owner: string,
      {
        discardCopy = false,
        ...asked
      }: Omit<UnprotectGroup, 'groupId' | 'discardCopy'> & {
        readonly discardCopy?: boolean;
      },
    ): Promise<UnprotectGroup> => ({
      groupId: await groupId(app, owner),
      discardCopy,
      ...asked,
    });

    http.get(
      path,
      {
        config: { needs: 'view' },
        schema: {
          tags,
          summary: `Show a ${noun}'s replication`,
          params,
          response: { 200: Session },
        },
      },
      async ({ params: { owner } }) =>
        saySession(await needSession(app, await groupId(app, owner))),
    );

    http.put(
      path,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: `Begin to replicate a ${noun} to a peer`,
          description: 'The first cycle copies everything.',
          params,
          querystring: object(Wait),
          body: Protect,
          response: LongAnswer,
        },
      },
      async ({ params: { owner }, body, query }, reply) => {
        const { peer, ...wanted } = body;
        const { jobId } = await app.protectGroup({
          groupId: await groupId(app, owner),
          peerId: await peerIdOf(app, peer),
          ...wanted,
        });
        return answerJob(reply, app, jobId, query.wait);
      },
    );

    http.patch(
      path,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: `Change how a ${noun} is replicated`,
          params,
          body: Change,
          response: { 200: Session },
        },
      },
      async ({ params: { owner }, body }) => {
        const sessionId = await sessionIdOf(owner);
        await app.changeSession({ sessionId, ...body });
        return saySession(await app.showSession(sessionId));
      },
    );

    http.delete(
      path,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: `End a ${noun}'s replication`,
          description: 'With `discardCopy` or `force` it wants the confirmation of its preflight.',
          params,
          querystring: End,
          response: LongAnswer,
        },
      },
      async ({ params: { owner }, query: { wait, ...asked } }, reply) => {
        const { jobId } = await app.unprotectGroup(await endOf(owner, asked));
        return answerJob(reply, app, jobId, wait);
      },
    );

    http.post(
      `${path}/preflight`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: `What ending a ${noun}'s replication would do; nothing happens`,
          params,
          body: object(ending),
          response: { 200: EndPreflight },
        },
      },
      async ({ params: { owner }, body }) => {
        const seen = await app.preflightUnprotect(await endOf(owner, body));
        const { points, consequence, blockedBy, confirmation } = seen;
        return known({ points, consequence, blockedBy: [...blockedBy], confirmation });
      },
    );

    http.post(
      `${path}/sync`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: 'Start a cycle now',
          description: 'While one runs, that one is the answer.',
          params,
          querystring: object(Wait),
          response: LongAnswer,
        },
      },
      async ({ params: { owner }, query }, reply) => {
        const { jobId } = await app.synchronizeGroup({ groupId: await groupId(app, owner) });
        return answerJob(reply, app, jobId, query.wait);
      },
    );

    const command = (
      verb: string,
      summary: string,
      carryOut: (groupId: GroupId, sessionId: SessionId, by: string) => Promise<unknown>,
    ): unknown =>
      http.post(
        `${path}/${verb}`,
        {
          config: { needs: 'recovery' },
          schema: { tags, summary, params, response: { 200: Session } },
        },
        async (request) => {
          const owned = await groupId(app, request.params.owner);
          const { id } = await needSession(app, owned);
          await carryOut(owned, id, callerName(request));
          return saySession(await app.showSession(id));
        },
      );

    command('pause', 'Stop cycles at both sites until resumed', (_group, sessionId, by) =>
      app.pauseSession({ sessionId, by }),
    );
    command(
      'release',
      'Let the hosts of a session that holds them go on alone',
      (_group, sessionId, by) => app.releaseHosts({ sessionId, by }),
    );
    command('resume', 'Go on with cycles at both sites', (_group, sessionId) =>
      app.resumeSession({ sessionId }),
    );
  };
}

/** @throws Refusal `not_protected` */
async function needSession(app: App, groupId: GroupId): Promise<SessionView> {
  const { session } = await app.showGroup(groupId);
  if (session === undefined) return refuse({ code: 'not_protected', groupId });
  return app.showSession(session.id);
}
