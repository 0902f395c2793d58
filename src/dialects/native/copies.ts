/** What was opened beside a group: failover tests, clones, mounted points and forks. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { FailoverTestPreflight } from '../../app/failover-test.ts';
import type { CopyView } from '../../app/copies.ts';
import { MAX_COPY_TERM_SECONDS, MIN_COPY_TERM_SECONDS } from '../../domain/copy.ts';
import type { CopyOf, Copy as CopyRow } from '../../domain/copy.ts';
import { isId } from '../../domain/ids.ts';
import type { CopyId, ForkId, GroupId, PointId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { DialectOptions } from '../options.ts';
import { Job, LongAnswer, answerJob } from './jobs.ts';
import { Point, sayPoint } from './points.ts';
import { groupIdOf, volumeIdOf } from './references.ts';
import {
  Instant,
  PageOf,
  Paging,
  Reference,
  Uuid,
  Wait,
  iso,
  known,
  object,
  page,
} from './schemas.ts';

const Copy = Type.Object({
  id: Uuid,
  name: Type.String(),
  purpose: Type.Enum(['failover_test', 'clone', 'mount']),
  group: Type.Object({ id: Uuid, name: Type.String() }),
  of: Type.Object({ point: Type.Optional(Uuid), fork: Type.Optional(Uuid) }),
  writable: Type.Boolean(),
  hosts: Type.Array(Type.String()),
  state: Type.Enum(['opening', 'open', 'closing']),
  openedAt: Instant,
  endsInSeconds: Type.Optional(
    Type.Integer({ description: 'It ends by itself then. Absent: when somebody ends it.' }),
  ),
  writtenBytes: Type.Optional(Type.Integer()),
  tlsName: Type.String({ description: 'In the certificate of what serves it.' }),
  address: Type.Optional(Type.Object({ host: Type.String(), port: Type.Integer() })),
  volumes: Type.Array(
    Type.Object({
      id: Uuid,
      exportName: Type.String(),
      sizeBytes: Type.Integer(),
      uri: Type.Optional(Type.String({ description: 'With the certificate of one of its hosts.' })),
    }),
  ),
});

export function sayCopyRow(copy: CopyRow) {
  const { id, name, purpose, of, writable, hosts, state, openedAt, leftMs } = copy;
  return known({
    id,
    name,
    purpose,
    of: 'forkId' in of ? { fork: of.forkId } : { point: of.pointId },
    writable,
    hosts: [...hosts],
    state,
    openedAt: iso(openedAt),
    endsInSeconds: leftMs === undefined ? undefined : Math.ceil(leftMs / 1000),
  });
}

function sayCopy(copy: CopyView): Static<typeof Copy> {
  const { opened, groupId, groupName } = copy;
  const at = opened?.dataPlane === 'running' ? opened.address : undefined;
  return known({
    ...sayCopyRow(copy),
    group: { id: groupId, name: groupName },
    tlsName: copy.tlsName,
    writtenBytes: opened?.writtenBytes,
    address: at,
    volumes: (opened?.volumes ?? []).map(({ volumeId, name, sizeBytes }) =>
      known({
        id: volumeId,
        exportName: name,
        sizeBytes,
        uri: at && `nbds://${at.host}:${at.port}/${encodeURIComponent(name)}`,
      }),
    ),
  });
}

const Hosts = Type.Optional(
  Type.Array(Type.String({ maxLength: 64 }), {
    maxItems: 64,
    description: "Names of those that may attach it. Absent: the group's.",
  }),
);
const Term = Type.Optional(
  Type.Integer({
    description: `It ends by itself then; ${MIN_COPY_TERM_SECONDS} to ${MAX_COPY_TERM_SECONDS}.`,
  }),
);
const StartTest = object({ point: Type.Optional(Uuid), hosts: Hosts, termSeconds: Term });
const Keep = Type.Optional(
  Type.Boolean({ default: false, description: 'What was written becomes a fork; else it goes.' }),
);
const Shown = { point: Type.Optional(Uuid), fork: Type.Optional(Uuid) };
const Clone = object({
  name: Type.String({ maxLength: 64 }),
  ...Shown,
  writable: Type.Optional(Type.Boolean({ default: true })),
  hosts: Hosts,
  termSeconds: Term,
});

const TestPreflight = Type.Object({
  point: Type.Optional(Point),
  hosts: Type.Array(Type.String()),
  blockedBy: Type.Array(Type.String()),
  endsAt: Instant,
});

function sayTest({
  point,
  hosts,
  blockedBy,
  endsAt,
}: FailoverTestPreflight): Static<typeof TestPreflight> {
  return known({
    point: point && sayPoint(point),
    hosts: [...hosts],
    blockedBy: [...blockedBy],
    endsAt: iso(endsAt),
  });
}

const TestAnswer = Type.Object({
  job: Type.Optional(Job),
  copyId: Type.Optional(Uuid),
  preflight: Type.Optional(TestPreflight),
});
const CopyJob = Type.Object({ job: Job, copyId: Uuid });
const ById = Type.Object({ copy: Type.String() });

export const copies: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  const { app } = options;
  const tags = ['copies'];

  http.get(
    '/copies',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'List failover tests, clones and mounts at this site',
        querystring: object({ ...Paging, group: Type.Optional(Reference) }),
        response: { 200: PageOf(Copy) },
      },
    },
    async ({ query }) => {
      const groupId = query.group === undefined ? undefined : await groupIdOf(app, query.group);
      return page(await app.listCopies({ groupId }), query, sayCopy);
    },
  );

  http.get(
    '/copies/:copy',
    {
      config: { needs: 'view' },
      schema: { tags, summary: 'Show a copy', params: ById, response: { 200: Copy } },
    },
    async ({ params }) => sayCopy(await app.showCopy(await copyIdOf(app, params.copy))),
  );

  http.delete(
    '/copies/:copy',
    {
      config: { needs: 'recovery' },
      schema: {
        tags,
        summary: 'End a copy',
        params: ById,
        querystring: object({ ...Wait, keep: Keep }),
        response: LongAnswer,
      },
    },
    async ({ params, query: { wait, keep } }, reply) => {
      const { jobId } = await app.discardCopy({ copyId: await copyIdOf(app, params.copy), keep });
      return answerJob(reply, app, jobId, wait);
    },
  );

  http.post(
    '/copies/:copy/refresh',
    {
      config: { needs: 'recovery' },
      schema: {
        tags,
        summary: 'Show another point or fork, the newest point unless told; what was written goes',
        params: ById,
        querystring: object(Wait),
        body: object(Shown),
        response: LongAnswer,
      },
    },
    async ({ params, body, query }, reply) => {
      const copyId = await copyIdOf(app, params.copy);
      const { jobId } = await app.refreshClone({ copyId, of: shownBy(body) });
      return answerJob(reply, app, jobId, query.wait);
    },
  );

  await http.register(copiesOf('group', groupIdOf), options);
  await http.register(
    copiesOf('volume', async (of, reference) =>
      of.groupOfLoneVolume({ volumeId: await volumeIdOf(of, reference), wanted: 'recovering' }),
    ),
    options,
  );
};

function copiesOf(
  noun: 'group' | 'volume',
  groupOf: (app: App, reference: string) => Promise<GroupId>,
): FastifyPluginAsyncTypebox<DialectOptions> {
  const tags = [`${noun}s`];
  const params = Type.Object({ owner: Reference });
  return async (http, { app }) => {
    http.post(
      `/${noun}s/:owner/failover-test`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: `Start a failover test of a ${noun} at its destination`,
          description:
            'Hosts write on a copy of a point while replication goes on. With `dryRun` nothing ' +
            'happens: the answer says what would.',
          params,
          querystring: object({ ...Wait, dryRun: Type.Optional(Type.Boolean()) }),
          body: StartTest,
          response: { 200: TestAnswer, 202: TestAnswer },
        },
      },
      async ({ params: { owner }, body: { point, ...body }, query }, reply) => {
        const groupId = await groupOf(app, owner);
        const request = { groupId, pointId: point as PointId | undefined, ...body };
        if (query.dryRun === true) {
          return { preflight: sayTest(await app.preflightFailoverTest(request)) };
        }
        const { jobId, copyId } = await app.startFailoverTest(request);
        return { ...(await answerJob(reply, app, jobId, query.wait)), copyId };
      },
    );

    http.post(
      `/${noun}s/:owner/failover-test/preflight`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: 'What a failover test would show; nothing happens',
          params,
          body: StartTest,
          response: { 200: TestPreflight },
        },
      },
      async ({ params: { owner }, body: { point, ...body } }) => {
        const groupId = await groupOf(app, owner);
        const pointId = point as PointId | undefined;
        return sayTest(await app.preflightFailoverTest({ groupId, pointId, ...body }));
      },
    );

    http.delete(
      `/${noun}s/:owner/failover-test`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: `Stop a failover test of a ${noun}`,
          params,
          querystring: object({ ...Wait, keep: Keep }),
          response: LongAnswer,
        },
      },
      async ({ params: { owner }, query: { wait, keep } }, reply) => {
        const { jobId } = await app.stopFailoverTest({ groupId: await groupOf(app, owner), keep });
        return answerJob(reply, app, jobId, wait);
      },
    );

    http.post(
      `/${noun}s/:owner/copies`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags,
          summary: `Open a point or a fork of a ${noun} beside it, read-only or writable`,
          params,
          querystring: object(Wait),
          body: Clone,
          response: { 200: CopyJob, 202: CopyJob },
        },
      },
      async ({ params: { owner }, body, query }, reply) => {
        const { point, fork, writable = true, ...rest } = body;
        const groupId = await groupOf(app, owner);
        const request = { groupId, ...rest, writable, of: shownBy({ point, fork }) };
        const { jobId, copyId } = await app.cloneGroup(request);
        return { ...(await answerJob(reply, app, jobId, query.wait)), copyId };
      },
    );
  };
}

function shownBy({
  point,
  fork,
}: {
  point?: string | undefined;
  fork?: string | undefined;
}): CopyOf | undefined {
  if (point !== undefined && fork !== undefined) {
    refuse({ code: 'invalid', field: 'fork', wanted: 'a point or a fork', seen: 'both' });
  }
  if (fork !== undefined) return { forkId: fork as ForkId };
  return point === undefined ? undefined : { pointId: point as PointId };
}

/** By id or by name. */
async function copyIdOf(app: App, reference: string): Promise<CopyId> {
  const id = reference.toLowerCase();
  if (isId(id)) return id as CopyId;
  const found = (await app.listCopies({})).find(({ name }) => name === reference);
  return found?.id ?? refuse({ code: 'not_found', what: 'copy', id: reference });
}
