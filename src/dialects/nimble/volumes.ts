/** Volumes; sizes are in MiB. */
import { Type } from 'typebox';
import type { App } from '../../app/app.ts';
import type { VolumeView } from '../../app/views.ts';
import { mayServe } from '../../domain/group.ts';
import type { VolumeId, GroupId, SiteId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { ReplicationSession } from '../../domain/replication-session.ts';
import { NimbleError } from './errors.ts';
import { POOL_NAME } from './groups.ts';
import { fromWire, toWire } from './ids.ts';
import type { Json, Row } from './lists.ts';
import { settle } from './long-requests.ts';
import { operation } from './object-sets.ts';
import type { ObjectSet } from './object-sets.ts';
import { pointName } from './point-name.ts';
import { PERFORMANCE_POLICY } from './performance-policies.ts';
import {
  DIALECT,
  Fixed,
  Name,
  ObjectId,
  ObjectIdOrNone,
  data,
  refuseOthers,
  remarkArguments,
  remarked,
  remarksIn,
  seconds,
} from './schemas.ts';
import { isShown } from './shown-groups.ts';

const MIB = 1024 * 1024;
/** No limit. The vendor says 2^63 - 1; this is what a JSON number of ours holds just below it. */
const NONE = 9_223_372_036_854_774_784;

/** What can only have this value here. */
const fixed = {
  reserve: 0,
  limit: 100,
  snap_reserve: 0,
  iscsi_target_scope: 'group',
  read_only: false,
  block_size: 4096,
  clone: false,
  base_snap_id: '',
  cache_pinned: false,
  thinly_provisioned: true,
  encryption_cipher: 'none',
  folder_id: '',
  dest_pool_id: '',
  dedupe_enabled: false,
  limit_iops: -1,
  limit_mbps: -1,
  needs_content_repl: false,
} as const satisfies Row;

const constants = {
  ...fixed,
  perfpolicy_name: PERFORMANCE_POLICY,
  projected_num_snaps: 0,
  pool_name: POOL_NAME,
  secondary_serial_number: '',
  target_name: '',
  parent_vol_name: '',
  parent_vol_id: '',
  base_snap_name: '',
  dest_pool_name: '',
  usage_valid: false,
  space_usage_level: 'normal',
  cache_policy: 'normal',
  online_snaps: null,
  num_iscsi_connections: 0,
  num_fc_connections: 0,
  access_control_records: null,
  folder_name: '',
  iscsi_sessions: null,
  fc_sessions: null,
  caching_enabled: true,
  previously_deduped: false,
  app_category: 'Other',
  srep_last_sync: 0,
  srep_resync_percent: 0,
} as const satisfies Row;

const facts = [
  'id',
  'name',
  'full_name',
  'search_name',
  'size',
  'description',
  'perfpolicy_id',
  'num_snaps',
  'online',
  'offline_reason',
  'vol_state',
  'owned_by_group',
  'owned_by_group_id',
  'pool_id',
  'serial_number',
  'replication_role',
  'volcoll_name',
  'volcoll_id',
  'agent_type',
  'app_uuid',
  'metadata',
  'creation_time',
  'last_modified',
  'protection_type',
  'last_snap',
  'last_replicated_snap',
  'vpd_t10',
  'vpd_ieee0',
  'vpd_ieee1',
  'warn_level',
  'snap_warn_level',
  'snap_limit',
  'snap_limit_percent',
  'multi_initiator',
] as const;

type VolumeRow = Readonly<Record<(typeof facts)[number], Json>> & Row;

interface Surroundings {
  readonly here: SiteId;
  readonly siteNames: ReadonlyMap<SiteId, string>;
}

async function sayVolume(
  app: App,
  volume: VolumeView,
  { here, siteNames }: Surroundings,
): Promise<VolumeRow> {
  const { id, name, group, session, createdAt, remarks } = volume;
  const points = await app.listPoints(group.id);
  const summaries = points.flatMap((point) => {
    const at = point.volumes.findIndex((v) => v.volumeId === id);
    if (at < 0) return [];
    return [
      {
        snap_id: toWire('snapshot', point.id, at + 1),
        snap_name: pointName(group, point),
        snap_creation_time: seconds(point.sealedAt),
        isCommon: point.commonAt !== undefined,
      },
    ];
  });
  const serial = volume.serial.padEnd(32, '0');
  const { holder } = group.ownership;
  const owner = siteNames.get(holder) ?? holder;
  const isOnline = mayServe(group, here) && volume.state === 'ready';
  const isMember = isShown({ ...group, session });
  return {
    ...constants,
    id: toWire('volume', id),
    name,
    full_name: `${POOL_NAME}:/${name}`,
    search_name: name,
    size: Math.ceil(volume.sizeBytes / MIB),
    description: remarked(remarks, 'description', ''),
    perfpolicy_id: toWire('performance_policy', here),
    num_snaps: summaries.length,
    online: isOnline,
    offline_reason: isOnline ? null : holder === here ? 'user' : 'replica',
    vol_state: isOnline ? 'online' : 'offline',
    owned_by_group: owner,
    owned_by_group_id: toWire('group', holder),
    pool_id: toWire('pool', here),
    serial_number: serial,
    replication_role: roleOf(session),
    volcoll_name: isMember ? group.name : '',
    volcoll_id: isMember ? toWire('volume_collection', group.id) : '',
    agent_type: remarked(remarks, 'agent_type', 'none'),
    app_uuid: remarked(remarks, 'app_uuid', ''),
    metadata: remarked(remarks, 'metadata', null),
    creation_time: seconds(createdAt),
    last_modified: seconds(createdAt),
    protection_type: session === undefined ? 'unprotected' : 'remote',
    last_snap: summaryOf(summaries.at(-1)),
    last_replicated_snap: summaryOf(summaries.findLast((s) => s.isCommon)),
    vpd_t10: `Nimble  ${serial}`,
    vpd_ieee0: serial.slice(0, 16),
    vpd_ieee1: serial.slice(16),
    warn_level: remarked(remarks, 'warn_level', 0),
    snap_warn_level: remarked(remarks, 'snap_warn_level', 0),
    snap_limit: remarked(remarks, 'snap_limit', NONE),
    snap_limit_percent: remarked(remarks, 'snap_limit_percent', -1),
    multi_initiator: remarked(remarks, 'multi_initiator', false),
  };
}

function summaryOf(summary: (Row & { readonly isCommon: boolean }) | undefined): Row | null {
  if (summary === undefined) return null;
  const { isCommon: _, ...said } = summary;
  return said;
}

function roleOf(session: ReplicationSession | undefined): string {
  if (session === undefined) return 'no_replication';
  if (session.role === 'destination') return 'periodic_snapshot_downstream';
  return session.state === 'failed_over' ? 'no_replication' : 'periodic_snapshot_upstream';
}

async function surroundingsOf(app: App): Promise<Surroundings> {
  const { id, name } = await app.showSite();
  const peers = await app.listPeers();
  return {
    here: id,
    siteNames: new Map([[id, name], ...peers.map((p) => [p.id, p.name] as const)]),
  };
}

/** Kept and told back: when somebody would be warned, and what hosts may do together. */
const levels = {
  warn_level: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
  snap_warn_level: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
  snap_limit: Type.Optional(Type.Number()),
  snap_limit_percent: Type.Optional(Type.Integer()),
  multi_initiator: Type.Optional(Type.Boolean()),
};
const levelNames = Object.keys(levels);

const fixedArguments = Object.fromEntries(Object.keys(fixed).map((name) => [name, Fixed]));

const SizeMib = Type.Integer({ minimum: 1, maximum: 2 ** 33 });

const Create = data({
  ...fixedArguments,
  ...levels,
  ...remarkArguments,
  name: Name,
  size: SizeMib,
  online: Type.Optional(Type.Boolean()),
  perfpolicy_id: Type.Optional(ObjectIdOrNone),
  pool_id: Type.Optional(ObjectIdOrNone),
});

const Update = data({
  ...fixedArguments,
  ...levels,
  ...remarkArguments,
  name: Type.Optional(Name),
  size: Type.Optional(SizeMib),
  online: Type.Optional(Type.Boolean()),
  force: Type.Optional(Type.Boolean()),
  volcoll_id: Type.Optional(ObjectIdOrNone),
  perfpolicy_id: Type.Optional(ObjectIdOrNone),
  owned_by_group_id: Type.Optional(ObjectId),
});

export const volumes: ObjectSet = {
  name: 'volumes',
  attributes: [...facts, ...Object.keys(constants)],
  brief: ['id', 'name'],
  rows: async ({ app }) => {
    const surroundings = await surroundingsOf(app);
    const all = await app.listVolumes();
    return Promise.all(all.map((v) => sayVolume(app, v, surroundings)));
  },
  create: operation({
    needs: 'storage',
    schema: Create,
    run: async ({ app }, body) => {
      const surroundings = await surroundingsOf(app);
      const { name, size, online = true, perfpolicy_id, pool_id } = body;
      refuseOthers(body, fixed);
      refuseOthers(
        { ...(perfpolicy_id && { perfpolicy_id }), ...(pool_id && { pool_id }) },
        {
          perfpolicy_id: toWire('performance_policy', surroundings.here),
          pool_id: toWire('pool', surroundings.here),
        },
      );
      const { volumeId, jobId } = await app.createVolume({ name, sizeBytes: size * MIB });
      await settle(app, { jobId });
      await app.remarkOn({ on: { volumeId }, dialect: DIALECT, told: remarksIn(body, levelNames) });
      if (!online) await app.switchVolume({ volumeId, online });
      return sayVolume(app, await app.showVolume(volumeId), surroundings);
    },
  }),
  update: operation({
    needs: 'storage',
    schema: Update,
    run: async ({ app, id }, body) => {
      const volumeId = volumeIdOf(id);
      const before = await app.showVolume(volumeId);
      refuseOthers(body, {
        ...fixed,
        name: before.name,
        owned_by_group_id: toWire('group', before.group.ownership.holder),
      });
      const { size, online, volcoll_id } = body;
      if (size !== undefined && size * MIB !== before.sizeBytes) {
        if (size * MIB < before.sizeBytes) {
          throw new NimbleError('SM_vol_size_decreased', 'Here a volume only grows.');
        }
        await settle(app, await app.resizeVolume({ volumeId, sizeBytes: size * MIB }));
      }
      if (volcoll_id !== undefined) await associate(app, before, volcoll_id);
      if (online !== undefined && online !== isOnlineNow(before)) {
        await app.switchVolume({ volumeId, online });
      }
      await app.remarkOn({ on: { volumeId }, dialect: DIALECT, told: remarksIn(body, levelNames) });
    },
  }),
  remove: operation({
    needs: 'storage',
    schema: data({ force: Type.Optional(Type.Boolean()) }),
    run: async ({ app, id }) => {
      const volumeId = volumeIdOf(id);
      const volume = await app.showVolume(volumeId);
      const { group, heldHere } = volume;
      if (isShown({ ...group, session: volume.session })) {
        throw new NimbleError('SM_vol_assoc_volcoll', `Take it out of ${group.name} first.`);
      }
      if (heldHere && isOnlineNow(volume)) {
        throw new NimbleError('SM_vol_not_offline', 'Put it offline first.');
      }
      await settle(app, await app.deleteVolume({ volumeId }));
    },
  }),
};

function isOnlineNow({ group, heldHere }: VolumeView): boolean {
  return heldHere && group.offline !== true;
}

/** Into a collection, or out of the one that it is in; what is so already stays. */
async function associate(app: App, volume: VolumeView, volcollId: string): Promise<void> {
  const { id: volumeId, group } = volume;
  if (volcollId === '') {
    if (!group.implicit) await settle(app, await app.removeVolume({ groupId: group.id, volumeId }));
    return;
  }
  const groupId =
    fromWire<GroupId>('volume_collection', volcollId)?.id ??
    refuse({ code: 'not_found', what: 'group', id: volcollId });
  if (group.id === groupId) return;
  await settle(app, await app.addVolume({ groupId, volumeId }));
}

function volumeIdOf(id: string): VolumeId {
  return fromWire<VolumeId>('volume', id)?.id ?? refuse({ code: 'not_found', what: 'volume', id });
}
