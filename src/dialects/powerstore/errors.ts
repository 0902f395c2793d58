/** Every "no" of this dialect: `{"messages": [{"code", "severity", "message_l10n", "arguments"}]}`. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Failure, Refusal } from '../../domain/refusal.ts';
import type { FailureLog } from '../options.ts';
import { codes } from './codes.ts';
import type { Code } from './codes.ts';
import { wordsFor } from './refusals.ts';

/** A "no" that only this dialect has: of its paths, queries and bodies. Nothing was changed. */
export class PowerStoreError extends Error {
  override readonly name = 'PowerStoreError';
  readonly code: Code;
  readonly arguments: readonly string[];

  /** @param named ids and values that the sentence speaks of */
  constructor(code: Code, sentence: string, ...named: readonly string[]) {
    super(sentence);
    this.code = code;
    this.arguments = named;
  }
}

export function answerErrors(http: FastifyInstance, log: FailureLog): void {
  http.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof PowerStoreError) return answer(reply, error);
    if (error instanceof Refusal) return answer(reply, asError(error));
    const refused = httpError(error);
    if (refused !== undefined) return answer(reply, refused);
    const what = `${request.method} ${request.routeOptions.url ?? 'of no route'}`;
    log.error({ event: 'request_failed', requestId: request.id, what, error });
    const code = error instanceof Failure ? 'try_again' : 'internal';
    const sentence = `The site's log has more under request ${request.id}.`;
    return answer(reply, new PowerStoreError(code, sentence));
  });
}

/** A refusal of the domain in this dialect's words. */
export function asError({ reason, message }: Pick<Refusal, 'reason' | 'message'>): PowerStoreError {
  const named = 'id' in reason ? [reason.id] : 'name' in reason ? [reason.name] : [];
  return new PowerStoreError(wordsFor(reason), message, ...named);
}

const codesSaid = new WeakMap<FastifyRequest, Code>();

/** What the request was refused with, if it was. */
export function codeSaid(request: FastifyRequest): string | undefined {
  const code = codesSaid.get(request);
  return code && codes[code][1];
}

export function answer(reply: FastifyReply, error: PowerStoreError): FastifyReply {
  codesSaid.set(reply.request, error.code);
  return reply.code(codes[error.code][0]).send(sayError(error));
}

/** The HTTP status of an error, as a job remembers it. */
export function statusOf({ code }: PowerStoreError): string {
  return String(codes[code][0]);
}

/** The body of an error, also as a job remembers it. */
export function sayError({ code, message, arguments: named }: PowerStoreError) {
  return {
    messages: [
      {
        code: codes[code][1],
        severity: 'Error',
        severity_l10n: 'Error',
        message_l10n: message,
        arguments: named,
      },
    ],
  };
}

/** What Fastify itself refuses; its own words stay out of the answer. */
function httpError({ code, statusCode = 500 }: FastifyError): PowerStoreError | undefined {
  if (statusCode < 400 || statusCode > 499) return undefined;
  if (statusCode === 415) {
    return new PowerStoreError('unsupported_media_type', 'A body is application/json.');
  }
  const sentence =
    code === 'FST_ERR_CTP_BODY_TOO_LARGE'
      ? 'The body may have at most 1 MiB.'
      : 'The body is not valid JSON.';
  return new PowerStoreError('invalid_request', sentence);
}
