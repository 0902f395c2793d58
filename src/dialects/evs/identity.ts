/** The identity service, on a listener of its own: clients look for its version list at its root. */
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { auditChanges } from '../audit-changes.ts';
import { takeJsonOnly } from './bodies.ts';
import { answerErrors, answerIdentityFault, faultSaid } from './errors.ts';
import type { EvsOptions } from './options.ts';
import { answerOtherPaths } from './paths.ts';
import { requireSignIn } from './sign-in.ts';
import { nameSignedIn, tokens } from './tokens.ts';

/** Mounted at the root. */
export const evsIdentity: FastifyPluginAsync<EvsOptions> = async (http, options) => {
  answerErrors(http, options, answerIdentityFault);
  requireSignIn(http, options);
  auditChanges(http, options, {
    signsIn: ({ method, body }) => (method === 'POST' ? nameSignedIn(body) : undefined),
    came: ({ request }) => faultSaid(request),
  });
  takeJsonOnly(http);
  http.addHook('onRequest', async (request, reply) => {
    reply.header('x-openstack-request-id', request.id);
  });
  const answerOthers = answerOtherPaths(http);
  mountVersions(http, options);
  await http.register(tokens, options);
  answerOthers();
};

function mountVersions(http: FastifyInstance, { urls }: EvsOptions): void {
  const config = { needs: 'nothing' } as const;
  const version = {
    id: 'v3.14',
    status: 'stable',
    updated: '2020-04-07T00:00:00Z',
    links: [{ rel: 'self', href: `${urls.identity}/` }],
    'media-types': [
      { base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' },
    ],
  };
  http.get('/', { config }, async (_request, reply) => {
    reply.code(300);
    return { versions: { values: [version] } };
  });
  http.get('/v3', { config }, async () => ({ version }));
}
