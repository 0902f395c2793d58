/**
 * A group's replication: `/groups/{group}/session` and, for a volume that stands alone,
 * `/volumes/{volume}/session`. Both paths have the same verbs.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import { modeOf } from '../../app/session-mode.ts';
import type { SessionView } from '../../app/views.ts';
import { dataConditionStates } from '../../domain/data-condition.ts';
import { isId } from '../../domain/ids.ts';
import type { GroupId, SessionId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { MAX_RETAINED_POINTS, sessionStates } from '../../domain/replication-session.ts';
import type { ReplicationSession } from '../../domain/replication-session.ts';
import type { Synchrony } from '../../domain/synchrony.ts';
import { Window, sayWindow } from './failover-window.ts';
import { LongAnswer, Progress, answerJob } from './jobs.ts';
import { callerName } from '../callers.ts';
import type { DialectOptions } from '../options.ts';
import { Link, sayLink } from './peers.ts';
import { groupIdOf, peerIdOf, volumeIdOf } from './references.ts';
import {
  Instant,
  Named,
  PageOf,
  Paging,
  Reference,
  Uuid,
  Wait,
  iso,
  isoOr,
  known,
  object,
  page,
} from './schemas.ts';

export const Session = Type.Object({
  id: Uuid,
  group: Named,
  peer: Named,
  role: Type.Enum(['source', 'destination']),
  state: Type.Enum([...sessionStates]),
  stateSince: Instant,
  mode: Type.Enum(['async', 'sync']),
  sync: Type.Optional(
    Type.Object({
      condition: Type.Enum([...dataConditionStates]),
      since: Instant,
      why: Type.String(),
      stallSeconds: Type.Integer({ description: 'Hosts wait no longer for the other site.' }),
      onLoss: Type.Enum(['continue', 'hold']),
      completeUpTo: Type.Optional(
        Type.String({
          format: 'date-time',
          description:
            "At the destination: all that the source's hosts were answered for until then is here.",
        }),
      ),
    }),
  ),
  provisional: Type.Boolean({ description: "The holder's failover can still be rolled back." }),
  window: Type.Optional(Window),
  parkedBecause: Type.Optional(
    Type.String({ description: 'Why the system paused it; it tries again by itself.' }),
  ),
  pause: Type.Optional(
    Type.Object({
      before: Type.Enum([...sessionStates]),
      bothSides: Type.Boolean({ description: 'False: the other site has not been paused.' }),
    }),
  ),
  failoverTest: Type.Optional(
    Type.Object({ copyId: Uuid, name: Type.String() }, { description: 'It runs at this site.' }),
  ),
  backlog: Type.Optional(
    Type.Object(
      {
        bytes: Type.Integer(),
        estimatedSeconds: Type.Optional(Type.Integer()),
      },
      { description: 'What adds up at a source while its cycles rest; it travels as one delta.' },
    ),
  ),
  rpoSeconds: Type.Integer(),
  rpoNowSeconds: Type.Optional(
    Type.Integer({
      description:
        'Age of the newest point that the destination has complete. Absent: it has none.',
    }),
  ),
  rpoMet: Type.Boolean(),
  bytesPerSecond: Type.Optional(Type.Integer({ description: 'Absent: no limit.' })),
  retainedPoints: Type.Integer(),
  newestPoint: Type.Optional(
    Type.Object({ id: Uuid, sequence: Type.Integer(), sealedAt: Instant }),
  ),
  comparesWith: Type.Optional(
    Type.String({
      format: 'uuid',
      description:
        'The sites have no point in common: the next cycle compares all bytes with this point of ' +
        "the destination's by their hashes, and sends what differs.",
    }),
  ),
  cycle: Type.Optional(
    Type.Object({
      jobId: Uuid,
      pointId: Uuid,
      startedAt: Instant,
      progress: Type.Optional(Progress),
    }),
  ),
  lastCycle: Type.Optional(
    Type.Object({
      pointId: Uuid,
      kind: Type.Enum(['full', 'delta']),
      why: Type.String(),
      sealedAt: Instant,
      completedAt: Instant,
      durationMs: Type.Number(),
      sentBytes: Type.Integer(),
      restarts: Type.Integer(),
    }),
  ),
  nextCycleAt: Type.Optional(Instant),
  link: Type.Optional(Link),
  createdAt: Instant,
});

/** What the store's row itself tells; an event has no more. */
export function saySessionRow(session: ReplicationSession) {
  const { cycle, lastCycle } = session;
  return known({
    id: session.id,
    role: session.role,
    state: session.state,
    stateSince: iso(session.stateSince),
    mode: modeOf(session),
    sync: session.sync && saySync(session.sync),
    parkedBecause: session.parkedBecause,
    pause: session.pause,
    rpoSeconds: session.rpoSeconds,
    bytesPerSecond: session.bytesPerSecond,
    retainedPoints: session.retainedPoints,
    comparesWith: session.comparesWith,
    cycle: cycle && {
      jobId: cycle.sagaId,
      pointId: cycle.pointId,
      startedAt: iso(cycle.startedAt),
    },
    lastCycle: lastCycle && {
      ...lastCycle,
      sealedAt: iso(lastCycle.sealedAt),
      completedAt: iso(lastCycle.completedAt),
    },
    createdAt: iso(session.createdAt),
  });
}

function saySync({ condition, stallSeconds, onLoss = 'continue', completeUpTo }: Synchrony) {
  const { state, since, why } = condition;
  return known({
    condition: state,
    since: iso(since),
    why,
    stallSeconds,
    onLoss,
    completeUpTo: isoOr(completeUpTo),
  });
}

export function saySession(session: SessionView): Static<typeof Session> {
  const { newestPoint, link, progress, backlog, failoverTest, provisional, window } = session;
  const row = saySessionRow(session);
  return known({
    ...row,
    group: { id: session.groupId, name: session.groupName },
    peer: { id: session.peerId, name: session.peerName },
    provisional,
    window: window && sayWindow(window, session.peerName),
    failoverTest: failoverTest && { copyId: failoverTest.id, name: failoverTest.name },
    backlog: backlog && known(backlog),
    rpoNowSeconds: session.rpoNowSeconds,
    rpoMet: session.rpoMet,
    newestPoint: newestPoint && {
      id: newestPoint.id,
      sequence: newestPoint.sequence,
      sealedAt: iso(newestPoint.sealedAt),
    },
    cycle: row.cycle && known({ ...row.cycle, progress: progress && known(progress) }),
    nextCycleAt: isoOr(session.nextCycleAt),
    link: link && sayLink(link),
  });
}

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
const End = object({
  ...Wait,
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
          params,
          querystring: End,
          response: LongAnswer,
        },
      },
      async ({ params: { owner }, query: { wait, discardCopy = false, force = false } }, reply) => {
        const { jobId } = await app.unprotectGroup({
          groupId: await groupId(app, owner),
          discardCopy,
          force,
        });
        return answerJob(reply, app, jobId, wait);
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
