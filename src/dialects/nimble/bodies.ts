/** Bodies are `{"data": {…}}`; none, or an empty one, is as good as no data. */
import type { FastifyInstance } from 'fastify';
import { NimbleError } from './errors.ts';

const MAX_BODY_BYTES = 1024 * 1024;

export type Data = Readonly<Record<string, unknown>>;

/** Whatever a client calls its body's type, it is read as JSON. */
export function takeJson(http: FastifyInstance): void {
  http.removeAllContentTypeParsers();
  const parse = http.getDefaultJsonParser('error', 'error');
  http.addContentTypeParser<string>(
    '*',
    { parseAs: 'string', bodyLimit: MAX_BODY_BYTES },
    (request, text, done) => {
      if (text === '') done(null, undefined);
      else void parse(request, text, done);
    },
  );
}

/**
 * What a request brings beside its path.
 *
 * @param siblings what may stand beside `data`
 * @throws NimbleError `SM_unexpected_child`, `SM_invalid_arg_value`
 */
export function dataOf(body: unknown, siblings: readonly string[] = []): Data {
  if (body === undefined || body === null) return {};
  if (!isObject(body)) {
    throw new NimbleError('SM_invalid_arg_value', 'The body is an object with the member "data".');
  }
  const stranger = Object.keys(body).find((name) => name !== 'data' && !siblings.includes(name));
  if (stranger !== undefined) {
    const child = stranger.slice(0, 64);
    throw new NimbleError('SM_unexpected_child', `"${child}" does not go beside "data".`, {
      child,
    });
  }
  const { data = {} } = body;
  if (isObject(data)) return data;
  throw new NimbleError('SM_invalid_arg_value', '"data" is an object.', { arg: 'data' });
}

export function isObject(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
