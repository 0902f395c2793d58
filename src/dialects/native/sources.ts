/** Foreign systems that volumes are brought in from. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { SourceView } from '../../app/import-views.ts';
import { USUAL_PORTS } from '../../domain/import-source.ts';
import type { SourceEndpoint } from '../../domain/import-source.ts';
import type { DialectOptions } from '../options.ts';
import { sourceIdOf } from './references.ts';
import {
  Instant,
  Name,
  PageOf,
  Paging,
  Reference,
  Uuid,
  iso,
  known,
  object,
  page,
} from './schemas.ts';

const Text = Type.String({ minLength: 1, maxLength: 4096 });
const Pem = Type.String({ maxLength: 64 * 1024, description: 'PEM.' });
const Port = Type.Integer({ minimum: 1, maximum: 65_535 });

const Endpoint = Type.Union([
  object({
    kind: Type.Literal('nbd'),
    host: Text,
    port: Type.Optional(Port),
    tls: Type.Optional(
      object({
        authority: Pem,
        serverName: Type.Optional(Text),
        certificate: Type.Optional(Pem),
      }),
    ),
  }),
  object({
    kind: Type.Literal('iscsi'),
    host: Text,
    port: Type.Optional(Port),
    initiatorName: Type.Optional(Text),
    chapUser: Type.Optional(Text),
  }),
  object({ kind: Type.Literal('file'), directory: Text }),
  object({ kind: Type.Literal('http'), baseUrl: Text, user: Type.Optional(Text) }),
]);

const Secret = object({
  password: Type.Optional(
    Type.String({ maxLength: 4096, description: 'CHAP or HTTP. Kept encrypted, never shown.' }),
  ),
  privateKey: Type.Optional(Pem),
});

const Source = Type.Object({
  id: Uuid,
  name: Type.String(),
  endpoint: Endpoint,
  hasSecret: Type.Boolean(),
  reachable: Type.Boolean({ description: 'What the last check found.' }),
  checkedAt: Instant,
  trouble: Type.Optional(Type.String({ description: 'Why it was not reachable.' })),
  createdAt: Instant,
});

const Found = Type.Object({
  listed: Type.Boolean({ description: 'Whether the source can tell of its volumes.' }),
  volumes: Type.Array(
    Type.Object({ locator: Type.String(), sizeBytes: Type.Optional(Type.Integer()) }),
  ),
});

const BySource = Type.Object({ source: Reference });
const tags = ['sources'];

export const sources: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  http.get(
    '/sources',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'List the systems that volumes can be brought in from',
        querystring: object({ ...Paging, name: Type.Optional(Name) }),
        response: { 200: PageOf(Source) },
      },
    },
    async ({ query }) => {
      const all = await app.listSources();
      const named = all.filter(({ name }) => query.name === undefined || name === query.name);
      return page(named, query, saySource);
    },
  );

  http.get(
    '/sources/:source',
    {
      config: { needs: 'view' },
      schema: { tags, summary: 'Show a source', params: BySource, response: { 200: Source } },
    },
    async ({ params }) => saySource(await app.showSource(await sourceIdOf(app, params.source))),
  );

  http.post(
    '/sources',
    {
      // A source of files reads what this machine's server may read.
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'Make a source known, once it has answered',
        body: object({ name: Name, endpoint: Endpoint, secret: Type.Optional(Secret) }),
        response: { 201: Source },
      },
    },
    async ({ body: { name, endpoint, secret } }, reply) => {
      const { id } = await app.addSource({ name, endpoint: withPort(endpoint), secret });
      return reply.code(201).send(saySource(await app.showSource(id)));
    },
  );

  http.post(
    '/sources/:source/check',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Look whether a source answers now',
        params: BySource,
        response: { 200: Source },
      },
    },
    async ({ params }) => {
      const { id } = await app.checkSource({ sourceId: await sourceIdOf(app, params.source) });
      return saySource(await app.showSource(id));
    },
  );

  http.get(
    '/sources/:source/volumes',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'The volumes that a source tells of',
        params: BySource,
        response: { 200: Found },
      },
    },
    async ({ params }) => {
      const found = await app.listSourceVolumes({ sourceId: await sourceIdOf(app, params.source) });
      return { listed: found !== undefined, volumes: (found ?? []).map((volume) => known(volume)) };
    },
  );

  http.delete(
    '/sources/:source',
    {
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'Forget a source that no import is of',
        params: BySource,
        response: { 204: Type.Null() },
      },
    },
    async ({ params }, reply) => {
      await app.removeSource({ sourceId: await sourceIdOf(app, params.source) });
      return reply.code(204).send(null);
    },
  );
};

function withPort(endpoint: Static<typeof Endpoint>): SourceEndpoint {
  if (endpoint.kind !== 'nbd' && endpoint.kind !== 'iscsi') return endpoint;
  return { ...endpoint, port: endpoint.port ?? USUAL_PORTS[endpoint.kind] };
}

function saySource({ checkedAt, createdAt, ...source }: SourceView): Static<typeof Source> {
  return known({ ...source, checkedAt: iso(checkedAt), createdAt: iso(createdAt) });
}
