/**
 * Everything that changes, as server-sent events. Each carries its sequence as `id`; a client that
 * comes back with `Last-Event-ID` gets what it missed, or a `reset` when that is gone: then it
 * reads everything again.
 */
import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { refuse } from '../../domain/refusal.ts';
import { eventStream } from './event-stream.ts';
import type { DialectOptions } from '../options.ts';
import { object } from './schemas.ts';
import { bearerToken } from './sign-in.ts';

const MAX_STREAMS = 100;

export const events: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  const closing = new AbortController();
  const open = new Set<Readable>();
  http.addHook('preClose', async () => closing.abort());

  http.get(
    '/events',
    {
      config: { needs: 'view' },
      exposeHeadRoute: false,
      schema: {
        tags: ['events'],
        summary: 'Follow everything that changes, as server-sent events',
        produces: ['text/event-stream'],
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.String()) }),
        querystring: object({
          after: Type.Optional(
            Type.Integer({
              minimum: 0,
              description: 'Begin after this event; `Last-Event-ID` goes before it.',
            }),
          ),
        }),
      },
    },
    async (request, reply) => {
      if (open.size >= MAX_STREAMS) {
        refuse({ code: 'limit_reached', what: 'open event streams', limit: MAX_STREAMS });
      }
      const token = bearerToken(request);
      const after = lastEventId(request.headers['last-event-id']) ?? request.query.after;
      const left = new AbortController();
      const stream = Readable.from(
        eventStream({
          source: app.events,
          after: after ?? (await app.events.lastEvent()),
          stillWelcome: () => app.authenticate(token),
          signal: AbortSignal.any([closing.signal, left.signal]),
          tooSlow: () => request.raw.destroy(),
        }),
        { objectMode: false, highWaterMark: 0 },
      );
      open.add(stream);
      stream.once('close', () => {
        left.abort();
        open.delete(stream);
      });
      request.raw.once('close', () => left.abort());
      return reply
        .headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
        .send(stream);
    },
  );
};

/** A number that we sent; anything else is as if it were not there. */
function lastEventId(header: unknown): number | undefined {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
