/**
 * What `discover` has found at a source, and what clients said of it since: what the volumes are to
 * be called here, and which come in together. It is kept with the source, as remarks:
 *
 *   volume:<id>  { locator, sizeBytes }     name:<id>  text     group:<id>  { name, members }
 *
 * A volume that an import has named without it is in the catalogue, too.
 */
import { createHash } from 'node:crypto';
import type { App } from '../../app/app.ts';
import type { ImportView, SourceView } from '../../app/import-views.ts';
import type { SourceId } from '../../domain/ids.ts';
import { isName } from '../../domain/names.ts';
import { refuse } from '../../domain/refusal.ts';
import { DIALECT } from './schemas.ts';
import type { World } from './world.ts';

/** A directory may hold any number of files. */
const MAX_FOUND = 1000;

export interface CataloguedVolume {
  readonly id: string;
  readonly source: SourceView;
  /** As the source names it. */
  readonly locator: string;
  /** Undefined while the source has not told and no import has looked. */
  readonly sizeBytes: number | undefined;
  /** What it is to be called here; undefined until somebody says, where the locator is no name. */
  readonly name: string | undefined;
  /** Of it, newest first. */
  readonly imports: readonly ImportView[];
}

export interface CataloguedGroup {
  readonly id: string;
  readonly source: SourceView;
  readonly name: string;
  /** Ids of catalogued volumes. */
  readonly members: readonly string[];
}

/** The same at every look: an id of what has none at its source. */
export function catalogueIdOf(sourceId: SourceId, locator: string): string {
  const digits = createHash('sha256').update(`${sourceId}\n${locator}`).digest('hex');
  const cuts = [0, 8, 12, 16, 20, 32] as const;
  return cuts
    .slice(1)
    .map((end, index) => digits.slice(cuts[index], end))
    .join('-');
}

export async function cataloguedVolumes(world: World): Promise<readonly CataloguedVolume[]> {
  const imports = (await world.imports()).toReversed();
  return (await world.sources()).flatMap((source) => volumesAt(source, imports));
}

function volumesAt(source: SourceView, all: readonly ImportView[]): readonly CataloguedVolume[] {
  const imports = all.filter(({ sourceId }) => sourceId === source.id);
  const sizes = new Map<string, number | undefined>();
  for (const { locator, sizeBytes } of toldOf(source, 'volume:').values() as Iterable<Found>) {
    sizes.set(locator, sizeBytes);
  }
  for (const { from, sizeBytes } of imports.flatMap(({ volumes }) => volumes)) {
    sizes.set(from.locator, sizes.get(from.locator) ?? sizeBytes);
  }
  const names = toldOf(source, 'name:') as ReadonlyMap<string, string>;
  return [...sizes].map(([locator, sizeBytes]) => {
    const id = catalogueIdOf(source.id, locator);
    const name = names.get(id) ?? (isName(locator) ? locator : undefined);
    const of = imports.filter(({ volumes }) => volumes.some((v) => v.from.locator === locator));
    return { id, source, locator, sizeBytes, name, imports: of };
  });
}

export async function cataloguedGroups(world: World): Promise<readonly CataloguedGroup[]> {
  return (await world.sources()).flatMap((source) =>
    [...(toldOf(source, 'group:') as ReadonlyMap<string, ToldGroup>)].map(([id, told]) => ({
      id,
      source,
      ...told,
    })),
  );
}

type Found = { readonly locator: string; readonly sizeBytes?: number };
type ToldGroup = { readonly name: string; readonly members: readonly string[] };

function toldOf({ remarks }: SourceView, kind: string): ReadonlyMap<string, unknown> {
  const words = Object.entries(remarks?.[DIALECT] ?? {}).filter(([word]) => word.startsWith(kind));
  return new Map(words.map(([word, told]) => [word.slice(kind.length), told]));
}

/**
 * Asks the source which volumes it has. What it does not have any more is forgotten.
 *
 * @throws Refusal `source_unreachable`, `unsupported` where its protocol cannot tell, `limit_reached`
 */
export async function discover(app: App, source: SourceView): Promise<void> {
  const found = await app.listSourceVolumes({ sourceId: source.id });
  if (found === undefined) {
    const what = `discovering the volumes of ${source.name}`;
    const why = `${source.endpoint.kind} cannot tell them; import one by "source_resource_id": "name:LOCATOR"`;
    refuse({ code: 'unsupported', what, why });
  }
  if (found.length > MAX_FOUND) {
    refuse({ code: 'limit_reached', what: `volumes of ${source.name}`, limit: MAX_FOUND });
  }
  const gone = [...toldOf(source, 'volume:').keys()].map((id) => [`volume:${id}`, undefined]);
  const there = found.map(({ locator, sizeBytes }) => [
    `volume:${catalogueIdOf(source.id, locator)}`,
    { locator, ...(sizeBytes !== undefined && { sizeBytes }) },
  ]);
  await tell(app, source.id, Object.fromEntries([...gone, ...there]) as Told);
}

export function nameVolume(
  app: App,
  { id, source }: CataloguedVolume,
  name: string,
): Promise<void> {
  return tell(app, source.id, { [`name:${id}`]: name });
}

/** Makes or changes a group. */
export function keepGroup(app: App, { id, source, name, members }: CataloguedGroup): Promise<void> {
  return tell(app, source.id, { [`group:${id}`]: { name, members } });
}

export function forgetGroup(app: App, { id, source }: CataloguedGroup): Promise<void> {
  return tell(app, source.id, { [`group:${id}`]: undefined });
}

type Told = Parameters<App['remarkOn']>[0]['told'];

function tell(app: App, sourceId: SourceId, told: Told): Promise<void> {
  return app.remarkOn({ on: { sourceId }, dialect: DIALECT, told });
}
