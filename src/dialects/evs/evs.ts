/**
 * The vendor's volume service: Cinder's base calls, and the replication extension. What becomes of
 * a request, in order:
 *
 *   who asks, for which project (sign-in) ─▶ which version (versions) ─▶ body and query (bodies, lists)
 *     ─▶ both sites as one region (region, states) ─▶ one use case ─▶ the answer in the vendor's words
 *   any "no" on the way ─▶ a fault (errors, refusals)
 *   a path or method that is not there ─▶ the vendor's code for it (paths)
 *   any change ─▶ the audit log, before the answer is seen
 *
 * Which of the vendor's codes is given when, and what is not offered: docs/dialects/evs.md.
 */
import type { FastifyPluginAsync } from 'fastify';
import { auditChanges } from '../audit-changes.ts';
import { isMembers, takeJsonOnly } from './bodies.ts';
import { consistencyGroupActions } from './consistency-group-actions.ts';
import { consistencyGroups } from './consistency-groups.ts';
import { answerErrors, answerFault, Fault, faultSaid } from './errors.ts';
import type { EvsOptions } from './options.ts';
import { answerOtherPaths } from './paths.ts';
import { replications } from './replications.ts';
import { requireProject, requireSignIn } from './sign-in.ts';
import { types } from './types.ts';
import { mountVersions, requireMicroversion } from './versions.ts';
import { volumes } from './volumes.ts';
import { zones } from './zones.ts';

/** Cinder's own calls, under both versions. */
const base = [zones, types, volumes];
/** What the vendor's clients look for below version 2 alone. */
const extension = [replications, consistencyGroups, consistencyGroupActions];

/** Mounted at the root: clients look for the version list there. */
export const evsDialect: FastifyPluginAsync<EvsOptions> = async (http, options) => {
  answerErrors(http, options, answerFault);
  http.addHook('onRequest', async (request, reply) => {
    reply.header('x-openstack-request-id', request.id);
  });
  requireMicroversion(http);
  requireSignIn(http, options);
  requireProject(http);
  http.addHook('onRequest', async ({ headers, routeOptions }) => {
    if (routeOptions.config.isExtension !== true || takesJson(headers.accept)) return;
    throw new Fault(406, 'Wanted an Accept that allows application/json.');
  });
  auditChanges(http, options, {
    signsIn: () => undefined,
    came: ({ request }) => faultSaid(request),
    bodyOf: (body) => (isMembers(body) ? Object.values(body)[0] : undefined),
  });
  takeJsonOnly(http);
  const answerOthers = answerOtherPaths(http);
  mountVersions(http);
  for (const resource of [...base, ...extension]) {
    await http.register(resource, { ...options, prefix: '/v2/:project' });
  }
  for (const resource of base)
    await http.register(resource, { ...options, prefix: '/v3/:project' });
  answerOthers();
};

function takesJson(accept: string | undefined): boolean {
  return accept === undefined || /(application\/(json|\*)|\*\/\*)/i.test(accept);
}
