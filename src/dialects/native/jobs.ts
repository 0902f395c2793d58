/** Long requests answer with a job, and jobs can be followed, waited for and aborted. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import { isId } from '../../domain/ids.ts';
import type { SagaId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { hasEnded } from '../../domain/saga-record.ts';
import type { SagaRecord } from '../../domain/saga-record.ts';
import { jobAfter } from '../await-job.ts';
import { callerName } from '../callers.ts';
import type { DialectOptions } from '../options.ts';
import { groupIdOf } from './references.ts';
import {
  Instant,
  Paging,
  PageOf,
  Reference,
  Uuid,
  Wait,
  iso,
  isoOr,
  known,
  object,
  page,
} from './schemas.ts';

const states = ['running', 'undoing', 'done', 'undone'] as const;
const NO_RETURN = 'point-of-no-return';

export const Progress = Type.Object({
  comparing: Type.Optional(
    Type.Boolean({
      description: 'So many bytes were compared by their hashes; only what differs is sent.',
    }),
  ),
  sentBytes: Type.Integer(),
  totalBytes: Type.Integer(),
  bytesPerSecond: Type.Optional(Type.Integer({ description: 'Over the last seconds.' })),
  etaSeconds: Type.Optional(Type.Integer()),
});

export const Job = Type.Object({
  id: Uuid,
  kind: Type.String(),
  state: Type.Enum([...states], {
    description:
      '`undone` is a failure: everything was put back, and `outcome` says why. `done` with an ' +
      '`outcome` came to nothing: it says why, and nothing had to be put back.',
  }),
  groupId: Type.Optional(Uuid),
  parentId: Type.Optional(Uuid),
  abortable: Type.Boolean({ description: 'It has not passed its point of no return.' }),
  doing: Type.Optional(Type.String({ description: 'The step that runs or is tried again.' })),
  attempts: Type.Integer(),
  trouble: Type.Optional(
    Type.String({ description: 'Why the last attempt of the running step did not work.' }),
  ),
  progress: Type.Optional(Progress),
  abortAskedBy: Type.Optional(Type.String()),
  outcome: Type.Optional(
    Type.Object({
      message: Type.String(),
      reason: Type.Optional(Type.Object({ code: Type.String() }, { additionalProperties: true })),
    }),
  ),
  steps: Type.Array(
    Type.Object({ name: Type.String(), startedAt: Instant, durationMs: Type.Number() }),
  ),
  startedAt: Instant,
  endedAt: Type.Optional(Instant),
});

export const Accepted = Type.Object({ job: Job });

/** What a long request answers with: 202, or 200 when the caller waited and it is done. */
export const LongAnswer = { 200: Accepted, 202: Accepted };

export function sayJob(job: SagaRecord): Static<typeof Job> {
  const { id, kind, state, groupId, parentId, doing, attempts, trouble, outcome } = job;
  const passed = job.steps.some((step) => step.name === NO_RETURN);
  return known({
    id,
    kind,
    state,
    groupId,
    parentId,
    abortable: state === 'running' && !passed && job.abortAskedBy === undefined,
    doing,
    attempts,
    trouble,
    progress: job.progress && known(job.progress),
    abortAskedBy: job.abortAskedBy,
    outcome: outcome && known(outcome),
    steps: job.steps
      .filter((step) => step.name !== NO_RETURN)
      .map(({ name, startedAt, durationMs }) => ({ name, startedAt: iso(startedAt), durationMs })),
    startedAt: iso(job.startedAt),
    endedAt: isoOr(job.endedAt),
  });
}

/** A job that somebody waited for and that did not succeed: answered as the problem it had. */
export class JobUndone extends Error {
  override readonly name = 'JobUndone';
  readonly job: SagaRecord;

  constructor(job: SagaRecord) {
    super(job.outcome?.message ?? 'the job was undone');
    this.job = job;
  }
}

interface Reply {
  code(status: 200 | 202): unknown;
  header(name: string, value: string): unknown;
  readonly server: { readonly prefix: string };
}

/**
 * Answers a long request: 202 with the job while it runs, 200 once it is done.
 *
 * @param waitSeconds how long to wait for its end before answering
 * @throws JobUndone
 */
export async function answerJob(
  reply: Reply,
  app: App,
  jobId: SagaId,
  waitSeconds = 0,
): Promise<Static<typeof Accepted>> {
  reply.header('location', `${reply.server.prefix}/jobs/${jobId}`);
  const job = await jobAfter(app, jobId, waitSeconds);
  if (job.state === 'undone') throw new JobUndone(job);
  reply.code(job.state === 'done' ? 200 : 202);
  return { job: sayJob(job) };
}

const ById = Type.Object({ job: Type.String() });

export const jobs: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  http.get(
    '/jobs',
    {
      config: { needs: 'view' },
      schema: {
        tags: ['jobs'],
        summary: 'List jobs, newest first',
        querystring: object({
          ...Paging,
          group: Type.Optional(Reference),
          kind: Type.Optional(Type.String({ maxLength: 64 })),
          state: Type.Optional(Type.Enum([...states])),
        }),
        response: { 200: PageOf(Job) },
      },
    },
    async ({ query }) => {
      const groupId = query.group === undefined ? undefined : await groupIdOf(app, query.group);
      const all = await app.listJobs({ groupId, kind: query.kind });
      const shown = all.filter((job) => query.state === undefined || job.state === query.state);
      return page(shown, query, sayJob);
    },
  );

  http.get(
    '/jobs/:job',
    {
      config: { needs: 'view' },
      schema: {
        tags: ['jobs'],
        summary: 'Show a job, at once or when it has ended',
        params: ById,
        querystring: object(Wait),
        response: { 200: Job },
      },
    },
    async ({ params, query }) => sayJob(await jobAfter(app, jobIdOf(params.job), query.wait ?? 0)),
  );

  http.post(
    '/jobs/:job/abort',
    {
      config: { needs: 'recovery' },
      schema: {
        tags: ['jobs'],
        summary: 'Ask a job to put everything back',
        description: 'Refused once it has passed its point of no return. It ends `undone`.',
        params: ById,
        querystring: object(Wait),
        response: { 200: Accepted, 202: Accepted },
      },
    },
    async (request, reply) => {
      const jobId = jobIdOf(request.params.job);
      await app.abortJob({ jobId, by: callerName(request) });
      const job = await jobAfter(app, jobId, request.query.wait ?? 0);
      reply.code(hasEnded(job) ? 200 : 202);
      return { job: sayJob(job) };
    },
  );
};

function jobIdOf(text: string): SagaId {
  const id = text.toLowerCase();
  return isId(id) ? (id as SagaId) : refuse({ code: 'not_found', what: 'job', id: text });
}
