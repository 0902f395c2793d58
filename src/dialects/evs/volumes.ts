/** Disks, as Cinder's own calls show, make and delete them, in both zones. */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { callerName } from '../callers.ts';
import type { VolumeId } from '../../domain/ids.ts';
import { clipped, isMembers, readMember } from './bodies.ts';
import { Fault } from './errors.ts';
import { derivedId, idIn, PROJECT_ID } from './ids.ts';
import { list, nextLinks } from './lists.ts';
import type { EvsOptions } from './options.ts';
import { seeRegion } from './region.ts';
import type { Disk, Region } from './region.ts';
import { bytes, gibibytes, stamp, Words } from './schemas.ts';
import { isVolumeType, VOLUME_TYPE } from './types.ts';
import { rootOf } from './versions.ts';

const Size = Type.Union([
  Type.Integer({ minimum: 1, maximum: 65_536 }),
  Type.String({ pattern: '^[1-9][0-9]{0,4}$' }),
]);

const Create = Type.Object({
  size: Size,
  name: Type.Optional(Words),
  display_name: Type.Optional(Words),
  availability_zone: Type.Optional(Words),
  volume_type: Type.Optional(Words),
  metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
  description: Type.Optional(Words),
  display_description: Type.Optional(Words),
  multiattach: Type.Optional(Type.Boolean()),
  snapshot_id: Type.Optional(Type.String()),
  source_volid: Type.Optional(Type.String()),
  backup_id: Type.Optional(Type.String()),
  imageRef: Type.Optional(Type.String()),
  consistencygroup_id: Type.Optional(Type.String()),
  group_id: Type.Optional(Type.String()),
});

/** What would be made otherwise than asked, if these were ignored. */
const notOffered = [
  'snapshot_id',
  'source_volid',
  'backup_id',
  'imageRef',
  'consistencygroup_id',
  'group_id',
  'multiattach',
  'description',
  'display_description',
  'metadata',
] as const;

const attributes = [
  'name',
  'status',
  'size',
  'availability_zone',
  'volume_type',
  'bootable',
  'replication_status',
] as const;
const sortKeys = ['id', 'created_at', 'name', 'status', 'size', 'availability_zone'] as const;

interface Path {
  readonly id: string;
}

export const volumes: FastifyPluginAsync<EvsOptions> = async (http, { app }) => {
  const view = { needs: 'view' } as const;
  const storage = { needs: 'storage' } as const;

  http.post('/volumes', { config: storage }, async (request, reply) => {
    const asked = readMember(request.body, 'volume', Create, { strict: false });
    const other = notOffered.find((member) => isAsked(asked[member]));
    if (other !== undefined) throw new Fault(400, `Invalid input: '${other}' is not offered here.`);
    if (asked.volume_type !== undefined && !isVolumeType(asked.volume_type)) {
      throw new Fault(404, `Volume type ${clipped(asked.volume_type)} could not be found.`);
    }
    const region = await seeRegion(app);
    const name = asked.name ?? asked.display_name ?? '';
    const { id } = await app.askSite({
      errand: {
        verb: 'create_volume',
        name: name === '' ? unnamed() : name,
        sizeBytes: bytes(Number(asked.size)),
      },
      by: callerName(request),
      at: siteOf(region, asked.availability_zone),
    });
    reply.code(202);
    return { volume: sayDisk(request, await seeRegion(app), diskNamed(await seeRegion(app), id)) };
  });

  http.get('/volumes', { config: view }, async (request) => {
    const region = await seeRegion(app);
    const { rows, next } = listed(request, region);
    const brief = rows.map(({ id, name, links }) => ({ id, name, links }));
    return { volumes: brief, ...nextLinks('volumes', hrefOf(request), next) };
  });

  http.get('/volumes/detail', { config: view }, async (request) => {
    const { rows, next } = listed(request, await seeRegion(app));
    return { volumes: rows, ...nextLinks('volumes', hrefOf(request), next) };
  });

  http.get('/volumes/:id', { config: view }, async (request) => {
    const region = await seeRegion(app);
    const { id } = request.params as Path;
    return { volume: sayDisk(request, region, diskNamed(region, id)) };
  });

  http.delete('/volumes/:id', { config: storage }, async (request, reply) => {
    const { id } = diskNamed(await seeRegion(app), (request.params as Path).id);
    await app.askSite({ errand: { verb: 'delete_volume', volumeId: id }, by: callerName(request) });
    return reply.code(202).send();
  });

  // Clients know this path for what is not offered here, and expect to be told which action it was.
  http.post('/volumes/:id/action', { config: storage }, async (request) => {
    diskNamed(await seeRegion(app), (request.params as Path).id);
    const [action] = isMembers(request.body) ? Object.keys(request.body) : [];
    throw action === undefined
      ? new Fault(400, 'Malformed request body')
      : new Fault(400, `There is no such action: ${clipped(action)}`);
  });
};

/** @throws Fault 404 — also for a name in the id's place: clients look for it in the list then */
export function diskNamed({ disks }: Region, reference: string | undefined): Disk {
  const id = reference === undefined ? undefined : idIn<VolumeId>(reference);
  const disk = disks.find((d) => d.id === id);
  if (disk !== undefined) return disk;
  throw new Fault(404, `Volume ${clipped(reference ?? '')} could not be found.`);
}

function listed(request: FastifyRequest, region: Region) {
  const rows = region.disks.map((disk) => sayDisk(request, region, disk));
  return list(rows, request.url, { filters: attributes, sortKeys, leastLimit: 0 });
}

function sayDisk(request: FastifyRequest, region: Region, disk: Disk) {
  const [, version = ''] = request.url.split('/', 2);
  const path = `${rootOf(request)}/${version}/${PROJECT_ID}/volumes/${disk.id}`;
  const pair = region.pairs.find(({ diskIds }) => diskIds.includes(disk.id));
  const replicated = pair?.group.session !== undefined;
  return {
    id: disk.id,
    name: disk.name,
    description: null,
    size: gibibytes(disk.sizeBytes),
    status: statusOf(disk),
    availability_zone: disk.zone,
    volume_type: VOLUME_TYPE,
    snapshot_id: null,
    source_volid: null,
    metadata: {},
    links: [
      { rel: 'self', href: path },
      { rel: 'bookmark', href: path.replace(`/${version}/`, '/') },
    ],
    user_id: PROJECT_ID,
    bootable: 'false',
    encrypted: false,
    replication_status: replicated ? 'enabled' : 'disabled',
    consistencygroup_id: null,
    multiattach: false,
    shareable: false,
    attachments: disk.hosts.map((host) => attachmentOf(disk, host)),
    created_at: stamp(disk.createdAt),
    updated_at: stamp(disk.createdAt),
    'os-vol-tenant-attr:tenant_id': PROJECT_ID,
    'os-volume-replication:extended_status': null,
    'os-volume-replication:driver_data': null,
  };
}

function statusOf({ state, hosts }: Disk): string {
  if (state !== 'ready') return state;
  return hosts.length > 0 ? 'in-use' : 'available';
}

function attachmentOf({ id, createdAt }: Disk, host: string) {
  return {
    id,
    volume_id: id,
    attachment_id: derivedId('attachment', id, host),
    server_id: derivedId('server', host),
    host_name: host,
    device: null,
    attached_at: stamp(createdAt),
  };
}

/** Null and what says nothing are as good as absent. */
function isAsked(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== '' && value !== false;
}

/** Here a volume has a name, which nothing else has: also the name of its export. */
function unnamed(): string {
  return `volume-${crypto.randomUUID()}`;
}

/** @throws Fault 400 for a zone that is not one of the two */
function siteOf({ here, zones }: Region, name: string | undefined) {
  if (name === undefined || name === '') return here;
  const zone = zones.find((z) => z.name === name);
  if (zone !== undefined) return zone.siteId;
  const names = zones.map((z) => z.name).join(', ');
  throw new Fault(400, `Availability zone '${clipped(name)}' is invalid: it is one of ${names}.`);
}

function hrefOf(request: FastifyRequest): string {
  return `${rootOf(request)}${request.url.split('?', 1)[0] ?? ''}`;
}
