/** What is said of a path that the API does not have, and of a method that a path does not have. */
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { Fault } from './errors.ts';

const all: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Notes which methods each path has. Returns the way to answer all others, once all are there. */
export function answerOtherPaths(http: FastifyInstance): () => void {
  const known = new Map<string, Set<string>>();
  http.addHook('onRoute', ({ path, method }) => {
    const methods = known.get(path) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    known.set(path, methods);
  });
  http.setNotFoundHandler(() => {
    throw new Fault(404, 'The resource could not be found.');
  });
  return () => {
    for (const [path, methods] of known) {
      const allow = [...methods].toSorted().join(', ');
      http.route({
        method: all.filter((method) => !methods.has(method)),
        url: path,
        config: { needs: 'nothing' },
        handler: (request, reply) => {
          reply.header('allow', allow);
          throw new Fault(405, `${request.method} is not possible here, ${allow} is.`);
        },
      });
    }
  };
}
