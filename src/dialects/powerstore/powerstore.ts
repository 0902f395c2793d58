/**
 * The vendor's REST API, release 4.1. What becomes of a request, in order:
 *
 *   who asks (sign-in) ─▶ query (lists, select, filters), path and body (bodies, validation)
 *     ─▶ one use case (a file for each resource) ─▶ the instance as clients see it (resource-types)
 *   any "no" on the way ─▶ messages (errors, refusals, codes)
 *   a path or method that is not there ─▶ 404 or 405 (paths)
 *   any change ─▶ the audit log, before the answer is seen
 *
 * Which of the vendor's codes is given when, and what is not offered: docs/dialects/powerstore.md.
 */
import type { FastifyPluginAsync } from 'fastify';
import { auditChanges } from '../audit-changes.ts';
import type { DialectOptions } from '../options.ts';
import { takeJson } from './bodies.ts';
import { appliance, cluster } from './cluster.ts';
import { emptyCollections } from './empty-collections.ts';
import { answerErrors, codeSaid } from './errors.ts';
import { host, hostVolumeMapping } from './host.ts';
import { importSession } from './import-session.ts';
import { importUniversalConsistencyGroup } from './import-universal-consistency-group.ts';
import { importUniversalVolume } from './import-universal-volume.ts';
import { jobs } from './job.ts';
import { localUser, mountLoginSession, role } from './login-session.ts';
import { metrics } from './metrics.ts';
import { answerOtherPaths } from './paths.ts';
import { policy } from './policy.ts';
import { remoteSystem } from './remote-system.ts';
import { replicationRule } from './replication-rule.ts';
import { replicationSession } from './replication-session.ts';
import { mountResources } from './routes.ts';
import type { Resource } from './routes.ts';
import { requireSignIn } from './sign-in.ts';
import { softwareInstalled } from './software-installed.ts';
import { volumeGroup } from './volume-group.ts';
import { volume } from './volume.ts';
import { x509Certificate } from './x509-certificate.ts';

const resources: readonly Resource[] = [
  cluster,
  appliance,
  softwareInstalled,
  role,
  localUser,
  x509Certificate,
  remoteSystem,
  replicationRule,
  policy,
  volume,
  volumeGroup,
  host,
  hostVolumeMapping,
  replicationSession,
  importUniversalVolume,
  importUniversalConsistencyGroup,
  importSession,
  metrics,
  ...emptyCollections,
];

/** Mounted at the root, so that a path outside of the API is answered in its words, too. */
export const powerstoreDialect: FastifyPluginAsync<DialectOptions> = async (http, options) => {
  answerErrors(http, options.log);
  answerOtherPaths(http);
  requireSignIn(http, options);
  auditChanges(http, options, {
    signsIn: () => undefined,
    came: (reply) => codeSaid(reply.request),
  });
  takeJson(http);
  mountLoginSession(http, options.app);
  const { job, noteDone } = jobs();
  mountResources(http, options.app, [...resources, job], noteDone);
};
