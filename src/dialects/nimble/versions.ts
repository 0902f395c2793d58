/** The one path that needs no token and has no version: which versions there are. */
import type { FastifyInstance } from 'fastify';

/** The release whose API this is; clients turn features on by it. */
export const SOFTWARE_VERSION = '5.2.2.0-730069-opt';

export function mountVersions(http: FastifyInstance): void {
  http.get('/versions', { config: { needs: 'nothing' } }, () => {
    const data = [{ name: 'v1', software_version: SOFTWARE_VERSION }];
    return { data, startRow: 0, endRow: data.length, totalRows: data.length };
  });
}
