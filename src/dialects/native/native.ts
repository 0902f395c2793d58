/**
 * The native REST API. What becomes of a request, in order:
 *
 *   who asks (sign-in) ─▶ is it well-formed (validation) ─▶ one use case ─▶ the answer in words
 *   any "no" on the way ─▶ a problem (problems, refusals)
 *   any change ─▶ the audit log, before the answer is seen (audit)
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { attachment } from './attachment.ts';
import { audit, auditNativeChanges } from './audit.ts';
import { takeJsonOnly } from './bodies.ts';
import { events } from './events.ts';
import { failover } from './failover.ts';
import { failoverWindow } from './failover-window.ts';
import { follow } from './follow.ts';
import { drills } from './drills.ts';
import { copies } from './copies.ts';
import { restore } from './restore.ts';
import { forks } from './forks.ts';
import { groups } from './groups.ts';
import { handover } from './handover.ts';
import { hosts } from './hosts.ts';
import { imports } from './imports.ts';
import { jobs } from './jobs.ts';
import { refuseOtherMethods } from './methods.ts';
import { describeApi } from './openapi.ts';
import type { DialectOptions } from '../options.ts';
import { peers } from './peers.ts';
import { points } from './points.ts';
import { answerProblems } from './problems.ts';
import { reprotect } from './reprotect.ts';
import { sessions } from './sessions.ts';
import { requireSignIn, signIn } from './sign-in.ts';
import { site } from './site.ts';
import { sources } from './sources.ts';
import { users } from './users.ts';
import { validatorCompiler } from './validation.ts';
import { volumes } from './volumes.ts';

const resources = [
  site,
  signIn,
  volumes,
  attachment,
  groups,
  handover,
  failover,
  failoverWindow,
  points,
  sessions,
  reprotect,
  forks,
  copies,
  drills,
  restore,
  hosts,
  follow,
  peers,
  sources,
  imports,
  jobs,
  events,
  users,
  audit,
];

/** Mounted under a prefix of its own, as `/api/v1`. */
export const nativeDialect: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  const { app, log } = options;
  http.setValidatorCompiler(validatorCompiler);
  answerProblems(http, log);
  requireSignIn(http, options);
  auditNativeChanges(http, options);
  takeJsonOnly(http);
  const answerOtherMethods = refuseOtherMethods(http);
  await describeApi(http);
  for (const resource of resources) await http.register(resource, { app, log });
  answerOtherMethods();
};
