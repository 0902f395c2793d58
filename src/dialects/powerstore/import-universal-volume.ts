/** Volumes of foreign systems, once they have been discovered: what can be imported. */
import { Type } from 'typebox';
import type { ImportView } from '../../app/import-views.ts';
import { hasImportEnded } from '../../domain/import-session.ts';
import { checkName } from '../../domain/names.ts';
import { asToken, importableCriteria } from './l10n.ts';
import { findRow, resourceType, textIn } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Resource } from './routes.ts';
import { Name, body } from './schemas.ts';
import { cataloguedGroups, cataloguedVolumes, nameVolume } from './source-catalogue.ts';
import type { CataloguedVolume } from './source-catalogue.ts';

const VOLUME_MULTIPLE = 8192;

const volumeType = resourceType({
  name: 'import_universal_volume',
  attributes: [
    'id',
    'wwn',
    'name',
    'size',
    'block_size',
    'remote_system_id',
    'importable_criteria',
    'import_universal_consistency_group_id',
  ],
  texts: { block_size: asToken, importable_criteria: importableCriteria },
  links: { remote_system: 'remote_system' },
  rows: async (world) => {
    const groups = await cataloguedGroups(world);
    return (await cataloguedVolumes(world)).map((volume) => ({
      attributes: {
        id: volume.id,
        // What tells it from the source's others, as there is no wwn.
        wwn: volume.locator,
        name: volume.name ?? null,
        size: volume.sizeBytes ?? null,
        block_size: '512_Bytes',
        remote_system_id: volume.source.id,
        importable_criteria: criteriaOf(volume),
        import_universal_consistency_group_id:
          groups.find(({ members }) => members.includes(volume.id))?.id ?? null,
      },
      links: { remote_system: volume.source.id },
    }));
  },
});

export function criteriaOf({ imports, source, sizeBytes = 0 }: CataloguedVolume): string {
  const course = courseOf(imports);
  if (course !== undefined) return course;
  if (!source.reachable) return 'Source_Volume_Offline';
  if (sizeBytes % VOLUME_MULTIPLE !== 0) return 'Volume_Size_Not_Multiple_of_8192';
  return source.endpoint.kind === 'http' ? 'Ready' : 'Ready_For_Agentless_Import';
}

/** What has come of the newest import; undefined where it may be imported. */
export function courseOf([newest]: readonly ImportView[]): string | undefined {
  if (newest === undefined) return undefined;
  if (!hasImportEnded(newest)) return 'In_Progress';
  return newest.state === 'cancelled' || newest.state === 'failed' ? undefined : 'Imported';
}

/** @throws PowerStoreError 404 */
export async function cataloguedVolume({
  world,
  reference,
}: Pick<Asked, 'world' | 'reference'>): Promise<CataloguedVolume> {
  const id = textIn(await findRow(volumeType, world, reference), 'id');
  const volume = (await cataloguedVolumes(world)).find((v) => v.id === id);
  if (volume === undefined) throw new Error(`volume ${id} was there a moment ago`);
  return volume;
}

const modify = operation({
  needs: 'storage',
  schema: body({ name: Type.Optional(Name) }),
  run: async (asked, { name }) => {
    const volume = await cataloguedVolume(asked);
    if (name !== undefined) await nameVolume(asked.app, volume, checkName(name));
    return {};
  },
});

export const importUniversalVolume: Resource = { type: volumeType, modify };
