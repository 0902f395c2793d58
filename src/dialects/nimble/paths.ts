/** What is said of a path or a method that the API does not have, as the vendor tells them apart. */
import type { FastifyInstance } from 'fastify';
import type { Code } from './codes.ts';
import { NimbleError, answer } from './errors.ts';
import type { ObjectSet } from './object-sets.ts';

export function answerOtherPaths(http: FastifyInstance, sets: readonly ObjectSet[]): void {
  const names = new Set(sets.map((set) => set.name));
  http.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?', 1);
    const what = `${request.method} ${path.slice(0, 200)} is not offered.`;
    return answer(reply, new NimbleError(codeFor(request.method, path, names), what));
  });
}

/** Of a request that no route takes. */
export function codeFor(method: string, path: string, sets: ReadonlySet<string>): Code {
  const [version, set = '', first, second, third, ...rest] = path.split('/').filter(Boolean);
  if (version === 'versions' && set === '') return 'SM_no_method_for_URL_pattern';
  if (version !== 'v1') return 'SM_version_name';
  if (!sets.has(set) || rest.length > 0) return 'SM_no_path_found';
  if (first === undefined || first === 'detail') {
    if (second !== undefined) return 'SM_no_path_found';
    return method === 'POST' ? 'SM_no_operation_found' : 'SM_no_method_for_URL_pattern';
  }
  if (second === undefined) {
    const isOperation = method === 'PUT' || method === 'DELETE';
    return isOperation ? 'SM_no_operation_found' : 'SM_no_method_for_URL_pattern';
  }
  const isAction = first === 'actions' ? third === undefined : second === 'actions' && third;
  if (isAction === false || isAction === undefined) return 'SM_no_path_found';
  return method === 'POST' ? 'SM_no_action_found' : 'SM_no_method_for_URL_pattern';
}
