/** How a host attaches a volume: the address, and the URI that libnbd's tools take. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { AttachedHost } from '../../app/attached-hosts.ts';
import type { AttachmentView } from '../../app/show-attachment.ts';
import type { DialectOptions } from '../options.ts';
import { volumeIdOf } from './references.ts';
import {
  Instant,
  PageOf,
  Paging,
  Reference,
  SizeBytes,
  iso,
  known,
  object,
  page,
} from './schemas.ts';

const Attachment = Type.Object({
  volume: Type.String(),
  sizeBytes: SizeBytes,
  exportName: Type.String(),
  tlsName: Type.String({
    format: 'uuid',
    description: "A name in the server's certificate, beside its address: the site's id.",
  }),
  serving: Type.Boolean({ description: 'It is open to hosts now.' }),
  host: Type.Optional(Type.String()),
  port: Type.Optional(Type.Integer()),
  uri: Type.Optional(
    Type.String({
      description:
        'For nbdinfo, nbdcopy and whatever uses libnbd. DIRECTORY is where the files of the ' +
        "host's certificate are.",
    }),
  ),
  hosts: Type.Array(Type.String(), { description: 'Names of the hosts that are admitted.' }),
  admitted: Type.Optional(Type.Boolean({ description: 'Whether the host that was asked for is.' })),
});

const Attached = Type.Object({
  host: Type.String(),
  address: Type.String({ description: 'Where its agent asks from.' }),
  state: Type.Enum(['open', 'waiting', 'closed']),
  why: Type.Optional(Type.String({ description: 'Why it is not open there.' })),
  since: Instant,
  lastSeenAt: Instant,
});

function sayAttached(attached: AttachedHost): Static<typeof Attached> {
  const { host, address, state, why, since, lastSeenAt } = attached;
  return known({ host, address, state, why, since: iso(since), lastSeenAt: iso(lastSeenAt) });
}

export const attachment: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  http.get(
    '/volumes/:volume/attachment',
    {
      config: { needs: 'view' },
      schema: {
        tags: ['volumes'],
        summary: 'How a host attaches a volume',
        description:
          'Refused where the volume is not held; the refusal names the site that has it.',
        params: Type.Object({ volume: Reference }),
        querystring: object({ host: Type.Optional(Reference) }),
        response: { 200: Attachment },
      },
    },
    async ({ params, query }) =>
      say(await app.showAttachment(await volumeIdOf(app, params.volume)), query.host),
  );

  http.get(
    '/volumes/:volume/attached',
    {
      config: { needs: 'view' },
      schema: {
        tags: ['volumes'],
        summary: 'List the hosts whose agents follow a volume',
        params: Type.Object({ volume: Reference }),
        querystring: object(Paging),
        response: { 200: PageOf(Attached) },
      },
    },
    async ({ params, query }) =>
      page(await app.listAttachedHosts(await volumeIdOf(app, params.volume)), query, sayAttached),
  );
};

function say(view: AttachmentView, host: string | undefined): Static<typeof Attachment> {
  const { volumeName, sizeBytes, exportName, tlsName, serving, address, hosts } = view;
  return known({
    volume: volumeName,
    sizeBytes,
    exportName,
    tlsName,
    serving,
    host: address?.host,
    port: address?.port,
    uri: address && uriOf(address, exportName),
    hosts: [...hosts],
    admitted: host === undefined ? undefined : hosts.includes(host),
  });
}

function uriOf({ host, port }: { host: string; port: number }, exportName: string): string {
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return `nbds://${authority}/${encodeURIComponent(exportName)}?tls-certificates=DIRECTORY`;
}
