/** Jobs: what runs or ran here for a request, and requests that were over when they were answered. */
import type { GroupView, SessionView } from '../../app/views.ts';
import type { GroupId, ImportId, SagaId, SessionId, VolumeId } from '../../domain/ids.ts';
import type { SagaRecord } from '../../domain/saga-record.ts';
import { sayError, statusOf } from './errors.ts';
import { errorOfJob } from './job-errors.ts';
import { asToken, jobPhase, jobState, resourceType as resourceTypeTexts } from './l10n.ts';
import { resourceType } from './resource-types.ts';
import type { NoteDone, Resource } from './routes.ts';
import type { Json } from './schemas.ts';
import { timestamp, timestampOr } from './schemas.ts';
import type { World } from './world.ts';

/** What a saga is about, in the vendor's words; others are this system's own business. */
interface About {
  readonly type: string;
  readonly action: string;
  readonly id: string;
}

interface Inputs {
  readonly volumeId: VolumeId;
  readonly groupId: GroupId;
  readonly sessionId: SessionId;
  readonly importId: ImportId;
  readonly isCleanUp?: boolean;
  readonly moves: readonly { readonly from: GroupId; readonly to: GroupId }[];
}

const session =
  (action: string) =>
  ({ sessionId: id }: Inputs): About => ({ type: 'replication_session', action, id });
const volume =
  (action: string) =>
  ({ volumeId: id }: Inputs): About => ({ type: 'volume', action, id });

const imported =
  (action: string) =>
  ({ importId: id }: Inputs): About => ({ type: 'import_session', action, id });

/** A copy is of a group, and a failover test is of the group's session. */
const ofGroup =
  (action: string) =>
  ({ groupId }: Inputs, sessions: readonly SessionView[]): About | undefined => {
    const id = sessions.find((s) => s.groupId === groupId)?.id;
    return id === undefined ? undefined : { type: 'replication_session', action, id };
  };

const kinds: Readonly<
  Record<
    string,
    (
      input: Inputs,
      sessions: readonly SessionView[],
      groups: readonly GroupView[],
    ) => About | undefined
  >
> = {
  'create-volume': volume('create'),
  'delete-volume': volume('delete'),
  'resize-volume': volume('modify'),
  'move-volume': ({ moves: [move] }, _sessions, groups) => {
    if (move === undefined) return undefined;
    const type = 'volume_group';
    const joins = groups.some((g) => !g.implicit && g.id === move.to);
    return joins
      ? { type, action: 'add_members', id: move.to }
      : { type, action: 'remove_members', id: move.from };
  },
  'delete-group': ({ groupId: id }) => ({ type: 'volume_group', action: 'delete', id }),
  protect: session('create'),
  unprotect: session('delete'),
  'forget-session': session('delete'),
  replicate: session('sync'),
  handover: session('failover'),
  failover: session('failover'),
  reprotect: session('reprotect'),
  'open-copy': ofGroup('start_failover_test'),
  'close-copy': ofGroup('stop_failover_test'),
  'cut-over-import': imported('cutover'),
  'cancel-import': ({ importId: id, isCleanUp = false }) => {
    return { type: 'import_session', action: isCleanUp ? 'cleanup' : 'cancel', id };
  },
  'forget-import': imported('delete'),
};

/** Of the requests that were over at once; a restart forgets them. */
const MAX_NOTED = 1000;

/** The resource, and the way to note what was done by a request that did not want to wait. */
export function jobs(): { readonly job: Resource; readonly noteDone: NoteDone } {
  const noted = new Map<string, Said>();
  const noteDone: NoteDone = ({ type, action, id, by }) => {
    const jobId = crypto.randomUUID();
    const about = { type, action, id };
    noted.set(jobId, say(jobId, about, { state: 'COMPLETED', status: '204', by, name: null }));
    const [oldest] = noted.keys();
    if (noted.size > MAX_NOTED && oldest !== undefined) noted.delete(oldest);
    return jobId;
  };
  const rows = async (world: World): Promise<readonly Said[]> => {
    const said = await Promise.all((await world.jobs()).map((saga) => saySaga(world, saga)));
    return [...said.flat(), ...noted.values()];
  };
  return { job: { type: jobType(rows) }, noteDone };
}

const attributes = [
  'id',
  'resource_action',
  'resource_type',
  'resource_id',
  'resource_name',
  'description_l10n',
  'state',
  'start_time',
  'phase',
  'end_time',
  'estimated_completion_time',
  'progress_percentage',
  'parent_id',
  'root_id',
  'user',
  'response_body',
  'response_status',
  'step_order',
] as const;

interface Said {
  readonly attributes: Readonly<Record<(typeof attributes)[number], Json>>;
  readonly links: Readonly<
    Record<'parent' | 'root' | 'children' | 'leafs', string | null | readonly string[]>
  >;
}

const jobType = (rows: (world: World) => Promise<readonly Said[]>) =>
  resourceType({
    name: 'job',
    attributes,
    texts: {
      resource_action: asToken,
      resource_type: resourceTypeTexts,
      state: jobState,
      phase: jobPhase,
      response_status: asToken,
    },
    links: { parent: 'job', root: 'job', children: 'job', leafs: 'job' },
    rows,
  });

type State = 'IN_PROGRESS' | 'FAILING' | 'COMPLETED' | 'FAILED';

const phases: { readonly [S in State]: string } = {
  IN_PROGRESS: 'In_Progress',
  FAILING: 'Failing',
  COMPLETED: 'Completed',
  FAILED: 'Failed',
};

const sagaStates: { readonly [S in SagaRecord['state']]: State } = {
  running: 'IN_PROGRESS',
  undoing: 'FAILING',
  done: 'COMPLETED',
  undone: 'FAILED',
};

async function saySaga(world: World, saga: SagaRecord): Promise<readonly Said[]> {
  const about = kinds[saga.kind]?.(
    saga.input as Inputs,
    await world.sessions(),
    await world.groups(),
  );
  if (about === undefined) return [];
  const { progress, startedAt, endedAt, parentId } = saga;
  const error = errorOfJob(saga);
  const state = error === undefined ? sagaStates[saga.state] : 'FAILED';
  const { now } = await world.site();
  const eta = progress?.etaSeconds;
  return [
    say(saga.id, about, {
      state,
      status: error === undefined ? (state === 'COMPLETED' ? '204' : null) : statusOf(error),
      by: null,
      name: await nameOf(world, about),
      startTime: timestamp(startedAt),
      endTime: timestampOr(endedAt),
      estimatedEnd: eta === undefined || endedAt !== undefined ? null : timestamp(now + eta * 1000),
      percentage: state === 'COMPLETED' ? 100 : percentage(progress),
      parentId: parentId ?? null,
      body: error === undefined ? null : { response_type: 'error_response', ...sayError(error) },
    }),
  ];
}

function percentage(progress: SagaRecord['progress']): number {
  if (progress === undefined || progress.totalBytes === 0) return 0;
  return Math.min(100, Math.floor((100 * progress.sentBytes) / progress.totalBytes));
}

async function nameOf(world: World, { type, id }: About): Promise<string | null> {
  if (type === 'replication_session') {
    return (await world.sessions()).find((s) => s.id === id)?.groupName ?? null;
  }
  if (type === 'import_session') {
    return (await world.imports()).find((s) => s.id === id)?.name ?? null;
  }
  const all = type === 'volume' ? await world.volumes() : await world.groups();
  return all.find((one) => one.id === id)?.name ?? null;
}

interface Course {
  readonly state: State;
  readonly status: string | null;
  readonly by: string | null;
  readonly name: string | null;
  readonly startTime?: string | null;
  readonly endTime?: string | null;
  readonly estimatedEnd?: string | null;
  readonly percentage?: number;
  readonly parentId?: SagaId | null;
  readonly body?: Json;
}

function say(id: string, about: About, course: Course): Said {
  const { parentId = null } = course;
  return {
    attributes: {
      id,
      resource_action: about.action,
      resource_type: about.type,
      resource_id: about.id,
      resource_name: course.name,
      description_l10n: `${about.action.replaceAll('_', ' ')} ${about.type.replaceAll('_', ' ')}`,
      state: course.state,
      start_time: course.startTime ?? null,
      phase: phases[course.state],
      end_time: course.endTime ?? null,
      estimated_completion_time: course.estimatedEnd ?? null,
      progress_percentage: course.percentage ?? 100,
      parent_id: parentId,
      root_id: parentId ?? id,
      user: course.by,
      response_body: course.body ?? null,
      response_status: course.status,
      step_order: 0,
    },
    links: { parent: parentId, root: parentId ?? id, children: [], leafs: [] },
  };
}
