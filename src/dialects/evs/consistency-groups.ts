/** Replication consistency groups: pairs that are copied, moved and failed over together. */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { callerName } from '../callers.ts';
import type { GroupId } from '../../domain/ids.ts';
import { clipped, readMember } from './bodies.ts';
import { Fault } from './errors.ts';
import { idIn } from './ids.ts';
import { list, nextLinks } from './lists.ts';
import type { EvsOptions } from './options.ts';
import { seeRegion } from './region.ts';
import type { Pair, Region, SeenGroup } from './region.ts';
import { MODEL, pairNamed } from './replications.ts';
import { stamp, Words } from './schemas.ts';
import { isPaused, statesOf } from './states.ts';
import { rootOf } from './versions.ts';

const PATH = '/os-vendor-replication-consistency-groups';

const PairIds = Type.Array(Type.String({ maxLength: 64 }), { maxItems: 256 });

const Create = Type.Object({
  name: Type.Optional(Words),
  description: Type.Optional(Words),
  replication_ids: Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 256 }),
  priority_station: Words,
  replication_model: Type.Enum([MODEL]),
});

const Update = Type.Object({
  name: Type.Optional(Words),
  description: Type.Optional(Words),
  replication_model: Type.Optional(Type.Enum([MODEL])),
  add_replication_ids: Type.Optional(PairIds),
  remove_replication_ids: Type.Optional(PairIds),
});

const attributes = ['name', 'status', 'priority_station', 'volume_id'] as const;
const sortKeys = ['id', 'created_at', 'updated_at', 'name', 'status'] as const;

export const consistencyGroups: FastifyPluginAsync<EvsOptions> = async (http, { app }) => {
  const view = { needs: 'view', isExtension: true } as const;
  const storage = { needs: 'storage', isExtension: true } as const;

  http.post(PATH, { config: storage }, async (request, reply) => {
    const member = 'replication_consistency_group';
    const asked = readMember(request.body, member, Create, { strict: true });
    const region = await seeRegion(app);
    const pairs = freePairs(region, asked.replication_ids);
    const stranger = pairs.find((pair) => pair.station !== asked.priority_station);
    if (stranger !== undefined) {
      const station = clipped(asked.priority_station);
      throw new Fault(
        400,
        `Invalid priority_station '${station}': that of replication ${stranger.id} is ${stranger.station}.`,
      );
    }
    const { id } = await app.askSite({
      errand: {
        verb: 'create_group',
        name: asked.name === undefined || asked.name === '' ? unnamed() : asked.name,
        description: asked.description ?? '',
        volumeIds: pairs.map(({ volume }) => volume.id),
      },
      by: callerName(request),
    });
    reply.code(202);
    const after = await seeRegion(app);
    return { [member]: sayGroup(after, groupNamed(after, id ?? '')) };
  });

  http.get(PATH, { config: view }, async (request) => {
    const region = await seeRegion(app);
    const rows = region.groups.map((group) => ({
      ...sayWhole(region, group),
      volume_id: pairsOf(region, group).flatMap(({ diskIds }) => diskIds),
    }));
    const page = list(rows, request.url, { filters: attributes, sortKeys, leastLimit: 1 });
    const shown = page.rows.map(({ volume_id: _either, ...row }) => row);
    const base = `${rootOf(request)}${request.url.split('?', 1)[0] ?? ''}`;
    const links = nextLinks('replication_consistency_groups', base, page.next);
    return { replication_consistency_groups: shown, ...links };
  });

  http.get(`${PATH}/:id`, { config: view }, async (request) => {
    const region = await seeRegion(app);
    return { replication_consistency_group: sayWhole(region, groupNamed(region, idOf(request))) };
  });

  http.put(`${PATH}/:id`, { config: storage }, async (request, reply) => {
    const member = 'replication_consistency_group';
    const region = await seeRegion(app);
    const group = groupNamed(region, idOf(request));
    const asked = readMember(request.body, member, Update, { strict: true });
    requireStatus(region, group, 'update', ['available']);
    if (!isPaused(group)) {
      throw new Fault(
        409,
        `Replication consistency group ${group.id} is not paused: os-stop-replication-consistency-group comes before an update.`,
      );
    }
    const add = freePairs(region, asked.add_replication_ids ?? []);
    const remove = memberPairs(region, group, asked.remove_replication_ids ?? []);
    const { jobId } = await app.askSite({
      errand: {
        verb: 'change_group',
        groupId: group.id,
        name: asked.name,
        description: asked.description,
        add: add.map(({ volume }) => volume.id),
        remove: remove.map(({ volume }) => volume.id),
      },
      by: callerName(request),
    });
    reply.code(202);
    const after = await seeRegion(app);
    const said = sayGroup(after, groupNamed(after, group.id));
    return { [member]: jobId === undefined ? said : { ...said, status: 'updating' } };
  });

  http.delete(`${PATH}/:id`, { config: storage }, async (request, reply) => {
    const region = await seeRegion(app);
    const group = groupNamed(region, idOf(request));
    requireStatus(region, group, 'delete', ['available', 'error_reversing', 'error_failovering']);
    await app.askSite({
      errand: { verb: 'delete_group', groupId: group.id },
      by: callerName(request),
    });
    return reply.code(202).send();
  });
};

/** @throws Fault 404 */
export function groupNamed({ groups }: Region, reference: string): SeenGroup {
  const id = idIn<GroupId>(reference);
  const group = groups.find((g) => g.id === id);
  if (group !== undefined) return group;
  throw new Fault(404, `Replication consistency group ${clipped(reference)} could not be found.`);
}

export function pairsOf({ pairs }: Region, { id }: SeenGroup): readonly Pair[] {
  return pairs.filter(({ group }) => group.id === id);
}

/** @throws Fault 409 */
export function requireStatus(
  region: Region,
  group: SeenGroup,
  wanted: string,
  allowed: readonly string[],
): void {
  const { status } = statesOf(region, group);
  if (allowed.includes(status)) return;
  throw new Fault(
    409,
    `Replication consistency group ${group.id} is ${status}: ${wanted} is possible when it is ${allowed.join(' or ')}.`,
  );
}

/** @throws Fault 404, 409 for a pair that is in a group, is broken or is replicated by itself */
function freePairs(region: Region, references: readonly string[]): readonly Pair[] {
  return [...new Set(references)].map((reference) => {
    const pair = pairNamed(region, reference);
    if (!pair.group.implicit) {
      throw new Fault(409, `Replication ${pair.id} is in consistency group ${pair.group.id}.`);
    }
    if (pair.isBroken) throw new Fault(409, `Replication ${pair.id} is error, not available.`);
    if (pair.isUnnamed) throw new Fault(409, `Replication ${pair.id} was not made by this API.`);
    return pair;
  });
}

/** @throws Fault 404 for a pair that is not there, or not in this group */
function memberPairs(
  region: Region,
  group: SeenGroup,
  references: readonly string[],
): readonly Pair[] {
  return [...new Set(references)].map((reference) => {
    const pair = pairNamed(region, reference);
    if (pair.group.id === group.id) return pair;
    throw new Fault(404, `Replication ${pair.id} is not in consistency group ${group.id}.`);
  });
}

function sayGroup(region: Region, group: SeenGroup) {
  const { id, name, description, ownership, session, createdAt } = group;
  const station = region.zones.find(({ siteId }) => siteId === ownership.holder)?.name ?? '';
  return {
    id,
    name,
    description,
    status: statesOf(region, group).status,
    priority_station: station,
    created_at: stamp(createdAt),
    updated_at: stamp(Math.max(createdAt, session?.stateSince ?? createdAt)),
  };
}

function sayWhole(region: Region, group: SeenGroup) {
  const { replicationStatus, faultLevel } = statesOf(region, group);
  return {
    ...sayGroup(region, group),
    replication_model: MODEL,
    replication_status: replicationStatus,
    replication_ids: pairsOf(region, group).map(({ id }) => id),
    fault_level: faultLevel,
  };
}

/** Here a group has a name, which no other has. */
function unnamed(): string {
  return `group-${crypto.randomUUID()}`;
}

function idOf({ params }: FastifyRequest): string {
  return (params as { readonly id: string }).id;
}
