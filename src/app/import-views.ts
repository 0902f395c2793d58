import type { ImportSession } from '../domain/import-session.ts';
import type { ImportSource } from '../domain/import-source.ts';
import type { ImportId, SagaId, SourceId } from '../domain/ids.ts';
import { hasEnded } from '../domain/saga-record.ts';
import type { SagaProgress } from '../domain/saga-record.ts';
import type { Transaction } from '../ports/store.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store'>;

export interface SourceView extends Omit<ImportSource, 'sealedSecret'> {
  readonly hasSecret: boolean;
}

export interface ImportView extends ImportSession {
  readonly sourceName: string;
  /** The group of the volumes; undefined once they are gone. */
  readonly groupName: string | undefined;
  /** The running comparison of both copies. */
  readonly comparing: SagaProgress | undefined;
  /** The operation that runs now. */
  readonly jobId: SagaId | undefined;
}

export function listSources({ store }: Deps): Promise<readonly SourceView[]> {
  return store.read(async (tx) => (await tx.importSources.all()).map(viewSource));
}

/** @throws Refusal `not_found` */
export function showSource({ store }: Deps, id: SourceId): Promise<SourceView> {
  return store.read(async (tx) => viewSource(await tx.importSources.need(id)));
}

/** Oldest first. */
export function listImports({ store }: Deps): Promise<readonly ImportView[]> {
  return store.read(async (tx) => {
    const sessions = await tx.imports.all();
    return Promise.all(sessions.map((session) => viewImport(tx, session)));
  });
}

/** @throws Refusal `not_found` */
export function showImport({ store }: Deps, id: ImportId): Promise<ImportView> {
  return store.read(async (tx) => viewImport(tx, await tx.imports.need(id)));
}

function viewSource({ sealedSecret, ...source }: ImportSource): SourceView {
  return { ...source, hasSecret: sealedSecret !== undefined };
}

async function viewImport(tx: Transaction, session: ImportSession): Promise<ImportView> {
  const { groupId, sourceId } = session;
  const sagas = (await tx.sagas.where({ groupId })).filter((saga) => !hasEnded(saga));
  const group = await tx.groups.get(groupId);
  return {
    ...session,
    sourceName: (await tx.importSources.get(sourceId))?.name ?? sourceId,
    groupName: group?.name,
    comparing: sagas.find(({ kind }) => kind === 'compare-import')?.progress,
    jobId: sagas.at(-1)?.id,
  };
}
