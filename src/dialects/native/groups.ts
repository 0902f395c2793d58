import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { GroupView } from '../../app/views.ts';
import type { Group as GroupRow } from '../../domain/group.ts';
import { LongAnswer, answerJob } from './jobs.ts';
import type { DialectOptions } from '../options.ts';
import { groupIdOf, volumeIdOf } from './references.ts';
import {
  Instant,
  Name,
  Named,
  PageOf,
  Paging,
  Reference,
  Uuid,
  Wait,
  iso,
  known,
  object,
  page,
} from './schemas.ts';
import { Session, saySession } from './session-view.ts';
import { VolumeFacts, sayVolumeRow } from './volumes.ts';

const row = {
  id: Uuid,
  name: Type.String(),
  epoch: Type.Integer({ description: 'Grows by one with each change of holder.' }),
  forced: Type.Boolean({ description: 'The holder took it without the word of the other site.' }),
  provisional: Type.Boolean({
    description: 'That failover can still be rolled back; see `session.window`.',
  }),
  operation: Type.Optional(Type.String({ description: 'The job that changes it now.' })),
  fenced: Type.Boolean({ description: 'Hosts may not write while an operation runs.' }),
  hosts: Type.Array(Type.String(), { description: 'Names of the hosts that may attach it.' }),
  createdAt: Instant,
};

export function sayGroupRow(group: GroupRow) {
  const { id, name, ownership, operation, fencedBy, hosts, createdAt } = group;
  return known({
    id,
    name,
    epoch: ownership.epoch,
    forced: ownership.forced,
    provisional: ownership.provisional === true,
    operation,
    fenced: fencedBy !== undefined,
    hosts: [...hosts],
    createdAt: iso(createdAt),
  });
}

const Group = Type.Object({
  ...row,
  holder: Named,
  heldHere: Type.Boolean({ description: "This site's hosts may write it." }),
  volumes: Type.Array(VolumeFacts),
  session: Type.Optional(Session),
});

function sayGroup(group: GroupView): Static<typeof Group> {
  const { ownership, holderName, heldHere, session } = group;
  return known({
    ...sayGroupRow(group),
    holder: { id: ownership.holder, name: holderName },
    heldHere,
    volumes: group.volumes.map(sayVolumeRow),
    session: session && saySession(session),
  });
}

/** What the data plane itself says, for whoever looks for trouble. */
const DataPlane = Type.Object({
  groupId: Uuid,
  dataPlane: Type.Enum(['stopped', 'running', 'hung']),
  instance: Type.Optional(Type.String()),
  pid: Type.Optional(Type.Integer()),
  address: Type.Optional(Type.Object({ host: Type.String(), port: Type.Integer() })),
  serving: Type.Boolean({ description: 'Hosts may attach.' }),
  hasPresent: Type.Boolean({ description: 'There is something above the newest point.' }),
  receiving: Type.Optional(Uuid),
  sending: Type.Optional(Uuid),
  volumes: Type.Array(
    Type.Object({
      volumeId: Uuid,
      sizeBytes: Type.Integer(),
      layers: Type.Integer(),
      allocatedBytes: Type.Integer(),
    }),
  ),
  forks: Type.Array(
    Type.Object({ forkId: Uuid, basePointId: Uuid, allocatedBytes: Type.Integer() }),
  ),
});

function sayDataPlane(
  inspection: Awaited<ReturnType<App['inspectGroup']>>,
): Static<typeof DataPlane> {
  const { volumes, forks, sendingTo: _, ...members } = inspection;
  return known({ ...members, volumes: [...volumes], forks: [...forks] });
}

const ByGroup = Type.Object({ group: Reference });
const ByMember = Type.Object({ group: Reference, volume: Reference });
const tags = ['groups'];

export const groups: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  http.get(
    '/groups',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: 'List groups, oldest first',
        description: 'A volume that stands alone is in none of them.',
        querystring: object({ ...Paging, name: Type.Optional(Name) }),
        response: { 200: PageOf(Group) },
      },
    },
    async ({ query }) => {
      const shown = (await app.listGroups()).filter(({ implicit }) => !implicit);
      const named = shown.filter(({ name }) => query.name === undefined || name === query.name);
      return page(named, query, sayGroup);
    },
  );

  http.get(
    '/groups/:group',
    {
      config: { needs: 'view' },
      schema: { tags, summary: 'Show a group', params: ByGroup, response: { 200: Group } },
    },
    async ({ params }) => sayGroup(await app.showGroup(await groupIdOf(app, params.group))),
  );

  http.post(
    '/groups',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Make an empty group',
        body: object({ name: Name }),
        response: { 201: Group },
      },
    },
    async ({ body }, reply) => {
      const { id } = await app.createGroup(body);
      reply.code(201).header('location', `${http.prefix}/groups/${id}`);
      return sayGroup(await app.showGroup(id));
    },
  );

  http.delete(
    '/groups/:group',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Delete an empty group, or the copy of one that nothing feeds any more',
        params: ByGroup,
        querystring: object(Wait),
        response: LongAnswer,
      },
    },
    async ({ params, query }, reply) => {
      const { jobId } = await app.deleteGroup({ groupId: await groupIdOf(app, params.group) });
      return answerJob(reply, app, jobId, query.wait);
    },
  );

  http.post(
    '/groups/:group/volumes/:volume',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Move a volume that stands alone into a group',
        description: "Its hosts reconnect, at the group's address.",
        params: ByMember,
        querystring: object(Wait),
        response: LongAnswer,
      },
    },
    async ({ params, query }, reply) => {
      const { jobId } = await app.addVolume({
        groupId: await groupIdOf(app, params.group),
        volumeId: await volumeIdOf(app, params.volume),
      });
      return answerJob(reply, app, jobId, query.wait);
    },
  );

  http.delete(
    '/groups/:group/volumes/:volume',
    {
      config: { needs: 'storage' },
      schema: {
        tags,
        summary: 'Take a volume out of its group, to stand alone',
        params: ByMember,
        querystring: object(Wait),
        response: LongAnswer,
      },
    },
    async ({ params, query }, reply) => {
      const { jobId } = await app.removeVolume({
        groupId: await groupIdOf(app, params.group),
        volumeId: await volumeIdOf(app, params.volume),
      });
      return answerJob(reply, app, jobId, query.wait);
    },
  );

  http.get(
    '/groups/:group/data-plane',
    {
      config: { needs: 'view' },
      schema: {
        tags,
        summary: "What a group's data plane says",
        params: ByGroup,
        response: { 200: DataPlane },
      },
    },
    async ({ params }) => sayDataPlane(await app.inspectGroup(await groupIdOf(app, params.group))),
  );
};
