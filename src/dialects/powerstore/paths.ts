/** What is said of a path or a method that the API does not have. */
import type { FastifyInstance } from 'fastify';
import { PowerStoreError, answer } from './errors.ts';

export const BASE = '/api/rest';

/** Call it before the routes are there; it looks at them when a request has none. */
export function answerOtherPaths(http: FastifyInstance): void {
  const methods = new Map<string, Set<string>>();
  http.addHook('onRoute', ({ path, method }) => {
    const known = methods.get(path) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methods.set(path, known);
  });
  http.setNotFoundHandler((request, reply) => {
    const { method, url } = request;
    const [path = ''] = url.split('?', 1);
    const offered = [...methods].find(([pattern]) => fits(pattern, path));
    if (offered !== undefined) {
      const allow = [...offered[1]].toSorted().join(', ');
      const sentence = `The method ${method} is not offered for this resource, ${allow} is.`;
      return answer(
        reply.header('allow', allow),
        new PowerStoreError('method_not_allowed', sentence, method),
      );
    }
    const sentence = `The REST endpoint [${method} ${url.slice(0, 200)}] cannot be found.`;
    return answer(reply, new PowerStoreError('no_such_path', sentence));
  });
}

function fits(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern.split('/'), path.replace(/\/$/, '').split('/')];
  return (
    wanted.length === given.length &&
    wanted.every((part, index) =>
      part.startsWith(':') ? given[index] !== '' : part === given[index],
    )
  );
}
