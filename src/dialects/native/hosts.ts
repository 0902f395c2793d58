/** Hosts, their certificates, what they may attach, and how. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { Host as HostRow } from '../../domain/host.ts';
import type { DialectOptions } from '../options.ts';
import { groupIdOf, hostIdOf, volumeIdOf } from './references.ts';
import { Instant, Name, PageOf, Paging, Reference, Uuid, iso, object, page } from './schemas.ts';

const Host = Type.Object({ id: Uuid, name: Type.String(), createdAt: Instant });

export function sayHost({ id, name, createdAt }: HostRow): Static<typeof Host> {
  return { id, name, createdAt: iso(createdAt) };
}

const HostFiles = Type.Object(
  {
    'ca-cert.pem': Type.String(),
    'client-cert.pem': Type.String(),
    'client-key.pem': Type.String(),
  },
  { description: 'For one directory that only the host can read. Kept nowhere else.' },
);

/** The private key is in this answer and nowhere else. */
const Bundle = Type.Object({ host: Host, files: HostFiles });

/** The keys and tokens are in this answer and nowhere else. */
const Enrolment = Type.Object({
  host: Type.String(),
  sites: Type.Array(
    Type.Object({
      siteId: Uuid,
      siteName: Type.String(),
      url: Type.String({ description: 'The native API of that site.' }),
      token: Type.String({ description: "Goes into the header of the agent's requests to it." }),
      files: HostFiles,
    }),
  ),
});

type Files = Awaited<ReturnType<App['createHost']>>['bundle'];

function sayBundle(host: HostRow, files: Files): Static<typeof Bundle> {
  return { host: sayHost(host), files };
}

const ByHost = Type.Object({ host: Reference });
const tags = ['hosts'];

export const hosts: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  const { app } = options;

  http.get(
    '/hosts',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'List hosts',
        querystring: object(Paging),
        response: { 200: PageOf(Host) },
      },
    },
    async ({ query }) => page(await app.listHosts(), query, sayHost),
  );

  http.get(
    '/hosts/:host',
    {
      config: { needs: 'view' },
      schema: { tags, summary: 'Show a host', params: ByHost, response: { 200: Host } },
    },
    async ({ params }) => sayHost(await needHost(app, params.host)),
  );

  http.post(
    '/hosts',
    {
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'Make a host known, and issue its certificate',
        body: object({ name: Name }),
        response: { 201: Bundle },
      },
    },
    async ({ body }, reply) => {
      const { host, bundle } = await app.createHost(body);
      reply.code(201).header('location', `${http.prefix}/hosts/${host.id}`);
      return sayBundle(host, bundle);
    },
  );

  http.post(
    '/hosts/:host/certificate',
    {
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'Issue another certificate for a host',
        description: 'Earlier ones stay good until they end.',
        params: ByHost,
        response: { 201: Bundle },
      },
    },
    async ({ params }, reply) => {
      const host = await needHost(app, params.host);
      const bundle = await app.renewHostCertificate({ hostId: host.id });
      reply.code(201);
      return sayBundle(host, bundle);
    },
  );

  http.post(
    '/hosts/:host/enrolment',
    {
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'Issue what a host needs to follow its volumes to any of the sites',
        description:
          'Makes the host known where it is not, here and at every peer. What was issued to it ' +
          'before is not answered any more; its certificates stay good until they end.',
        params: Type.Object({ host: Name }),
        response: { 201: Enrolment },
      },
    },
    async ({ params }, reply) => {
      const sites = await app.enrolHost({ name: params.host });
      reply.code(201);
      return { host: params.host, sites: sites.map((site) => ({ ...site })) };
    },
  );

  http.delete(
    '/hosts/:host',
    {
      config: { needs: 'administer' },
      schema: { tags, summary: 'Forget a host', params: ByHost, response: { 204: Type.Null() } },
    },
    async ({ params }, reply) => {
      await app.deleteHost({ hostId: await hostIdOf(app, params.host) });
      return reply.code(204).send(null);
    },
  );

  await http.register(mappings, options);
};

async function needHost(app: App, reference: string): Promise<HostRow> {
  const id = await hostIdOf(app, reference);
  const known = (await app.listHosts()).find((host) => host.id === id);
  if (known === undefined) throw new Error(`host ${id} went away between two looks`);
  return known;
}

/** A group, or a volume that stands alone, is mapped to a host: it may attach all of it. */
const mappings: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  const owners = {
    group: (reference: string) => groupIdOf(app, reference),
    volume: async (reference: string) =>
      app.groupOfLoneVolume({
        volumeId: await volumeIdOf(app, reference),
        wanted: 'mapping a host to',
      }),
  };
  for (const noun of ['group', 'volume'] as const) {
    const groupOf = owners[noun];
    const params = Type.Object({ owner: Reference, host: Reference });
    const response = { 204: Type.Null() };

    http.put(
      `/${noun}s/:owner/hosts/:host`,
      {
        config: { needs: 'storage' },
        schema: { tags, summary: `Let a host attach a ${noun}`, params, response },
      },
      async ({ params: { owner, host } }, reply) => {
        await app.mapHost({ groupId: await groupOf(owner), hostId: await hostIdOf(app, host) });
        return reply.code(204).send(null);
      },
    );

    http.delete(
      `/${noun}s/:owner/hosts/:host`,
      {
        config: { needs: 'storage' },
        schema: {
          tags,
          summary: `Take a ${noun} away from a host; it is disconnected`,
          params,
          response,
        },
      },
      async ({ params: { owner, host } }, reply) => {
        await app.unmapHost({ groupId: await groupOf(owner), hostId: await hostIdOf(app, host) });
        return reply.code(204).send(null);
      },
    );
  }
};
