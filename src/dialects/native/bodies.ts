import type { FastifyInstance } from 'fastify';
import { refuse } from '../../domain/refusal.ts';

export const MAX_BODY_BYTES = 1024 * 1024;

/** Bodies are JSON and nothing else; none is as good as an empty one, where a route takes none. */
export function takeJsonOnly(http: FastifyInstance): void {
  http.removeAllContentTypeParsers();
  const parse = http.getDefaultJsonParser('error', 'error');
  http.addContentTypeParser<string>(
    'application/json',
    { parseAs: 'string', bodyLimit: MAX_BODY_BYTES },
    (request, text, done) => {
      if (text === '') done(null, undefined);
      else void parse(request, text, done);
    },
  );
  http.addHook('preValidation', async ({ routeOptions, body }) => {
    if (routeOptions.schema?.body !== undefined || body === undefined || body === null) return;
    const isEmpty = typeof body === 'object' && Object.keys(body).length === 0;
    if (!isEmpty) refuse({ code: 'invalid', field: 'body', wanted: 'none', seen: 'one' });
  });
}
