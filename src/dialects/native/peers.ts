/** The sites that this one is paired with. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { PeerView } from '../../app/views.ts';
import type { LinkState, Peer as PeerRow } from '../../domain/site.ts';
import type { DialectOptions } from '../options.ts';
import { peerIdOf } from './references.ts';
import {
  Instant,
  PageOf,
  Paging,
  Reference,
  Uuid,
  iso,
  isoOr,
  known,
  object,
  page,
} from './schemas.ts';

export const Link = Type.Object({
  state: Type.Enum(['unknown', 'up', 'down']),
  since: Instant,
  lastHeardAt: Type.Optional(Instant),
  detail: Type.Optional(Type.String()),
});

export function sayLink({ state, since, lastHeardAt, detail }: LinkState): Static<typeof Link> {
  return known({ state, since: iso(since), lastHeardAt: isoOr(lastHeardAt), detail });
}

const Peer = Type.Object({
  id: Uuid,
  name: Type.String(),
  host: Type.String({ description: 'Where its peer protocol listens.' }),
  port: Type.Integer(),
  pairedAt: Instant,
  sessions: Type.Integer({ description: 'Replication sessions with it.' }),
  bytesPerSecond: Type.Optional(
    Type.Integer({ description: 'For all that is sent there together. Absent: no limit.' }),
  ),
  link: Type.Optional(Link),
});

export function sayPeerRow({ id, name, host, port, pairedAt, bytesPerSecond }: PeerRow) {
  return known({ id, name, host, port, pairedAt: iso(pairedAt), bytesPerSecond });
}

function sayPeer(peer: PeerView): Static<typeof Peer> {
  const { sessions, link } = peer;
  return known({ ...sayPeerRow(peer), sessions, link: link && sayLink(link) });
}

const Invitation = Type.Object({
  token: Type.String({ description: 'For the other site, once. It is kept nowhere.' }),
  expiresAt: Instant,
});
const Join = object({ token: Type.String({ maxLength: 4096 }) });
const Limit = object({
  bytesPerSecond: Type.Union([Type.Integer(), Type.Null()], { description: '`null`: no limit.' }),
});
const ByPeer = Type.Object({ peer: Reference });
const tags = ['peers'];

export const peers: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  http.get(
    '/peers',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'List peers',
        querystring: object(Paging),
        response: { 200: PageOf(Peer) },
      },
    },
    async ({ query }) => page(await app.listPeers(), query, sayPeer),
  );

  http.get(
    '/peers/:peer',
    {
      config: { needs: 'view' },
      schema: { tags, summary: 'Show a peer', params: ByPeer, response: { 200: Peer } },
    },
    async ({ params }) => sayPeer(await app.showPeer(await peerIdOf(app, params.peer))),
  );

  http.post(
    '/peers/invitations',
    {
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'Make a one-time token for another site to join with',
        response: { 201: Invitation },
      },
    },
    async (_request, reply) => {
      const { token, expiresAt } = await app.invitePeer();
      reply.code(201);
      return { token, expiresAt: iso(expiresAt) };
    },
  );

  http.post(
    '/peers',
    {
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'Join the site that made the token',
        description: 'Both sites know each other when this answers.',
        body: Join,
        response: { 201: Peer },
      },
    },
    async ({ body }, reply) => {
      const { id } = await app.joinPeer(body);
      reply.code(201).header('location', `${http.prefix}/peers/${id}`);
      return sayPeer(await app.showPeer(id));
    },
  );

  http.patch(
    '/peers/:peer',
    {
      config: { needs: 'recovery' },
      schema: {
        tags,
        summary: 'Limit what all sessions together send to a peer',
        description: 'Holds at once, also for cycles that run. Each gets an equal part.',
        params: ByPeer,
        body: Limit,
        response: { 200: Peer },
      },
    },
    async ({ params, body: { bytesPerSecond } }) => {
      const peerId = await peerIdOf(app, params.peer);
      await app.limitLink({ peerId, bytesPerSecond });
      return sayPeer(await app.showPeer(peerId));
    },
  );

  http.delete(
    '/peers/:peer',
    {
      config: { needs: 'administer' },
      schema: { tags, summary: 'End a pairing', params: ByPeer, response: { 204: Type.Null() } },
    },
    async ({ params }, reply) => {
      await app.removePeer({ peerId: await peerIdOf(app, params.peer) });
      return reply.code(204).send(null);
    },
  );
};
