/** Replication pairs: two disks in two zones, of which one is to be the copy of the other. */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { callerName } from '../callers.ts';
import type { PairId } from '../../domain/ids.ts';
import { newId } from '../../domain/ids.ts';
import { clipped, readMember } from './bodies.ts';
import { Fault } from './errors.ts';
import { idIn } from './ids.ts';
import { list, nextLinks } from './lists.ts';
import type { EvsOptions } from './options.ts';
import { seeRegion } from './region.ts';
import type { Disk, Pair, Region } from './region.ts';
import { gibibytes, stamp, Words } from './schemas.ts';
import { statesOf } from './states.ts';
import { VOLUME_TYPE } from './types.ts';
import { rootOf } from './versions.ts';
import { diskNamed } from './volumes.ts';

export const MODEL = 'hypermetro';

/** The vendor's code for a pair whose disk is gone. */
const DISK_GONE = '37100050';

const Create = Type.Object({
  name: Type.Optional(Words),
  description: Type.Optional(Words),
  volume_ids: Type.Array(Type.String({ maxLength: 64 }), { minItems: 2, maxItems: 2 }),
  priority_station: Words,
  replication_model: Type.Enum([MODEL]),
});

const attributes = [
  'name',
  'status',
  'replication_consistency_group_id',
  'volume_ids',
  'priority_station',
] as const;
const sortKeys = ['id', 'created_at', 'updated_at', 'name', 'status'] as const;

export const replications: FastifyPluginAsync<EvsOptions> = async (http, { app }) => {
  const view = { needs: 'view', isExtension: true } as const;
  const storage = { needs: 'storage', isExtension: true } as const;

  http.post('/os-vendor-replications', { config: storage }, async (request, reply) => {
    const asked = readMember(request.body, 'replication', Create, { strict: true });
    const region = await seeRegion(app);
    const { production, other } = endsIn(region, asked);
    const pairId = newId<PairId>();
    await app.askSite({
      errand: {
        verb: 'pair_volumes',
        volumeId: production.id,
        standIn: {
          pairId,
          volumeId: other.id,
          siteId: other.siteId,
          name: asked.name ?? '',
          description: asked.description ?? '',
        },
      },
      by: callerName(request),
    });
    reply.code(202);
    const after = await seeRegion(app);
    return { replication: sayPair(pairNamed(after, pairId)) };
  });

  for (const path of ['/os-vendor-replications', '/os-vendor-replications/detail']) {
    http.get(path, { config: view }, async (request) => {
      const region = await seeRegion(app);
      const rows = region.pairs.map((pair) => ({
        ...sayWhole(region, pair),
        // Either disk may be asked for, also as `volume_id`.
        volume_ids: [...pair.diskIds, pair.diskIds.join(',')],
      }));
      const page = list(rows, withVolumeIds(request), {
        filters: attributes,
        sortKeys,
        leastLimit: 1,
      });
      const shown = page.rows.map(({ id }) => sayWhole(region, pairNamed(region, id)));
      const base = `${rootOf(request)}${request.url.split('?', 1)[0] ?? ''}`;
      return { replications: shown, ...nextLinks('replications', base, page.next) };
    });
  }

  http.get('/os-vendor-replications/:id', { config: view }, async (request) => {
    const region = await seeRegion(app);
    return { replication: sayWhole(region, pairNamed(region, idOf(request))) };
  });

  http.delete('/os-vendor-replications/:id', { config: storage }, async (request, reply) => {
    const pair = pairNamed(await seeRegion(app), idOf(request));
    if (pair.isUnnamed) {
      throw new Fault(
        409,
        `Replication ${pair.id} was not made by this API: end the replication of volume ${pair.volume.name} where it was begun.`,
      );
    }
    await app.askSite({
      errand: { verb: 'part_volumes', volumeId: pair.volume.id, pairId: pair.id },
      by: callerName(request),
    });
    return reply.code(202).send();
  });
};

/** @throws Fault 404 */
export function pairNamed({ pairs }: Region, reference: string): Pair {
  const id = idIn<PairId>(reference);
  const pair = pairs.find((p) => p.id === id);
  if (pair !== undefined) return pair;
  throw new Fault(404, `Replication ${clipped(reference)} could not be found.`);
}

interface Asked {
  readonly volume_ids: readonly string[];
  readonly priority_station: string;
}

/** @throws Fault 404 for a disk that is not there, 400 for two that cannot be a pair */
function endsIn(
  region: Region,
  { volume_ids: ids, priority_station: station }: Asked,
): { readonly production: Disk; readonly other: Disk } {
  const disks = ids.map((id) => diskNamed(region, id));
  const [first, second] = disks;
  if (first === undefined || second === undefined || first.siteId === second.siteId) {
    throw new Fault(400, 'Invalid volume_ids: wanted two disks in different availability zones.');
  }
  const production = disks.find(({ zone }) => zone === station);
  if (production === undefined) {
    const zones = disks.map(({ zone }) => zone).join(' or ');
    throw new Fault(400, `Invalid priority_station '${clipped(station)}': wanted ${zones}.`);
  }
  return { production, other: production === first ? second : first };
}

function sayPair(pair: Pair) {
  const { id, name, description, group, diskIds, station, createdAt } = pair;
  return {
    id,
    name,
    description,
    status: pair.isBroken ? 'error' : 'available',
    replication_consistency_group_id: group.implicit ? null : group.id,
    volume_ids: diskIds.join(','),
    priority_station: station,
    created_at: stamp(createdAt),
    updated_at: stamp(Math.max(createdAt, group.session?.stateSince ?? createdAt)),
  };
}

function sayWhole(region: Region, pair: Pair) {
  const { replicationStatus, progress, faultLevel } = statesOf(region, pair.group);
  return {
    ...sayPair(pair),
    replication_model: MODEL,
    replication_status: pair.isBroken ? 'error' : replicationStatus,
    progress,
    ...(pair.isBroken && { failure_detail: DISK_GONE }),
    record_metadata: JSON.stringify({
      volume_size: gibibytes(pair.volume.sizeBytes),
      volume_type: VOLUME_TYPE,
      multiattach: false,
    }),
    fault_level: faultLevel,
  };
}

/** `volume_id` is one of the two that `volume_ids` shows. */
function withVolumeIds({ url }: FastifyRequest): string {
  return url.replaceAll(/([?&])volume_id=/g, '$1volume_ids=');
}

function idOf({ params }: FastifyRequest): string {
  return (params as { readonly id: string }).id;
}
