/** For the agents of hosts: where a volume is open now. They bring their own token, not a user's. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { VolumeId } from '../../domain/ids.ts';
import type { FollowedVolume } from '../../app/follow-volumes.ts';
import type { DialectOptions } from '../options.ts';
import { Instant, SizeBytes, Uuid, isoOr, known, object } from './schemas.ts';
import { bearerToken } from './sign-in.ts';

const MAX_FOLLOWED = 256;
/** Less than proxies and clients give up after. */
const MAX_WAIT_SECONDS = 20;

/** A copy's id, a slash, and a volume's. */
const MAX_REFERENCE = 129;
const Reference = Type.String({
  minLength: 1,
  maxLength: MAX_REFERENCE,
  description: "An id, or a name; of a copy's volume COPY/VOLUME.",
});

const Request = object({
  volumes: Type.Array(Reference, { minItems: 1, maxItems: MAX_FOLLOWED }),
  states: Type.Optional(
    Type.Array(
      object({
        volumeId: Type.Unsafe<VolumeId>(Uuid),
        state: Type.Enum(['open', 'waiting', 'closed']),
        why: Type.Optional(Type.String({ maxLength: 500 })),
      }),
      {
        maxItems: MAX_FOLLOWED,
        description: 'How they stand on the host, for whoever looks here.',
      },
    ),
  ),
  seen: Type.Optional(
    Type.String({ maxLength: 64, description: 'The answer that is known: wait for another one.' }),
  ),
  waitSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_WAIT_SECONDS, default: 0 })),
});

const Serves = Type.Object({
  host: Type.String(),
  port: Type.Integer(),
  exportName: Type.String({ description: 'There only as long as the history is the same.' }),
  tlsName: Type.String({ format: 'uuid' }),
  instance: Type.String({ description: 'Changes with every start of the data plane.' }),
});

const Followed = Type.Object({
  asked: Type.String(),
  found: Type.Enum(['here', 'unknown', 'not_mapped']),
  reference: Type.Optional(
    Type.String({ description: 'Asks for the same again; absent: the volume’s id does.' }),
  ),
  volumeId: Type.Optional(Uuid),
  name: Type.Optional(Type.String()),
  sizeBytes: Type.Optional(SizeBytes),
  groupId: Type.Optional(Uuid),
  holder: Type.Optional(Uuid),
  epoch: Type.Optional(Type.Integer()),
  history: Type.Optional(
    Type.Object(
      { id: Uuid, pointId: Type.Optional(Uuid), completeUpTo: Type.Optional(Instant) },
      { description: 'A host that knows another one must not go on: writes may be missing.' },
    ),
  ),
  serves: Type.Optional(Serves),
});

const Answer = Type.Object({ seen: Type.String(), volumes: Type.Array(Followed) });

export const follow: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  http.post(
    '/follow',
    {
      // Known by the token of its enrolment, which is no user's.
      config: { needs: 'nothing' },
      schema: {
        tags: ['hosts'],
        summary: "Where an agent's volumes are open now, once that is another place",
        body: Request,
        response: { 200: Answer },
      },
    },
    async (request, reply) => {
      const { volumes, seen, states = [], waitSeconds = 0 } = request.body;
      const left = new AbortController();
      reply.raw.once('close', () => left.abort());
      const answer = await app.followVolumes({
        token: bearerToken(request),
        volumes,
        address: request.ip,
        states,
        seen,
        waitMs: waitSeconds * 1000,
        signal: left.signal,
      });
      return { seen: answer.seen, volumes: answer.volumes.map(sayFollowed) };
    },
  );
};

function sayFollowed(volume: FollowedVolume): Static<typeof Followed> {
  if (volume.found !== 'here') return { ...volume };
  const { completeUpTo, ...history } = volume.history;
  return known({
    ...volume,
    history: known({ ...history, completeUpTo: isoOr(completeUpTo) }),
  });
}
