/** What a client reads before anything else: which versions there are, and where. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Fault } from './errors.ts';

/** The one microversion of the volume service; callers that ask for more are told. */
const MICROVERSION = '3.0';
const UPDATED = '2026-11-01T00:00:00Z';

export function mountVersions(http: FastifyInstance): void {
  const config = { needs: 'nothing' } as const;
  http.get('/', { config }, async (request, reply) => {
    reply.code(300);
    return { versions: [entry(request, 2), entry(request, 3)] };
  });
  http.get('/v2', { config }, async (request) => ({ versions: [entry(request, 2)] }));
  http.get('/v3', { config }, async (request) => ({ versions: [entry(request, 3)] }));
}

/** Looks at the microversion that a version 3 call asks for, and says it in the answer. */
export function requireMicroversion(http: FastifyInstance): void {
  http.addHook('onRequest', async (request, reply) => {
    if (!request.url.startsWith('/v3/')) return;
    reply.header('openstack-api-version', `volume ${MICROVERSION}`);
    reply.header('vary', 'OpenStack-API-Version');
    const asked = request.headers['openstack-api-version'];
    if (typeof asked !== 'string') return;
    const wanted = asked
      .split(',')
      .map((part) => /^\s*volume\s+(?<version>\S+)\s*$/i.exec(part)?.groups?.['version'])
      .find((version) => version !== undefined);
    if (wanted === 'latest' || wanted === MICROVERSION) return;
    if (wanted === undefined || !/^\d{1,4}\.\d{1,4}$/.test(wanted)) {
      throw new Fault(400, 'API Version String is of invalid format: wanted "volume MAJOR.MINOR".');
    }
    const range = `Minimum is ${MICROVERSION} and maximum is ${MICROVERSION}.`;
    throw new Fault(406, `Version ${wanted} is not supported by the API. ${range}`);
  });
}

/** Where the client reached this service. */
export function rootOf({ protocol, host }: FastifyRequest): string {
  return `${protocol}://${host}`;
}

function entry(request: FastifyRequest, major: 2 | 3): Readonly<Record<string, unknown>> {
  const current = major === 3;
  return {
    id: `v${major}.0`,
    status: current ? 'CURRENT' : 'SUPPORTED',
    version: current ? MICROVERSION : '',
    min_version: current ? MICROVERSION : '',
    updated: UPDATED,
    links: [{ rel: 'self', href: `${rootOf(request)}/v${major}/` }],
    'media-types': [
      {
        base: 'application/json',
        type: `application/vnd.openstack.volume+json;version=${major}`,
      },
    ],
  };
}
