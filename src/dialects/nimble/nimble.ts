/**
 * The vendor's REST API, version 1. What becomes of a request, in order:
 *
 *   who asks (sign-in) ─▶ query (lists), path and body (object-sets, bodies, validation)
 *     ─▶ one use case (a file for each set of objects) ─▶ the object as clients see it
 *   any "no" on the way ─▶ messages (errors, refusals, codes)
 *   a path or method that is not there ─▶ the vendor's code for it (paths)
 *   any change ─▶ the audit log, before the answer is seen
 *
 * Which of the vendor's codes is given when, and what is not offered: docs/dialects/nimble.md.
 */
import type { FastifyPluginAsync } from 'fastify';
import { auditChanges, shortMember } from '../audit-changes.ts';
import type { DialectOptions } from '../options.ts';
import { isObject, takeJson } from './bodies.ts';
import { emptySets } from './empty-sets.ts';
import { answerErrors, codeSaid } from './errors.ts';
import { arrays, groups, pools } from './groups.ts';
import { mountObjectSet } from './object-sets.ts';
import type { ObjectSet } from './object-sets.ts';
import { answerOtherPaths } from './paths.ts';
import { performancePolicies } from './performance-policies.ts';
import { protectionSchedules } from './protection-schedules.ts';
import { replicationPartners } from './replication-partners.ts';
import { requireSignIn } from './sign-in.ts';
import { snapshotCollections } from './snapshot-collections.ts';
import { snapshots } from './snapshots.ts';
import { tokens } from './tokens.ts';
import { users } from './users.ts';
import { mountVersions } from './versions.ts';
import { volumeCollections } from './volume-collections.ts';
import { volumes } from './volumes.ts';

const sets: readonly ObjectSet[] = [
  tokens,
  users,
  groups,
  arrays,
  pools,
  performancePolicies,
  volumes,
  volumeCollections,
  protectionSchedules,
  snapshotCollections,
  replicationPartners,
  snapshots,
  ...emptySets,
];

/** Mounted at the root: `/versions` is outside of `/v1`. */
export const nimbleDialect: FastifyPluginAsync<DialectOptions> = async (http, options) => {
  answerErrors(http, options.log);
  requireSignIn(http, options);
  auditChanges(http, options, {
    signsIn: ({ method, routeOptions, body }) =>
      method === 'POST' && routeOptions.url === '/v1/tokens'
        ? shortMember(dataIn(body), 'username')
        : undefined,
    came: (reply) => codeSaid(reply.request),
    bodyOf: dataIn,
  });
  takeJson(http);
  mountVersions(http);
  for (const set of sets) mountObjectSet(http, options.app, set);
  answerOtherPaths(http, sets);
};

function dataIn(body: unknown): unknown {
  return isObject(body) ? body['data'] : undefined;
}
