import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { VolumeView } from '../../app/views.ts';
import { volumeStates } from '../../domain/volume.ts';
import type { Volume as VolumeRow } from '../../domain/volume.ts';
import { Accepted, LongAnswer, answerJob } from './jobs.ts';
import type { DialectOptions } from '../options.ts';
import { groupIdOf, volumeIdOf } from './references.ts';
import {
  Instant,
  Name,
  Named,
  PageOf,
  Paging,
  Reference,
  SizeBytes,
  Uuid,
  Wait,
  iso,
  known,
  object,
  page,
} from './schemas.ts';
import { Session, saySession } from './session-view.ts';

const row = {
  id: Uuid,
  name: Type.String({ description: 'Also the name of its NBD export.' }),
  serial: Type.String(),
  sizeBytes: SizeBytes,
  state: Type.Enum([...volumeStates]),
  createdAt: Instant,
};

export const VolumeFacts = Type.Object(row);

export function sayVolumeRow(volume: VolumeRow): Static<typeof VolumeFacts> {
  const { id, name, serial, sizeBytes, state, createdAt } = volume;
  return { id, name, serial, sizeBytes, state, createdAt: iso(createdAt) };
}

const Volume = Type.Object({
  ...row,
  group: Type.Optional(Named),
  heldHere: Type.Boolean({ description: "This site's hosts may write it." }),
  hosts: Type.Array(Type.String(), { description: 'Names of the hosts that may attach it.' }),
  session: Type.Optional(Session),
});

function sayVolume(volume: VolumeView): Static<typeof Volume> {
  const { group, heldHere, session } = volume;
  return known({
    ...sayVolumeRow(volume),
    group: group.implicit ? undefined : { id: group.id, name: group.name },
    heldHere,
    hosts: [...group.hosts],
    session: session && saySession(session),
  });
}

const Create = object({
  name: Name,
  sizeBytes: SizeBytes,
  group: Type.Optional(Reference),
});
const Resize = object({ sizeBytes: SizeBytes });
const ByVolume = Type.Object({ volume: Reference });
const Created = Type.Object({ job: Accepted.properties.job, volume: Volume });
const tags = ['volumes'];

export const volumes: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  http.get(
    '/volumes',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'List volumes, oldest first',
        querystring: object({ ...Paging, name: Type.Optional(Name) }),
        response: { 200: PageOf(Volume) },
      },
    },
    async ({ query }) => {
      const all = await app.listVolumes();
      const named = all.filter(({ name }) => query.name === undefined || name === query.name);
      return page(named, query, sayVolume);
    },
  );

  http.get(
    '/volumes/:volume',
    {
      config: { needs: 'view' },
      schema: { tags, summary: 'Show a volume', params: ByVolume, response: { 200: Volume } },
    },
    async ({ params }) => sayVolume(await app.showVolume(await volumeIdOf(app, params.volume))),
  );

  http.post(
    '/volumes',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Make a volume of zeros, thinly provisioned',
        body: Create,
        querystring: object(Wait),
        response: { 200: Created, 202: Created },
      },
    },
    async ({ body: { name, sizeBytes, group }, query }, reply) => {
      const groupId = group === undefined ? undefined : await groupIdOf(app, group);
      const { volumeId, jobId } = await app.createVolume({
        name,
        sizeBytes,
        ...(groupId && { groupId }),
      });
      const { job } = await answerJob(reply, app, jobId, query.wait);
      return { job, volume: sayVolume(await app.showVolume(volumeId)) };
    },
  );

  http.patch(
    '/volumes/:volume',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Grow a volume, at every site that has it',
        description: 'Its hosts are disconnected for some milliseconds and have to reconnect.',
        params: ByVolume,
        querystring: object(Wait),
        body: Resize,
        response: LongAnswer,
      },
    },
    async ({ params, body, query }, reply) => {
      const volumeId = await volumeIdOf(app, params.volume);
      const { jobId } = await app.resizeVolume({ volumeId, ...body });
      return answerJob(reply, app, jobId, query.wait);
    },
  );

  http.delete(
    '/volumes/:volume',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Delete a volume and all its bytes',
        params: ByVolume,
        querystring: object(Wait),
        response: LongAnswer,
      },
    },
    async ({ params, query }, reply) => {
      const { jobId } = await app.deleteVolume({ volumeId: await volumeIdOf(app, params.volume) });
      return answerJob(reply, app, jobId, query.wait);
    },
  );
};
