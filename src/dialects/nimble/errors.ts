/** Every "no" of this dialect: `{"messages": [<HTTP's own code>, <the detail code>]}`. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Failure, Refusal } from '../../domain/refusal.ts';
import type { FailureLog } from '../options.ts';
import { codes, protocolCodes } from './codes.ts';
import type { Code } from './codes.ts';
import { wordsFor } from './refusals.ts';

/** Named values of a message, as `{"arg": "name"}`. */
type Arguments = Readonly<Record<string, string>>;

/** A "no" that only this dialect has: of its paths, queries and bodies. Nothing was changed. */
export class NimbleError extends Error {
  override readonly name = 'NimbleError';
  readonly code: Code;
  readonly arguments: Arguments | undefined;

  /** @param detail what was wrong and what would be right, after the vendor's own text */
  constructor(code: Code, detail: string, named?: Arguments) {
    super(detail);
    this.code = code;
    this.arguments = named;
  }
}

export function answerErrors(http: FastifyInstance, log: FailureLog): void {
  http.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof NimbleError) return answer(reply, error);
    if (error instanceof Refusal) {
      return answer(reply, new NimbleError(wordsFor(error.reason), error.message));
    }
    const refused = httpError(error);
    if (refused !== undefined) return answer(reply, refused);
    const what = `${request.method} ${request.routeOptions.url ?? 'of no route'}`;
    log.error({ event: 'request_failed', requestId: request.id, what, error });
    const isFailure = error instanceof Failure;
    const detail = `The site's log has more under request ${request.id}.`;
    return answer(reply, new NimbleError(isFailure ? 'SM_eagain' : 'SM_internal', detail));
  });
}

const codesSaid = new WeakMap<FastifyRequest, Code>();

/** The detail code that the request was answered with, if it was refused. */
export function codeSaid(request: FastifyRequest): Code | undefined {
  return codesSaid.get(request);
}

export function answer(reply: FastifyReply, error: NimbleError): FastifyReply {
  const [status, text] = codes[error.code];
  const [protocolCode = '', protocolText = ''] = protocolCodes[status] ?? [];
  codesSaid.set(reply.request, error.code);
  return reply.code(status).send({
    messages: [
      { code: protocolCode, severity: 'error', text: protocolText },
      {
        code: error.code,
        severity: 'error',
        ...(error.arguments && { arguments: error.arguments }),
        text: `${text} ${error.message}`.trim(),
      },
    ],
  });
}

/** What Fastify itself refuses; its own words stay out of the answer. */
function httpError({ code, statusCode = 500 }: FastifyError): NimbleError | undefined {
  if (statusCode < 400 || statusCode > 499) return undefined;
  const detail =
    code === 'FST_ERR_CTP_BODY_TOO_LARGE'
      ? 'The body may have at most 1 MiB.'
      : 'The body is not valid JSON.';
  return new NimbleError('SM_einval', detail);
}
