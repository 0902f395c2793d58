/** Imports: volumes brought in while their hosts keep writing; cut over or cancelled. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import { imageFormats } from '../../domain/import-source.ts';
import { MAX_IMPORT_VOLUMES, importStates } from '../../domain/import-session.ts';
import type { ImportId } from '../../domain/ids.ts';
import { Import, Rate, RollbackSeconds, sayImport } from './import-view.ts';
import { Accepted, LongAnswer, answerJob } from './jobs.ts';
import type { DialectOptions } from '../options.ts';
import { importIdOf, peerIdOf, sourceIdOf } from './references.ts';
import { Instant, Name, PageOf, Paging, Reference, Wait, object, page } from './schemas.ts';

const Create = object({
  name: Type.Optional(Name),
  source: Reference,
  volumes: Type.Array(
    object({
      name: Name,
      locator: Type.String({ maxLength: 1024, description: 'As the source names it.' }),
      format: Type.Optional(Type.Enum([...imageFormats])),
      readOnly: Type.Optional(Type.Boolean()),
    }),
    { maxItems: MAX_IMPORT_VOLUMES },
  ),
  group: Type.Optional(Name),
  hosts: Type.Optional(Type.Array(Name, { maxItems: 64 })),
  automaticCutover: Type.Optional(Type.Boolean({ default: false })),
  verify: Type.Optional(
    Type.Boolean({ default: true, description: 'Compare both copies before the cut-over.' }),
  ),
  waitForHosts: Type.Optional(
    Type.Boolean({ default: false, description: 'Copy only when told that hosts have moved.' }),
  ),
  bytesPerSecond: Type.Optional(Rate),
  scheduledAt: Type.Optional(Instant),
  protect: Type.Optional(object({ peer: Reference, rpoSeconds: Type.Integer() })),
  rollbackForSeconds: Type.Optional(RollbackSeconds),
});

const Change = object({
  bytesPerSecond: Type.Optional(
    Type.Union([Rate, Type.Null()], { description: '`null`: no limit.' }),
  ),
  scheduledAt: Type.Optional(Type.Union([Instant, Type.Null()], { description: '`null`: now.' })),
});

const ByImport = Type.Object({ session: Reference });
const tags = ['imports'];

export const imports: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  const { app } = options;

  http.get(
    '/imports',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'List imports, oldest first',
        querystring: object({ ...Paging, state: Type.Optional(Type.Enum([...importStates])) }),
        response: { 200: PageOf(Import) },
      },
    },
    async ({ query }) => {
      const all = await app.listImports();
      const shown = all.filter(({ state }) => query.state === undefined || state === query.state);
      return page(shown, query, sayImport);
    },
  );

  http.get(
    '/imports/:session',
    {
      config: { needs: 'view' },
      schema: { tags, summary: 'Show an import', params: ByImport, response: { 200: Import } },
    },
    async ({ params }) => show(app, await importIdOf(app, params.session)),
  );

  http.post(
    '/imports',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Begin to bring volumes in, while their hosts go on through this site',
        description:
          'Hosts attach the new volumes before the copy begins and write the source only through ' +
          'them. Several volumes are a group and are cut over together.',
        body: Create,
        response: { 201: Import },
      },
    },
    async ({ body: { source, protect, scheduledAt, ...wanted } }, reply) => {
      const { importId } = await app.createImport({
        ...wanted,
        sourceId: await sourceIdOf(app, source),
        scheduledAt: scheduledAt === undefined ? undefined : Date.parse(scheduledAt),
        protect: protect && {
          peerId: await peerIdOf(app, protect.peer),
          rpoSeconds: protect.rpoSeconds,
        },
      });
      return reply.code(201).send(await show(app, importId));
    },
  );

  http.patch(
    '/imports/:session',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: "Change an import's limit, or when it starts",
        params: ByImport,
        body: Change,
        response: { 200: Import },
      },
    },
    async ({ params, body: { bytesPerSecond, scheduledAt } }) => {
      const importId = await importIdOf(app, params.session);
      if (scheduledAt !== undefined) {
        const at = scheduledAt === null ? undefined : Date.parse(scheduledAt);
        await app.rescheduleImport({ importId, scheduledAt: at });
      }
      if (bytesPerSecond !== undefined) {
        await app.limitImport({ importId, bytesPerSecond: bytesPerSecond ?? undefined });
      }
      return show(app, importId);
    },
  );

  http.delete(
    '/imports/:session',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Remove the record of an import that has ended',
        description: 'Of a cancelled one, the way to the source closes, too.',
        params: ByImport,
        querystring: object(Wait),
        response: LongAnswer,
      },
    },
    async ({ params, query }, reply) => {
      const { jobId } = await app.deleteImport({ importId: await importIdOf(app, params.session) });
      return answerJob(reply, app, jobId, query.wait);
    },
  );

  await http.register(importCommands, options);
  await http.register(importEndings, options);
};

/** What is carried out at once, or by the import watch. */
const importCommands: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  const commands = [
    ['enable', 'Open the volumes to their hosts, which move now', app.enableImport],
    ['start-copy', 'Begin to copy: hosts have moved', app.startImportCopy],
    ['pause', 'Stop copying; hosts go on', app.pauseImport],
    ['resume', 'Go on copying', app.resumeImport],
    ['finish', 'Let the source go before its term: no way back from then on', app.finishImport],
  ] as const;
  for (const [verb, summary, carryOut] of commands) {
    http.post(
      `/imports/:session/${verb}`,
      {
        config: { needs: 'storage' },
        schema: { tags, summary, params: ByImport, response: { 200: Import } },
      },
      async ({ params }) => {
        const importId = await importIdOf(app, params.session);
        await carryOut({ importId });
        return show(app, importId);
      },
    );
  }
};

const Ended = Type.Object({ job: Accepted.properties.job, import: Import });
const EndAnswer = { 200: Ended, 202: Ended };

/** Whether it came to what was asked for, the import itself tells. */
const importEndings: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  const endings = [
    ['cutover', 'Make our copies the volumes; hosts keep their connections', app.cutOverImport],
    ['rollback', 'Take hosts back to the source, with every write', app.rollBackImport],
    ['cleanup', 'Take away what a forced cancel left', app.cleanUpImport],
  ] as const;
  for (const [verb, summary, carryOut] of endings) {
    http.post(
      `/imports/:session/${verb}`,
      {
        config: { needs: 'storage' },
        schema: { tags, summary, params: ByImport, querystring: object(Wait), response: EndAnswer },
      },
      async ({ params, query }, reply) => {
        const importId = await importIdOf(app, params.session);
        const { jobId } = await carryOut({ importId });
        const { job } = await answerJob(reply, app, jobId, query.wait);
        return { job, import: await show(app, importId) };
      },
    );
  }

  http.post(
    '/imports/:session/cancel',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'End an import before its cut-over; hosts go on with the source',
        params: ByImport,
        querystring: object(Wait),
        body: object({
          force: Type.Optional(
            Type.Boolean({
              default: false,
              description: 'Although the source does not answer: hosts are disconnected.',
            }),
          ),
        }),
        response: EndAnswer,
      },
    },
    async ({ params, query, body: { force = false } }, reply) => {
      const importId = await importIdOf(app, params.session);
      const { jobId } = await app.cancelImport({ importId, force });
      const { job } = await answerJob(reply, app, jobId, query.wait);
      return { job, import: await show(app, importId) };
    },
  );
};

async function show(app: App, id: ImportId): Promise<Static<typeof Import>> {
  return sayImport(await app.showImport(id));
}
