/** Every "no" of this dialect: a fault, one member named by the status, with `code` and `message`. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Failure, Refusal } from '../../domain/refusal.ts';
import type { Reason } from '../../domain/refusal.ts';
import type { EvsOptions } from './options.ts';
import { said } from './refusals.ts';

/** The member that a fault is, by its status. */
const faults: Readonly<Record<number, string>> = {
  400: 'badRequest',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  406: 'computeFault',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  500: 'computeFault',
  503: 'serviceUnavailable',
};

/** What the identity service says to whatever is wrong, and both to who has not signed in. */
const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** A "no" that only this dialect has: of its paths, queries, bodies and states. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Answer = (reply: FastifyReply, status: number, message: string) => FastifyReply;

/** @param answer in the words of the one service or the other */
export function answerErrors(
  http: FastifyInstance,
  { log, urls }: EvsOptions,
  answer: Answer,
): void {
  http.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof Fault) return answer(reply, error.status, error.message);
    if (error instanceof Refusal) {
      const { reason, message } = error;
      const [extension, base] = said[reason.code];
      const status = request.routeOptions.config.isExtension === true ? extension : base;
      reply.headers(headersOf(reason, urls.identity));
      return answer(reply, status, sentenceFor(reason, message));
    }
    const refused = httpFault(error);
    if (refused !== undefined) return answer(reply, refused.status, refused.message);
    const what = `${request.method} ${request.routeOptions.url ?? 'of no route'}`;
    log.error({ event: 'request_failed', requestId: request.id, what, error });
    const detail = `The site's log has more under request ${request.id}.`;
    return error instanceof Failure
      ? answer(reply, 503, `The system did not work as it should. ${detail}`)
      : answer(reply, 500, `This is a defect. ${detail}`);
  });
}

const messagesSaid = new WeakMap<FastifyRequest, string>();

/** What was said to a request that was refused: for the audit log. */
export function faultSaid(request: FastifyRequest): string | undefined {
  return messagesSaid.get(request);
}

/** The volume service's words. */
export function answerFault(reply: FastifyReply, status: number, message: string): FastifyReply {
  const member = faults[status];
  if (member === undefined) return answerIdentityFault(reply, status, message);
  note(reply, member);
  if (status === 413) reply.header('retry-after', '0');
  const retryAfter = status === 413 ? { retryAfter: '0' } : {};
  return reply.code(status).send({ [member]: { code: status, message, ...retryAfter } });
}

/** The identity service's words. */
export function answerIdentityFault(
  reply: FastifyReply,
  status: number,
  message: string,
): FastifyReply {
  const title = titles[status] ?? 'Error';
  note(reply, title);
  return reply.code(status).send({ error: { code: status, title, message } });
}

function note({ request }: FastifyReply, what: string): void {
  messagesSaid.set(request, what);
}

function headersOf(reason: Reason, identity: string): Readonly<Record<string, string>> {
  if (reason.code === 'unauthenticated') {
    return { 'www-authenticate': `Keystone uri="${identity}"` };
  }
  if (reason.code === 'too_many_logins') return { 'retry-after': `${reason.retryAfterSeconds}` };
  return {};
}

/** Who has not signed in is told the same, whatever was wrong. */
function sentenceFor({ code }: Reason, message: string): string {
  return code === 'unauthenticated'
    ? 'The request you have made requires authentication.'
    : message;
}

/** What Fastify itself refuses; its own words stay out of the answer. */
function httpFault({ code, statusCode = 500 }: FastifyError): Fault | undefined {
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Fault(413, 'Request is too large: a body may have at most 112 KiB.');
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new Fault(415, 'Unsupported Content-Type: a body is application/json.');
  }
  if (statusCode < 400 || statusCode > 499) return undefined;
  return new Fault(400, 'Malformed request: the body is not valid JSON.');
}
