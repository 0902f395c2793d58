import type { FastifyInstance, HTTPMethods } from 'fastify';
import { answer } from './problems.ts';

const all: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Notes which methods each path has. Returns the way to answer all others, once all are there. */
export function refuseOtherMethods(http: FastifyInstance): () => void {
  const known = new Map<string, Set<string>>();
  http.addHook('onRoute', ({ path, method }) => {
    const methods = known.get(path) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    known.set(path, methods);
  });
  return () => {
    for (const [path, methods] of known) {
      const allow = [...methods].toSorted().join(', ');
      http.route({
        method: all.filter((method) => !methods.has(method)),
        url: path.slice(http.prefix.length),
        config: { needs: 'nothing' },
        schema: { hide: true },
        handler: (request, reply) =>
          answer(reply.header('allow', allow), {
            status: 405,
            type: 'method-not-allowed',
            title: 'The path does not have this method',
            detail: `${request.method} is not possible here, ${allow} is`,
          }),
      });
    }
  };
}
