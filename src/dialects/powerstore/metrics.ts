/** Figures that clients ask for: of the whole system's space, and of what is still to be copied. */
import { Type } from 'typebox';
import type { SessionView } from '../../app/views.ts';
import type { SessionId } from '../../domain/ids.ts';
import { PowerStoreError } from './errors.ts';
import { CLUSTER_ID } from './ids.ts';
import { resourceType } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Resource } from './routes.ts';
import { Reference, body, timestamp } from './schemas.ts';
import type { Json } from './schemas.ts';

type Generate = (asked: Asked, entity: string, id: string) => Promise<Json>;

const spaceOfCluster: Generate = async ({ world }, entity, id) => {
  if (id !== CLUSTER_ID) refuseEntity(entity, id);
  const { space, now } = await world.site();
  const logical = (await world.volumes()).reduce((sum, v) => sum + v.sizeBytes, 0);
  return {
    entity,
    response_definition: entity,
    cluster_id: CLUSTER_ID,
    timestamp: timestamp(now),
    repeat_count: 1,
    logical_provisioned: logical,
    physical_total: space.totalBytes,
    physical_used: space.totalBytes - space.freeBytes,
    system_free_space: space.freeBytes,
  };
};

/** What has added up while cycles rest, or what the running one has still to send. */
async function copyOf(asked: Asked, entity: string, sessionId: SessionId): Promise<Json> {
  const session = await asked.app.showSession(sessionId);
  const { now } = await asked.world.site();
  const { progress, lastCycle } = session;
  return {
    entity,
    response_definition: entity,
    remote_system_id: session.peerId,
    timestamp: timestamp(now),
    repeat_count: 1,
    session_type: 'replication_session',
    data_transferred: progress?.sentBytes ?? lastCycle?.sentBytes ?? 0,
    data_remaining: remaining(session),
    transfer_time: lastCycle === undefined ? 0 : Math.round(lastCycle.durationMs),
    transfer_rate: progress?.bytesPerSecond ?? rateOf(lastCycle),
    read_time: 0,
    write_time: 0,
  };
}

function remaining({ progress, backlog }: SessionView): number {
  if (progress !== undefined) return Math.max(0, progress.totalBytes - progress.sentBytes);
  return backlog?.bytes ?? 0;
}

function rateOf(cycle: SessionView['lastCycle']): number {
  if (cycle === undefined || cycle.durationMs === 0) return 0;
  return (cycle.sentBytes * 1000) / cycle.durationMs;
}

const copyOfSession: Generate = async (asked, entity, id) => {
  const session = (await asked.world.sessions()).find((s) => s.id === id.toLowerCase());
  return copyOf(asked, entity, (session ?? refuseEntity(entity, id)).id);
};

const copyOfVolume: Generate = async (asked, entity, id) => {
  const volume = (await asked.world.volumes()).find((v) => v.id === id.toLowerCase());
  const session = volume?.group.implicit === true ? volume.session : undefined;
  return copyOf(asked, entity, (session ?? refuseEntity(entity, id)).id);
};

const copyOfGroup: Generate = async (asked, entity, id) => {
  const group = (await asked.world.groups()).find((g) => !g.implicit && g.id === id.toLowerCase());
  return copyOf(asked, entity, (group?.session ?? refuseEntity(entity, id)).id);
};

const entities: Readonly<Record<string, Generate>> = {
  space_metrics_by_cluster: spaceOfCluster,
  copy_metrics_by_replication_session: copyOfSession,
  copy_metrics_by_volume: copyOfVolume,
  copy_metrics_by_vg: copyOfGroup,
};

function refuseEntity(entity: string, id: string): never {
  const named = id.slice(0, 100);
  const sentence = `There is nothing to tell of ${named} in ${entity}.`;
  throw new PowerStoreError('no_such_instance', sentence, named);
}

const generate = operation({
  needs: 'view',
  schema: body({
    entity: Type.String({ maxLength: 100 }),
    entity_id: Reference,
    interval: Type.Optional(
      Type.Enum(['Best_Available', 'Five_Sec', 'Twenty_Sec', 'Five_Mins', 'One_Hour', 'One_Day']),
    ),
  }),
  run: async (asked, { entity, entity_id: id }) => {
    const make = Object.hasOwn(entities, entity) ? entities[entity] : undefined;
    if (make === undefined) {
      const sentence = `[entity] is one of ${Object.keys(entities).join(', ')}.`;
      throw new PowerStoreError('invalid_request', sentence, entity.slice(0, 64));
    }
    return { answer: [await make(asked, entity, id)] };
  },
});

export const metrics: Resource = {
  type: resourceType({ name: 'metrics', attributes: ['id'], rows: () => Promise.resolve([]) }),
  typeActions: { generate },
};
