/** Bodies are JSON objects; none is as good as an empty one. */
import type { FastifyInstance } from 'fastify';
import { PowerStoreError } from './errors.ts';

const MAX_BODY_BYTES = 1024 * 1024;
const json = /^application\/([\w.+-]+\+)?json(\s*;|$)/i;

export type Body = Readonly<Record<string, unknown>>;

/** Some clients do not say what their body is: it is read as JSON then, too. */
export function takeJson(http: FastifyInstance): void {
  http.removeAllContentTypeParsers();
  const parse = http.getDefaultJsonParser('error', 'error');
  http.addContentTypeParser<string>(
    '*',
    { parseAs: 'string', bodyLimit: MAX_BODY_BYTES },
    (request, text, done) => {
      const type = request.headers['content-type'];
      if (text === '') done(null, undefined);
      else if (type === undefined || json.test(type)) void parse(request, text, done);
      else {
        const sentence = `A body is application/json, not ${type.slice(0, 64)}.`;
        done(new PowerStoreError('unsupported_media_type', sentence));
      }
    },
  );
}

/** @throws PowerStoreError `invalid_request` */
export function bodyOf(body: unknown): Body {
  if (body === undefined || body === null) return {};
  if (isObject(body)) return body;
  throw new PowerStoreError('invalid_request', 'The body is a JSON object.');
}

export function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
