/** Volume collections: groups, and what moves them. A lone volume's group is one when it replicates. */
import { Type } from 'typebox';
import type { App } from '../../app/app.ts';
import type { GroupView } from '../../app/views.ts';
import type { RecoveryPoint } from '../../domain/recovery-point.ts';
import type { SagaRecord } from '../../domain/saga-record.ts';
import { abortHandover, demote, handover, promote, validate } from './handover.ts';
import { toWire } from './ids.ts';
import type { Json, Row } from './lists.ts';
import { settle } from './long-requests.ts';
import { operation } from './object-sets.ts';
import type { ObjectSet } from './object-sets.ts';
import { policiesBehind, saySchedule } from './shown-schedules.ts';
import {
  DIALECT,
  Fixed,
  Name,
  data,
  orNull,
  refuseOthers,
  remarkArguments,
  remarked,
  remarksIn,
  seconds,
} from './schemas.ts';
import { pointName } from './point-name.ts';
import { groupOf, shownGroups } from './shown-groups.ts';

/** What can only have this value here, and is shown. */
const shown = {
  repl_priority: 'normal',
  replication_type: 'periodic_snapshot',
  app_sync: 'none',
  app_server: '',
  app_cluster_name: '',
  app_service_name: '',
  vcenter_hostname: '',
  vcenter_username: '',
  agent_hostname: '',
  agent_username: '',
} as const satisfies Row;

const fixed = { ...shown, prottmpl_id: '', vcenter_password: '', agent_password: '' } as const;

const constants = {
  ...shown,
  app_id: null,
  synchronous_replication_type: 'not_applicable',
  synchronous_replication_state: 'not_applicable',
  downstream_volume_list: null,
  upstream_volume_list: null,
  cache_pinned_volume_list: null,
  srep_last_sync: 0,
  srep_resync_percent: 0,
} as const satisfies Row;

const facts = [
  'id',
  'name',
  'full_name',
  'search_name',
  'description',
  'pol_owner_name',
  'creation_time',
  'last_modified_time',
  'volume_list',
  'volume_count',
  'last_snapcoll',
  'snapcoll_count',
  'schedule_list',
  'replication_partner',
  'last_replicated_snapcoll',
  'last_replicated_snapcoll_list',
  'protection_type',
  'lag_time',
  'is_standalone_volcoll',
  'total_repl_bytes',
  'repl_bytes_transferred',
  'is_handing_over',
  'handover_replication_partner',
  'metadata',
] as const;

type CollectionRow = Readonly<Record<(typeof facts)[number], Json>> & Row;

function sayCollection(
  group: GroupView,
  points: readonly RecoveryPoint[],
  schedule: Row | undefined,
  handovers: readonly SagaRecord[],
): CollectionRow {
  const { session, remarks } = group;
  const volumes = group.volumes.map(({ id, name }) => {
    const wire = toWire('volume', id);
    return { id: wire, vol_id: wire, name, vol_name: name };
  });
  const replicated = points.findLast((p) => p.commonAt !== undefined);
  const isHandingOver = handovers.some((job) => job.groupId === group.id);
  const partner = session?.peerName ?? '';
  return {
    ...constants,
    id: toWire('volume_collection', group.id),
    name: group.name,
    full_name: group.name,
    search_name: group.name,
    description: remarked(remarks, 'description', ''),
    pol_owner_name: group.holderName,
    creation_time: seconds(group.createdAt),
    last_modified_time: seconds(group.createdAt),
    volume_list: orNull(volumes),
    volume_count: volumes.length,
    last_snapcoll: summaryOf(group, points.at(-1)),
    snapcoll_count: points.length,
    schedule_list: schedule === undefined ? null : [inList(schedule)],
    replication_partner: partner,
    last_replicated_snapcoll: summaryOf(group, replicated),
    last_replicated_snapcoll_list: replicatedList(group, replicated),
    protection_type: schedule === undefined ? 'unprotected' : 'remote',
    lag_time: session?.rpoNowSeconds ?? 0,
    is_standalone_volcoll: group.implicit,
    total_repl_bytes: session?.progress?.totalBytes ?? 0,
    repl_bytes_transferred: session?.progress?.sentBytes ?? 0,
    is_handing_over: isHandingOver,
    handover_replication_partner: isHandingOver ? partner : '',
    metadata: remarked(remarks, 'metadata', null),
  };
}

/** A schedule as its collection lists it: ids and names under two names each. */
function inList(schedule: Row): Row {
  return {
    ...schedule,
    schedule_id: schedule['id'] ?? '',
    schedule_name: schedule['name'] ?? '',
  };
}

function summaryOf(group: GroupView, point: RecoveryPoint | undefined): Row | null {
  if (point === undefined) return null;
  return {
    snapcoll_id: toWire('snapshot_collection', point.id),
    snapcoll_name: pointName(group, point),
    snapcoll_creation_time: seconds(point.sealedAt),
  };
}

function replicatedList(group: GroupView, point: RecoveryPoint | undefined): readonly Row[] | null {
  const summary = summaryOf(group, point);
  if (summary === null || point === undefined) return null;
  const downstream_partner_name = group.session?.role === 'source' ? group.session.peerName : '';
  const vol_ids = point.volumes.map(({ volumeId }) => toWire('volume', volumeId));
  return [{ ...summary, downstream_partner_name, vol_ids }];
}

const fixedArguments = Object.fromEntries(Object.keys(fixed).map((name) => [name, Fixed]));

const Create = data({
  ...fixedArguments,
  ...remarkArguments,
  name: Name,
  is_standalone_volcoll: Fixed,
});

const Update = data({ ...fixedArguments, ...remarkArguments, name: Type.Optional(Name) });

export const volumeCollections: ObjectSet = {
  name: 'volume_collections',
  attributes: [...facts, ...Object.keys(constants)],
  brief: ['id', 'name'],
  rows: ({ app }) => collectionRows(app),
  create: operation({
    needs: 'storage',
    schema: Create,
    run: async ({ app }, body) => {
      refuseOthers(body, { ...fixed, is_standalone_volcoll: false });
      const { id: groupId } = await app.createGroup({ name: body.name });
      await app.remarkOn({ on: { groupId }, dialect: DIALECT, told: remarksIn(body) });
      return sayCollection(await app.showGroup(groupId), [], undefined, []);
    },
  }),
  update: operation({
    needs: 'storage',
    schema: Update,
    run: async ({ app, id }, body) => {
      const { id: groupId, name } = await groupOf(app, id);
      refuseOthers(body, { ...fixed, name });
      await app.remarkOn({ on: { groupId }, dialect: DIALECT, told: remarksIn(body) });
    },
  }),
  remove: operation({
    needs: 'storage',
    schema: data({ force: Type.Optional(Type.Boolean()) }),
    run: async ({ app, id }) => {
      const { id: groupId } = await groupOf(app, id);
      await settle(app, await app.deleteGroup({ groupId }));
    },
  }),
  actions: { handover, abort_handover: abortHandover, promote, demote, validate },
};

async function collectionRows(app: App): Promise<readonly CollectionRow[]> {
  const handovers = (await app.listJobs({ kind: 'handover' })).filter(
    (job) => job.state === 'running' || job.state === 'undoing',
  );
  const behind = await policiesBehind(app);
  const shownOnes = await shownGroups(app);
  return Promise.all(
    shownOnes.map(async (group) => {
      const points = await app.listPoints(group.id);
      return sayCollection(group, points, saySchedule(group, behind(group)), handovers);
    }),
  );
}
