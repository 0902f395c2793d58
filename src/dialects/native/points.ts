/** The recovery points of a group, or of a volume that stands alone, at this site. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import { isId } from '../../domain/ids.ts';
import type { GroupId, PointId } from '../../domain/ids.ts';
import type { RecoveryPoint } from '../../domain/recovery-point.ts';
import { refuse } from '../../domain/refusal.ts';
import type { DialectOptions } from '../options.ts';
import { groupIdOf, volumeIdOf } from './references.ts';
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

export const Point = Type.Object({
  id: Uuid,
  sequence: Type.Integer({ description: 'Grows by one with each point of the group.' }),
  epoch: Type.Integer(),
  sealedAt: Instant,
  commonAt: Type.Optional(
    Type.String({
      format: 'date-time',
      description: 'When both sites had it complete. Absent: this site alone has it.',
    }),
  ),
  volumes: Type.Array(
    Type.Object({ volumeId: Uuid, name: Type.String(), sizeBytes: Type.Integer() }),
  ),
});

export function sayPoint(point: RecoveryPoint): Static<typeof Point> {
  const { id, sequence, epoch, sealedAt, commonAt } = point;
  const volumes = point.volumes.map(({ volumeId, name, sizeBytes }) => ({
    volumeId,
    name,
    sizeBytes,
  }));
  return known({
    id,
    sequence,
    epoch,
    sealedAt: iso(sealedAt),
    commonAt: isoOr(commonAt),
    volumes,
  });
}

const Hashes = Type.Object({
  pointId: Uuid,
  volumes: Type.Array(
    Type.Object({ volumeId: Uuid, sizeBytes: Type.Integer(), hash: Type.String() }),
  ),
});

export const points: FastifyPluginAsyncTypebox<DialectOptions> = async (http, options) => {
  await http.register(pointsOf('group', groupIdOf), options);
  await http.register(
    pointsOf('volume', async (app, reference) =>
      app.groupOfLoneVolume({ volumeId: await volumeIdOf(app, reference), wanted: 'recovering' }),
    ),
    options,
  );
};

function pointsOf(
  noun: 'group' | 'volume',
  groupOf: (app: App, reference: string) => Promise<GroupId>,
): FastifyPluginAsyncTypebox<DialectOptions> {
  const path = `/${noun}s/:owner/points`;
  const tags = [`${noun}s`];

  return async (http, { app }) => {
    http.get(
      path,
      {
        config: { needs: 'view' },
        schema: {
          tags,
          summary: `List a ${noun}'s recovery points at this site, oldest first`,
          params: Type.Object({ owner: Reference }),
          querystring: object(Paging),
          response: { 200: PageOf(Point) },
        },
      },
      async ({ params, query }) =>
        page(await app.listPoints(await groupOf(app, params.owner)), query, sayPoint),
    );

    http.post(
      `${path}/:point/hash`,
      {
        config: { needs: 'view' },
        schema: {
          tags,
          summary: 'Hash what a recovery point holds at this site',
          description:
            'SHA-256 over the SHA-256 of every 4 MiB; equal at both sites. It reads all data, ' +
            'so it may take long, and answers when it is done.',
          params: Type.Object({ owner: Reference, point: Type.String() }),
          response: { 200: Hashes },
        },
      },
      async ({ params }) => {
        const groupId = await groupOf(app, params.owner);
        const pointId = params.point.toLowerCase();
        if (!isId(pointId)) refuse({ code: 'not_found', what: 'recovery_point', id: params.point });
        const volumes = await app.hashPoint({ groupId, pointId: pointId as PointId });
        return { pointId, volumes: [...volumes] };
      },
    );
  };
}
