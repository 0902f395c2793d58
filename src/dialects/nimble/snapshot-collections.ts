/** Snapshot collections: a group's recovery points at this site. */
import { Type } from 'typebox';
import type { App } from '../../app/app.ts';
import type { GroupView } from '../../app/views.ts';
import type { RecoveryPoint } from '../../domain/recovery-point.ts';
import { refuse } from '../../domain/refusal.ts';
import { NimbleError } from './errors.ts';
import { toWire } from './ids.ts';
import type { Json, Row } from './lists.ts';
import { settle } from './long-requests.ts';
import { operation } from './object-sets.ts';
import type { ObjectSet } from './object-sets.ts';
import { pointName } from './point-name.ts';
import {
  DIALECT,
  Fixed,
  Name,
  ObjectId,
  data,
  refuseOthers,
  remarkArguments,
  remarked,
  remarksIn,
  seconds,
} from './schemas.ts';
import { groupOf, shownGroups } from './shown-groups.ts';

/** What can only have this value here. */
const fixed = {
  is_external_trigger: false,
  replicate_to: '',
  start_online: false,
  allow_writes: false,
  disable_appsync: false,
  snap_verify: false,
  skip_db_consistency_check: false,
  invoke_on_upstream_partner: false,
} as const satisfies Row;

const constants = {
  allow_writes: false,
  is_external_trigger: false,
  is_complete: true,
  is_unmanaged: false,
  srep_owner_name: '',
  srep_owner_id: null,
  peer_snapcoll_id: null,
  online_status: 'offline',
  replicate_to: '',
  expiry_after: 0,
} as const satisfies Row;

const facts = [
  'id',
  'name',
  'description',
  'volcoll_name',
  'volcoll_id',
  'origin_name',
  'is_replica',
  'num_snaps',
  'is_manual',
  'is_manually_managed',
  'repl_status',
  'repl_start_time',
  'repl_complete_time',
  'repl_bytes_transferred',
  'creation_time',
  'last_modified',
  'snapshots_list',
  'replicate',
  'sched_id',
  'sched_name',
  'agent_type',
  'metadata',
] as const;

type CollectionRow = Readonly<Record<(typeof facts)[number], Json>> & Row;

function sayPoint(group: GroupView, point: RecoveryPoint): CollectionRow {
  const { session } = group;
  const { remarks } = point;
  const name = pointName(group, point);
  const id = toWire('snapshot_collection', point.id);
  const isManual = remarked(remarks, 'name', null) !== null;
  const isReplica = session?.role === 'destination';
  const last = session?.lastCycle?.pointId === point.id ? session.lastCycle : undefined;
  return {
    ...constants,
    id,
    name,
    description: remarked(remarks, 'description', ''),
    volcoll_name: group.name,
    volcoll_id: toWire('volume_collection', group.id),
    origin_name: isReplica ? session.peerName : '',
    is_replica: isReplica,
    num_snaps: point.volumes.length,
    is_manual: isManual,
    is_manually_managed: isManual,
    repl_status: statusOf(group, point),
    repl_start_time: seconds(last?.sealedAt),
    repl_complete_time: isReplica ? 0 : seconds(point.commonAt),
    repl_bytes_transferred: last?.sentBytes ?? 0,
    creation_time: seconds(point.sealedAt),
    last_modified: seconds(point.sealedAt),
    snapshots_list: point.volumes.map((volume, at): Row => {
      const snapshot = toWire('snapshot', point.id, at + 1);
      const volId = toWire('volume', volume.volumeId);
      return {
        id: snapshot,
        snap_id: snapshot,
        snapcoll_id: id,
        name,
        snap_name: name,
        snapcoll_name: name,
        vol_id: volId,
        vol_name: volume.name,
        schedule_id: '',
        schedule_name: '',
        expiry_time: 0,
      };
    }),
    replicate: session !== undefined,
    sched_id: isManual ? '' : toWire('protection_schedule', group.id),
    sched_name: '',
    agent_type: remarked(remarks, 'agent_type', 'none'),
    metadata: remarked(remarks, 'metadata', null),
  };
}

/** Null where it was not to be replicated, as at the one who has received it. */
export function statusOf({ session }: GroupView, point: RecoveryPoint): string | null {
  if (session === undefined || session.role === 'destination') return null;
  if (point.commonAt !== undefined) return 'complete';
  return session.cycle?.pointId === point.id ? 'in_progress' : 'pending';
}

const Create = data({
  ...Object.fromEntries(Object.keys(fixed).map((name) => [name, Fixed])),
  ...remarkArguments,
  name: Name,
  volcoll_id: ObjectId,
  replicate: Type.Optional(Type.Boolean()),
  vol_snap_attr_list: Type.Optional(Type.Null()),
});

export const snapshotCollections: ObjectSet = {
  name: 'snapshot_collections',
  attributes: [...facts, ...Object.keys(constants)],
  brief: ['id', 'name', 'volcoll_name'],
  rows: async ({ app }) => {
    const perGroup = await Promise.all(
      (await shownGroups(app)).map(async (group) =>
        (await app.listPoints(group.id)).map((point) => sayPoint(group, point)),
      ),
    );
    return perGroup.flat();
  },
  create: operation({
    needs: 'storage',
    schema: Create,
    run: async ({ app }, body) => {
      refuseOthers(body, fixed);
      const group = await groupOf(app, body.volcoll_id);
      if (group.volumes.length === 0) {
        throw new NimbleError('SM_no_assoc_vols', `${group.name} is empty.`);
      }
      const taken = (await app.listPoints(group.id)).some((p) => pointName(group, p) === body.name);
      if (taken) throw new NimbleError('SM_eexist', `${group.name} has one named ${body.name}.`);
      if (body.replicate !== true && group.session !== undefined) {
        const detail =
          "Here a snapshot collection always goes to the partner: 'replicate' is true.";
        throw new NimbleError('SM_no_support', detail, { arg: 'replicate' });
      }
      const point = await seal(app, group);
      const told = { ...remarksIn(body), name: body.name };
      await app.remarkOn({ on: { pointId: point.id }, dialect: DIALECT, told });
      const made = (await app.listPoints(group.id)).find((p) => p.id === point.id);
      return sayPoint(await app.showGroup(group.id), made ?? point);
    },
  }),
};

/** The point that a cycle seals now. While one runs, its point is older than the request: after it. */
async function seal(app: App, { id: groupId }: GroupView): Promise<RecoveryPoint> {
  const running = (await app.showGroup(groupId)).session?.cycle;
  if (running !== undefined) await settle(app, { jobId: running.sagaId });
  const job = await app.synchronizeGroup({ groupId });
  const pointId = (await app.showGroup(groupId)).session?.cycle?.pointId;
  await settle(app, job);
  const points = await app.listPoints(groupId);
  const point = points.find((p) => p.id === pointId) ?? points.at(-1);
  return point ?? refuse({ code: 'busy', groupId, doing: 'the snapshot is gone again' });
}
