/** Drills: failover tests that end by themselves and leave a signed report. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { Drill as DrillRow, DrillCheck } from '../../domain/drill.ts';
import { drillPage } from '../../domain/drill-page.ts';
import { isId } from '../../domain/ids.ts';
import type { DrillId, GroupId, PointId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { callerName } from '../callers.ts';
import type { DialectOptions } from '../options.ts';
import { Job, answerJob } from './jobs.ts';
import { groupIdOf, volumeIdOf } from './references.ts';
import {
  Instant,
  Named,
  PageOf,
  Paging,
  Reference,
  Uuid,
  Wait,
  known,
  object,
  page,
} from './schemas.ts';

const Check = Type.Object({
  what: Type.String(),
  verdict: Type.Enum(['passed', 'failed', 'not_possible'], {
    description: '`not_possible` says nothing of the data: the detail says what was missing.',
  }),
  detail: Type.String(),
  durationMs: Type.Integer(),
});

const Report = Type.Object({
  format: Type.Literal('baton-drill-1'),
  drillId: Uuid,
  copyId: Uuid,
  group: Named,
  site: Named,
  holder: Named,
  operator: Type.String(),
  software: Type.String(),
  point: Type.Object({
    id: Uuid,
    sequence: Type.Integer(),
    sealedAt: Instant,
    ageSeconds: Type.Integer({ description: 'What a failover would have lost at that moment.' }),
  }),
  startedAt: Instant,
  endedAt: Instant,
  timings: Type.Array(Type.Object({ step: Type.String(), durationMs: Type.Integer() })),
  volumes: Type.Array(
    Type.Object({
      volumeId: Uuid,
      name: Type.String(),
      sizeBytes: Type.Integer(),
      hashHere: Type.Optional(Type.String()),
      hashThere: Type.Optional(Type.String()),
      checks: Type.Array(Check),
    }),
  ),
  hashes: Check,
  command: Check,
  ended: Type.Boolean({ description: 'The test was ended, and its scratch data is gone.' }),
  verdict: Type.Enum(['passed', 'failed', 'not_possible']),
  previous: Type.Optional(Type.Object({ drillId: Uuid, hash: Type.String() })),
});

const Drill = Type.Object({
  report: Report,
  hash: Type.String({ description: "SHA-256 of the report's canonical text." }),
  signature: Type.String({ description: "ECDSA by the site's key, base64." }),
  certificate: Type.String(),
  authority: Type.String(),
});

const Started = Type.Object({ job: Job, drillId: Uuid });
const ById = Type.Object({ drill: Type.String() });

export const drills: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  const { app } = options;
  const tags = ['drills'];

  http.get(
    '/drills',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'List the reports of drills at this site, newest first',
        querystring: object({ ...Paging, group: Type.Optional(Reference) }),
        response: { 200: PageOf(Drill) },
      },
    },
    async ({ query }) => {
      const groupId = query.group === undefined ? undefined : await groupIdOf(app, query.group);
      return page(await app.listDrills({ groupId }), query, say);
    },
  );

  http.get(
    '/drills/:drill',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: "Show a drill's signed report",
        params: ById,
        response: { 200: Drill },
      },
    },
    async ({ params }) => say(await app.showDrill(drillIdOf(params.drill))),
  );

  http.get(
    '/drills/:drill/page',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: "A drill's report as one page for people, which carries the signed report",
        params: ById,
        produces: ['text/html'],
      },
    },
    async ({ params }, reply) => {
      const { id: _, groupId: __, ...signed } = await app.showDrill(drillIdOf(params.drill));
      return reply
        .headers({
          'content-type': 'text/html; charset=utf-8',
          'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
        })
        .send(drillPage(signed));
    },
  );

  await http.register(drillsOf('group', groupIdOf), options);
  await http.register(
    drillsOf('volume', async (of, reference) =>
      of.groupOfLoneVolume({ volumeId: await volumeIdOf(of, reference), wanted: 'recovering' }),
    ),
    options,
  );
};

function drillsOf(
  noun: 'group' | 'volume',
  groupOf: (app: App, reference: string) => Promise<GroupId>,
): FastifyPluginAsyncTypebox<DialectOptions> {
  return async (http, { app }) => {
    http.post(
      `/${noun}s/:owner/drills`,
      {
        config: { needs: 'recovery' },
        schema: {
          tags: [`${noun}s`],
          summary: `Run a drill of a ${noun} at its destination`,
          description:
            'A failover test that nobody attaches: the point is hashed at both sites, what is on the ' +
            'copy is looked at, the test is ended, and a signed report is kept.',
          params: Type.Object({ owner: Reference }),
          querystring: object(Wait),
          body: object({ point: Type.Optional(Uuid) }),
          response: { 200: Started, 202: Started },
        },
      },
      async (request, reply) => {
        const { params, body, query } = request;
        const groupId = await groupOf(app, params.owner);
        const pointId = body.point as PointId | undefined;
        const asked = { groupId, pointId, operator: callerName(request) };
        const { jobId, drillId } = await app.runDrill(asked);
        return { ...(await answerJob(reply, app, jobId, query.wait)), drillId };
      },
    );
  };
}

function say({ report, hash, signature, certificate, authority }: DrillRow): Static<typeof Drill> {
  const { volumes, hashes, command, timings, ...rest } = report;
  return {
    report: known({
      ...rest,
      timings: [...timings],
      hashes: check(hashes),
      command: check(command),
      volumes: volumes.map((v) => known({ ...v, checks: v.checks.map(check) })),
    }),
    hash,
    signature,
    certificate,
    authority,
  };
}

function check({ what, verdict, detail, durationMs }: DrillCheck): Static<typeof Check> {
  return { what, verdict, detail, durationMs };
}

function drillIdOf(reference: string): DrillId {
  const id = reference.toLowerCase();
  return isId(id) ? (id as DrillId) : refuse({ code: 'not_found', what: 'drill', id: reference });
}
