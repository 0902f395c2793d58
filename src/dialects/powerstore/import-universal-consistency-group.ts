/** Volumes of one foreign system that come in together, as a volume group. */
import { Type } from 'typebox';
import { hasImportEnded, MAX_IMPORT_VOLUMES } from '../../domain/import-session.ts';
import type { SourceId } from '../../domain/ids.ts';
import { checkName } from '../../domain/names.ts';
import { PowerStoreError } from './errors.ts';
import { cataloguedVolume, courseOf, criteriaOf } from './import-universal-volume.ts';
import { groupImportableCriteria } from './l10n.ts';
import { needId } from './references.ts';
import { findRow, resourceType, textIn } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Resource } from './routes.ts';
import { Name, Reference, body } from './schemas.ts';
import { cataloguedGroups, cataloguedVolumes, forgetGroup, keepGroup } from './source-catalogue.ts';
import type { CataloguedGroup, CataloguedVolume } from './source-catalogue.ts';
import type { World } from './world.ts';

const groupType = resourceType({
  name: 'import_universal_consistency_group',
  attributes: ['id', 'name', 'remote_system_id', 'importable_criteria'],
  texts: { importable_criteria: groupImportableCriteria },
  links: { remote_system: 'remote_system' },
  rows: async (world) => {
    const volumes = await cataloguedVolumes(world);
    return (await cataloguedGroups(world)).map((group) => ({
      attributes: {
        id: group.id,
        name: group.name,
        remote_system_id: group.source.id,
        importable_criteria: criteriaFor(group, volumes),
      },
      links: { remote_system: group.source.id },
    }));
  },
});

function criteriaFor(group: CataloguedGroup, all: readonly CataloguedVolume[]): string {
  const members = all.filter(({ id }) => group.members.includes(id));
  if (group.members.length === 0) return 'No_Members';
  const course = courseOf(members.flatMap(({ imports }) => imports));
  if (course !== undefined) return course;
  const ready = members.filter((volume) => criteriaOf(volume).startsWith('Ready'));
  return ready.length < group.members.length ? 'Members_Not_Ready' : 'Ready_For_Agentless_Import';
}

async function groupOf({ world, reference }: Asked): Promise<CataloguedGroup> {
  const id = textIn(await findRow(groupType, world, reference), 'id');
  const group = (await cataloguedGroups(world)).find((g) => g.id === id);
  if (group === undefined) throw new Error(`group ${id} was there a moment ago`);
  return group;
}

/** Its members, and that nothing is coming in of them now. @throws PowerStoreError `import_failed` */
async function idleGroup(asked: Asked): Promise<CataloguedGroup> {
  const group = await groupOf(asked);
  const running = (await cataloguedVolumes(asked.world))
    .filter(({ id }) => group.members.includes(id))
    .flatMap(({ imports }) => imports.filter((session) => !hasImportEnded(session)));
  const [session] = running;
  if (session === undefined) return group;
  const sentence = `Consistency group ${group.name} is being imported by session ${session.name}.`;
  throw new PowerStoreError('import_failed', sentence, group.id);
}

const VolumeIds = Type.Array(Reference, { minItems: 1, maxItems: MAX_IMPORT_VOLUMES });

const create = operation({
  needs: 'storage',
  schema: body({
    name: Name,
    remote_system_id: Reference,
    import_universal_volume_ids: Type.Optional(VolumeIds),
  }),
  run: async ({ app, world }, wanted) => {
    const sourceId = await needId<SourceId>(world, 'import_source', wanted.remote_system_id);
    const source = await app.showSource(sourceId);
    const name = checkName(wanted.name);
    if ((await cataloguedGroups(world)).some((group) => group.name === name)) {
      const sentence = `A consistency group named ${name} exists already.`;
      throw new PowerStoreError('name_exists', sentence, name);
    }
    const group = { id: crypto.randomUUID(), source, name, members: [] };
    const members = await membersOf(world, group, wanted.import_universal_volume_ids ?? []);
    await keepGroup(app, { ...group, members });
    return { answer: { id: group.id } };
  },
});

/** @throws PowerStoreError when one is of another source or another group, or cannot come in */
async function membersOf(
  world: World,
  group: CataloguedGroup,
  references: readonly string[],
): Promise<readonly string[]> {
  const others = (await cataloguedGroups(world)).filter(({ id }) => id !== group.id);
  const members = new Set(group.members);
  for (const reference of references) {
    const { id, source, imports } = await cataloguedVolume({ world, reference });
    const taken = others.find((other) => other.members.includes(id));
    const why =
      source.id !== group.source.id
        ? `is of remote system ${source.name}`
        : taken !== undefined
          ? `is in consistency group ${taken.name}`
          : courseOf(imports) === undefined
            ? undefined
            : 'is being imported or has been';
    if (why !== undefined) {
      throw new PowerStoreError('import_failed', `Volume ${id} ${why}.`, id);
    }
    members.add(id);
  }
  if (members.size > MAX_IMPORT_VOLUMES) {
    const sentence = `A consistency group has at most ${MAX_IMPORT_VOLUMES} volumes.`;
    throw new PowerStoreError('import_failed', sentence, group.id);
  }
  return [...members];
}

const modify = operation({
  needs: 'storage',
  schema: body({ name: Type.Optional(Name) }),
  run: async (asked, wanted) => {
    const group = await idleGroup(asked);
    await keepGroup(asked.app, { ...group, name: checkName(wanted.name ?? group.name) });
    return {};
  },
});

const remove = operation({
  needs: 'storage',
  schema: body({}),
  run: async (asked) => {
    await forgetGroup(asked.app, await idleGroup(asked));
    return {};
  },
});

const Members = body({ import_universal_volume_ids: VolumeIds });

const addMembers = operation({
  needs: 'storage',
  schema: Members,
  run: async (asked, { import_universal_volume_ids: references }) => {
    const group = await idleGroup(asked);
    const members = await membersOf(asked.world, group, references);
    await keepGroup(asked.app, { ...group, members });
    return {};
  },
});

const removeMembers = operation({
  needs: 'storage',
  schema: Members,
  run: async (asked, { import_universal_volume_ids: references }) => {
    const group = await idleGroup(asked);
    const members = new Set(group.members);
    for (const reference of references) {
      const { id } = await cataloguedVolume({ world: asked.world, reference });
      if (members.delete(id)) continue;
      const sentence = `Volume ${id} is not part of consistency group ${group.name}.`;
      throw new PowerStoreError('not_a_member', sentence, id);
    }
    await keepGroup(asked.app, { ...group, members: [...members] });
    return {};
  },
});

export const importUniversalConsistencyGroup: Resource = {
  type: groupType,
  create,
  modify,
  remove,
  actions: { add_members: addMembers, remove_members: removeMembers },
};
