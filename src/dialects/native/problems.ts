/** Every "no" of this dialect: RFC 9457 `application/problem+json`. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Failure, Refusal } from '../../domain/refusal.ts';
import type { Reason } from '../../domain/refusal.ts';
import type { FailureLog } from '../options.ts';
import { JobUndone, sayJob } from './jobs.ts';
import { headersOf, said } from './refusals.ts';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** The operator's sentence. */
  readonly detail: string;
  /** The request's id, as in the log and in the header `x-request-id`. */
  readonly instance: string;
  /** The refusal's facts for programs, its `code` first. */
  readonly reason?: Reason;
  readonly [extension: string]: unknown;
}

/** A refusal of another kind than ours: of HTTP itself. */
interface HttpRefusal {
  readonly status: number;
  readonly type: string;
  readonly title: string;
  readonly detail: string;
}

export function answerProblems(http: FastifyInstance, log: FailureLog): void {
  http.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof Refusal) return answerRefusal(reply, error.reason, error.message);
    if (error instanceof JobUndone) return answerUndone(reply, error);
    const refusal = httpRefusal(error);
    if (refusal !== undefined) return answer(reply, refusal);
    const { method, routeOptions } = request;
    const what = `${method} ${routeOptions.url ?? 'of no route'}`;
    log.error({ event: 'request_failed', requestId: request.id, what, error });
    return answer(reply, error instanceof Failure ? failure(request) : bug(request));
  });
  http.setNotFoundHandler((request, reply) =>
    answer(reply, {
      status: 404,
      type: 'no-such-path',
      title: 'There is no such path',
      detail: `${request.method} ${pathOf(request)} is not part of this API`,
    }),
  );
}

function answerUndone(reply: FastifyReply, { job, message }: JobUndone): FastifyReply {
  const extensions = { job: sayJob(job) };
  const reason = job.outcome?.reason;
  if (reason !== undefined) return answerRefusal(reply, reason, message, extensions);
  const [type, title] = ['job-undone', 'It did not work, and everything was put back'];
  return answer(reply, { status: 503, type, title, detail: message }, extensions);
}

function answerRefusal(
  reply: FastifyReply,
  reason: Reason,
  detail: string,
  extensions: Readonly<Record<string, unknown>> = {},
): FastifyReply {
  const [status, type, title] = said[reason.code];
  reply.headers(headersOf(reason));
  return answer(reply, { status, type, title, detail }, { reason, ...extensions });
}

const problemTypes = new WeakMap<FastifyRequest, string>();

/** What kind of problem the request was answered with, if any. */
export function problemTypeOf(request: FastifyRequest): string | undefined {
  return problemTypes.get(request);
}

export function answer(
  reply: FastifyReply,
  { status, type, title, detail }: HttpRefusal,
  extensions: Readonly<Record<string, unknown>> = {},
): FastifyReply {
  const problem: Problem = {
    type: `urn:baton:problem:${type}`,
    title,
    status,
    detail,
    instance: reply.request.id,
    ...extensions,
  };
  problemTypes.set(reply.request, type);
  return reply
    .code(status)
    .type('application/problem+json')
    .serializer((body: unknown) => JSON.stringify(body))
    .send(problem);
}

const httpRefusals: Readonly<Record<string, HttpRefusal>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    status: 413,
    type: 'body-too-large',
    title: 'The body is too large',
    detail: 'a body may have at most 1 MiB',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 415,
    type: 'unsupported-media-type',
    title: 'The body is of another type',
    detail: 'a body is application/json',
  },
};

/** What Fastify itself refuses; its own words stay out of the answer. */
function httpRefusal({ code, statusCode = 500 }: FastifyError): HttpRefusal | undefined {
  const known = httpRefusals[code];
  if (known !== undefined || statusCode < 400 || statusCode > 499) return known;
  return {
    status: statusCode,
    type: 'malformed',
    title: 'The request is malformed',
    detail: statusCode === 400 ? 'the body is not valid JSON' : 'the request cannot be understood',
  };
}

function failure({ id }: FastifyRequest): HttpRefusal {
  return {
    status: 503,
    type: 'failure',
    title: 'The system did not work as it should',
    detail: `it may be worth another try; the site's log has more under request ${id}`,
  };
}

function bug({ id }: FastifyRequest): HttpRefusal {
  return {
    status: 500,
    type: 'internal',
    title: 'This is a defect',
    detail: `the site's log has more under request ${id}`,
  };
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] ?? url;
}
