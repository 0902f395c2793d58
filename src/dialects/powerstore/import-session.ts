/** Import sessions: volumes brought in from a foreign system while their hosts keep writing. */
import { Type } from 'typebox';
import type { CreateImport } from '../../app/create-import.ts';
import type { ImportView } from '../../app/import-views.ts';
import type { HostId, ImportId, Instant, PolicyId, SourceId } from '../../domain/ids.ts';
import { imageFormats } from '../../domain/import-source.ts';
import type { ImageFormat } from '../../domain/import-source.ts';
import type { ImportState } from '../../domain/import-session.ts';
import { refuse } from '../../domain/refusal.ts';
import { codes } from './codes.ts';
import { PowerStoreError } from './errors.ts';
import { nameIn } from './ids.ts';
import { asToken, importState, resourceType as resourceTypeTexts } from './l10n.ts';
import { needId } from './references.ts';
import { resourceType } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Resource } from './routes.ts';
import {
  Clearable,
  Flag,
  Name,
  Reference,
  References,
  Timestamp,
  body,
  timestamp,
  timestampOr,
} from './schemas.ts';
import { cataloguedGroups, cataloguedVolumes } from './source-catalogue.ts';
import type { CataloguedGroup, CataloguedVolume } from './source-catalogue.ts';
import { refuseUnkept } from './volume.ts';
import type { World } from './world.ts';

/** Our states in the vendor's words. */
const states: { readonly [S in ImportState]: string } = {
  scheduled: 'Scheduled',
  queued: 'Queued',
  in_progress: 'In_Progress',
  mirror_enabled: 'Mirror_Enabled',
  ready_to_start_copy: 'Ready_To_Start_Copy',
  copying: 'Copy_In_Progress',
  paused: 'Paused',
  ready: 'Ready_For_Cutover',
  cutting_over: 'Cutover_In_Progress',
  completed: 'Import_Completed',
  completed_with_errors: 'Import_Completed_With_Errors',
  rolling_back: 'Cancel_In_Progress',
  rolled_back: 'Cancelled',
  cancelling: 'Cancel_In_Progress',
  cancelled: 'Cancelled',
  cancel_failed: 'Cancel_Failed',
  cancel_required: 'Cancel_Required',
  cleanup_required: 'Cleanup_Required',
  failed: 'Failed',
};

/** Nothing has been copied yet. */
const before: ReadonlySet<ImportState> = new Set([
  'scheduled',
  'queued',
  'in_progress',
  'mirror_enabled',
  'ready_to_start_copy',
]);
/** There is a copy, and it is not the volume yet. */
const during: ReadonlySet<ImportState> = new Set(['copying', 'paused', 'ready', 'cutting_over']);

const sessionType = resourceType({
  name: 'import_session',
  attributes: [
    'id',
    'type',
    'name',
    'global_storage_discovery_address',
    'description',
    'remote_system_id',
    'source_resource_id',
    'destination_resource_id',
    'destination_resource_type',
    'parent_session_id',
    'state',
    'estimated_completion_timestamp',
    'progress_percentage',
    'average_transfer_rate',
    'current_transfer_rate',
    'protection_policy_id',
    'volume_group_id',
    'automatic_cutover',
    'scheduled_timestamp',
    'error',
    'last_update_timestamp',
  ],
  texts: { type: asToken, destination_resource_type: resourceTypeTexts, state: importState },
  links: { remote_system: 'remote_system' },
  rows: async (world) => {
    const imports = await world.imports();
    return Promise.all(imports.map((session) => saySession(world, session)));
  },
});

async function saySession(world: World, session: ImportView) {
  const { sourceId, settings, state, trouble } = session;
  const { now } = await world.site();
  const { id: destination, type } = await destinationOf(world, session);
  const moving = state === 'copying' ? session.progress : undefined;
  const eta = moving?.etaSeconds;
  return {
    attributes: {
      id: session.id,
      type: settings.waitForHosts ? 'Agentless' : 'Non_Disruptive',
      name: session.name,
      global_storage_discovery_address: null,
      description: '',
      remote_system_id: sourceId,
      source_resource_id: await sourceResourceOf(world, session),
      destination_resource_id: destination,
      destination_resource_type: type,
      parent_session_id: null,
      state: states[state],
      estimated_completion_timestamp: eta === undefined ? null : timestamp(now + eta * 1000),
      progress_percentage: percentage(session),
      average_transfer_rate: moving?.averageBytesPerSecond ?? null,
      current_transfer_rate: moving?.bytesPerSecond ?? null,
      protection_policy_id: settings.policyId ?? null,
      volume_group_id: null,
      automatic_cutover: settings.automaticCutover,
      scheduled_timestamp: timestampOr(settings.scheduledAt),
      error:
        trouble === undefined
          ? null
          : { code: codes.import_failed[1], message_l10n: trouble, arguments: [session.id] },
      last_update_timestamp: timestamp(session.stateSince),
    },
    links: { remote_system: sourceId },
  };
}

/** Of what it makes; null once that is gone. */
async function destinationOf(world: World, { groupId, volumes }: ImportView) {
  const group = (await world.groups()).find(({ id }) => id === groupId);
  const isGroup = group === undefined ? volumes.length > 1 : !group.implicit;
  if (isGroup) return { id: group?.id ?? null, type: 'volume_group' };
  return { id: group === undefined ? null : (volumes[0]?.volumeId ?? null), type: 'volume' };
}

/** As the catalogue has what comes in; a group that is not there any more has no id. */
async function sourceResourceOf(world: World, session: ImportView): Promise<string | null> {
  const own = (await cataloguedVolumes(world)).filter(({ imports }) =>
    imports.some(({ id }) => id === session.id),
  );
  const ids = new Set(own.map(({ id }) => id));
  const group = (await cataloguedGroups(world)).find(
    ({ members }) => members.length === ids.size && members.every((id) => ids.has(id)),
  );
  return group?.id ?? (own.length === 1 ? (own[0]?.id ?? null) : null);
}

function percentage({ state, progress }: ImportView): number | null {
  if (before.has(state)) return 0;
  if (!during.has(state)) return null;
  const { copiedBytes = 0, totalBytes = 0 } = progress ?? {};
  return totalBytes === 0 ? 0 : Math.min(100, Math.floor((100 * copiedBytes) / totalBytes));
}

const HostsOfMembers = Type.Optional(Type.Array(Type.Object({}), { maxItems: 1000 }));

const create = operation({
  needs: 'storage',
  schema: body({
    type: Type.Optional(Type.Enum(['Non_Disruptive', 'Agentless'])),
    name: Name,
    global_storage_discovery_address: Type.Optional(Clearable),
    description: Type.Optional(Clearable),
    remote_system_id: Reference,
    source_resource_id: Reference,
    protection_policy_id: Type.Optional(Clearable),
    volume_group_id: Type.Optional(Clearable),
    automatic_cutover: Flag,
    scheduled_timestamp: Type.Optional(Timestamp),
    host_ids: Type.Optional(References),
    host_group_ids: Type.Optional(References),
    consistency_group_member_host_ids: HostsOfMembers,
    consistency_group_member_host_group_ids: HostsOfMembers,
  }),
  run: async (asked, wanted) => {
    const { app, world } = asked;
    const { global_storage_discovery_address: discovery } = wanted;
    refuseUnkept('description', wanted.description, '');
    refuseUnkept('global_storage_discovery_address', discovery, '');
    refuseGroup(wanted.volume_group_id);
    refuseHostsOfMembers(wanted.consistency_group_member_host_ids);
    refuseHostsOfMembers(wanted.consistency_group_member_host_group_ids);
    const sourceId = await needId<SourceId>(world, 'import_source', wanted.remote_system_id);
    const what = await resourceIn(world, sourceId, wanted.source_resource_id, wanted.name);
    const { importId } = await app.createImport({
      ...what,
      name: wanted.name,
      sourceId,
      hosts: await hostNames(world, wanted.host_ids ?? [], wanted.host_group_ids ?? []),
      automaticCutover: wanted.automatic_cutover ?? false,
      waitForHosts: wanted.type === 'Agentless',
      policyId: await policyIn(world, wanted.protection_policy_id),
      scheduledAt: instantOf(wanted.scheduled_timestamp),
    });
    return { answer: { id: importId } };
  },
});

/** Joined when the import is complete: a refusal of the group would come too late. */
function refuseGroup(value: string | null | undefined): void {
  if (value === undefined || value === null || value === '') return;
  const why = 'add the volume to it once the import is complete';
  refuse({ code: 'unsupported', what: 'volume_group_id of an import', why });
}

async function policyIn(
  world: World,
  reference: string | null | undefined,
): Promise<PolicyId | undefined> {
  if (reference === undefined || reference === null || reference === '') return undefined;
  return needId<PolicyId>(world, 'policy', reference);
}

function refuseHostsOfMembers(hosts: readonly unknown[] | undefined): void {
  if (hosts === undefined || hosts.length === 0) return;
  const why = 'the volumes of a group share their hosts: name them in host_ids';
  refuse({ code: 'unsupported', what: 'hosts of single members', why });
}

async function hostNames(
  world: World,
  hosts: readonly string[],
  hostGroups: readonly string[],
): Promise<readonly string[]> {
  for (const reference of hostGroups) await needId(world, 'host_group', reference);
  const ids = new Set<HostId>();
  for (const reference of hosts) ids.add(await needId<HostId>(world, 'host', reference));
  return (await world.hosts()).filter(({ id }) => ids.has(id)).map(({ name }) => name);
}

function instantOf(text: string | undefined): Instant | undefined {
  if (text === undefined) return undefined;
  const instant = Date.parse(text);
  if (!Number.isNaN(instant)) return instant;
  const sentence = '[scheduled_timestamp] is no date that there is.';
  throw new PowerStoreError('invalid_body', sentence, 'scheduled_timestamp');
}

type What = Pick<CreateImport, 'volumes' | 'group'>;

/**
 * A catalogued volume or group by its id or name. What has not been discovered is named as the source
 * names it, `name:LOCATOR`, and the source is asked for it.
 *
 * @param own what a volume that nobody has named is called
 * @throws PowerStoreError 404
 */
async function resourceIn(
  world: World,
  sourceId: SourceId,
  reference: string,
  own: string,
): Promise<What> {
  const id = reference.toLowerCase();
  const name = nameIn(reference);
  const isIt = (one: { readonly id: string; readonly name: string | undefined }): boolean =>
    name === undefined ? one.id === id : one.name === name;
  const volumes = (await cataloguedVolumes(world)).filter(({ source }) => source.id === sourceId);
  const volume = volumes.find(isIt) ?? volumes.find(({ locator }) => locator === name);
  if (volume !== undefined) return { volumes: [wantedVolume(volume, own)] };
  const groups = (await cataloguedGroups(world)).filter(({ source }) => source.id === sourceId);
  const group = groups.find(isIt);
  if (group !== undefined) return { group: group.name, volumes: membersOf(group, volumes) };
  if (name !== undefined) return { volumes: [wantedVolume({ locator: name, name: own }, own)] };
  const named = reference.slice(0, 100);
  const sentence = `Unable to find import volume or consistency group ${named}.`;
  throw new PowerStoreError('no_such_instance', sentence, named);
}

function membersOf(
  group: CataloguedGroup,
  volumes: readonly CataloguedVolume[],
): CreateImport['volumes'] {
  return group.members.map((id) => {
    const volume = volumes.find((v) => v.id === id);
    if (volume?.name !== undefined) return wantedVolume(volume, volume.name);
    const why = volume === undefined ? 'is not at its source any more' : 'has no name yet';
    const sentence = `Volume ${id} of consistency group ${group.name} ${why}.`;
    throw new PowerStoreError('import_failed', sentence, id);
  });
}

function wantedVolume(
  { locator, name }: Pick<CataloguedVolume, 'locator' | 'name'>,
  otherwise: string,
): CreateImport['volumes'][number] {
  return { locator, name: name ?? otherwise, format: formatOf(locator) };
}

/** Of an image by the end of its name: the vendor has no other word for it. */
function formatOf(locator: string): ImageFormat | undefined {
  return imageFormats.find((format) => format !== 'raw' && locator.endsWith(`.${format}`));
}

const modify = operation({
  needs: 'storage',
  schema: body({ scheduled_timestamp: Type.Optional(Type.Union([Timestamp, Type.Null()])) }),
  run: async (asked, wanted) => {
    const importId = await importIn(asked);
    if (!Object.hasOwn(wanted, 'scheduled_timestamp')) return {};
    const scheduledAt = instantOf(wanted.scheduled_timestamp ?? undefined);
    await asked.app.rescheduleImport({ importId, scheduledAt });
    return {};
  },
});

const remove = operation({
  needs: 'storage',
  schema: body({}),
  run: async (asked) => asked.app.deleteImport({ importId: await importIn(asked) }),
});

function importIn({ world, reference }: Asked): Promise<ImportId> {
  return needId<ImportId>(world, 'import_session', reference);
}

/** A command that is carried out at once, or by the import watch soon. */
function command(carryOut: (asked: Asked, importId: ImportId) => Promise<unknown>) {
  return operation({
    needs: 'storage',
    schema: body({}),
    run: async (asked) => {
      await carryOut(asked, await importIn(asked));
      return {};
    },
  });
}

const cutover = operation({
  needs: 'storage',
  schema: body({}),
  run: async (asked) => {
    const { jobId } = await asked.app.cutOverImport({ importId: await importIn(asked) });
    return { jobId };
  },
});

const cancel = operation({
  needs: 'storage',
  schema: body({ force: Flag }),
  run: async (asked, { force = false }) => {
    const { jobId } = await asked.app.cancelImport({ importId: await importIn(asked), force });
    return { jobId };
  },
});

const cleanup = operation({
  needs: 'storage',
  schema: body({}),
  run: async (asked) => {
    const { jobId } = await asked.app.cleanUpImport({ importId: await importIn(asked) });
    return { jobId };
  },
});

export const importSession: Resource = {
  type: sessionType,
  create,
  modify,
  remove,
  actions: {
    cutover,
    cancel,
    cleanup,
    pause: command(({ app }, importId) => app.pauseImport({ importId })),
    resume: command(({ app }, importId) => app.resumeImport({ importId })),
    enable_destination_volume: command(({ app }, importId) => app.enableImport({ importId })),
    start_copy: command(({ app }, importId) => app.startImportCopy({ importId })),
  },
};
