import type { SourceId } from '../domain/ids.ts';
import { newId } from '../domain/ids.ts';
import { checkEndpoint, checkSecret } from '../domain/import-source-check.ts';
import type { ImportSource, SourceEndpoint, SourceSecret } from '../domain/import-source.ts';
import { checkName } from '../domain/names.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import type { FoundVolume } from '../ports/importer.ts';
import type { AppPorts } from './app-ports.ts';

export interface AddSource {
  readonly name: string;
  readonly endpoint: SourceEndpoint;
  readonly secret?: SourceSecret | undefined;
}

type Deps = Pick<AppPorts, 'store' | 'importer' | 'clock'>;

/**
 * Makes a system known from which volumes can be brought in. Its secret is kept encrypted.
 *
 * @throws Refusal `invalid`, `already_exists`, `source_unreachable` — nothing was kept
 */
export async function addSource(
  ports: Deps & Pick<AppPorts, 'vault'>,
  { name, endpoint, secret }: AddSource,
): Promise<ImportSource> {
  const { store, importer, clock, vault } = ports;
  checkName(name);
  checkEndpoint(endpoint);
  checkSecret(endpoint, secret);
  await store.read(async (tx) => {
    const [taken] = await tx.importSources.where({ name });
    if (taken !== undefined) refuse({ code: 'already_exists', what: 'import_source', name });
  });
  const id = newId<SourceId>();
  const sealedSecret = secret && vault.seal(JSON.stringify(secret), id);
  await importer.checkSource({ id, name, endpoint, sealedSecret });
  return store.transaction(async (tx) => {
    const [taken] = await tx.importSources.where({ name });
    if (taken !== undefined) refuse({ code: 'already_exists', what: 'import_source', name });
    const now = clock.now();
    return tx.importSources.insert({
      id,
      name,
      endpoint,
      sealedSecret,
      reachable: true,
      checkedAt: now,
      trouble: undefined,
      createdAt: now,
    });
  });
}

/**
 * Looks whether the source answers now, and keeps what was found.
 *
 * @throws Refusal `not_found`
 */
export async function checkSource(
  { store, importer, clock }: Deps,
  { sourceId }: { readonly sourceId: SourceId },
): Promise<ImportSource> {
  const source = await store.read((tx) => tx.importSources.need(sourceId));
  const trouble = await importer.checkSource(source).then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof Refusal) return error.message;
      throw error;
    },
  );
  const found = { reachable: trouble === undefined, trouble, checkedAt: clock.now() };
  return store.transaction((tx) =>
    tx.importSources.change(sourceId, (row) => ({ ...row, ...found })),
  );
}

/** @throws Refusal `not_found`, `in_use` while an import has not ended */
export function removeSource(
  { store }: Pick<Deps, 'store'>,
  { sourceId }: { readonly sourceId: SourceId },
): Promise<void> {
  return store.transaction(async (tx) => {
    const { name } = await tx.importSources.need(sourceId);
    const [by] = await tx.imports.where({ sourceId });
    if (by !== undefined) {
      refuse({ code: 'in_use', what: 'import_source', id: name, by: `import ${by.name}` });
    }
    await tx.importSources.remove(sourceId);
  });
}

/**
 * The volumes that a source tells of; undefined where its protocol cannot tell.
 *
 * @throws Refusal `not_found`, `source_unreachable`
 */
export async function listSourceVolumes(
  { store, importer }: Pick<Deps, 'store' | 'importer'>,
  { sourceId }: { readonly sourceId: SourceId },
): Promise<readonly FoundVolume[] | undefined> {
  return importer.listVolumes(await store.read((tx) => tx.importSources.need(sourceId)));
}
