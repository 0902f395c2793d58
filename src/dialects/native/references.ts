/** A path may name a thing by its id or by its name, as people do. */
import type { App } from '../../app/app.ts';
import { isId } from '../../domain/ids.ts';
import type {
  GroupId,
  HostId,
  ImportId,
  SiteId,
  SourceId,
  UserId,
  VolumeId,
} from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Subject } from '../../domain/refusal.ts';

interface Row {
  readonly id: string;
  readonly name: string;
}

/** @throws Refusal `not_found` */
function find<R extends Row>(rows: readonly R[], what: Subject, reference: string): R {
  const id = reference.toLowerCase();
  const byId = isId(id) ? rows.find((row) => row.id === id) : undefined;
  return (
    byId ??
    rows.find((row) => row.name === reference) ??
    refuse({ code: 'not_found', what, id: reference })
  );
}

export async function volumeIdOf(app: App, reference: string): Promise<VolumeId> {
  return find(await app.listVolumes(), 'volume', reference).id;
}

/** By its id also a lone volume's group of one; by name only what users made as a group. */
export async function groupIdOf(app: App, reference: string): Promise<GroupId> {
  const groups = await app.listGroups();
  const lone = groups.find((g) => g.implicit && g.id === reference.toLowerCase());
  if (lone !== undefined) return lone.id;
  const shown = groups.filter((g) => !g.implicit);
  return find(shown, 'group', reference).id;
}

export async function hostIdOf(app: App, reference: string): Promise<HostId> {
  return find(await app.listHosts(), 'host', reference).id;
}

export async function peerIdOf(app: App, reference: string): Promise<SiteId> {
  return find(await app.listPeers(), 'peer', reference).id;
}

export async function userIdOf(app: App, reference: string): Promise<UserId> {
  return find(await app.listUsers(), 'user', reference).id;
}

export async function sourceIdOf(app: App, reference: string): Promise<SourceId> {
  return find(await app.listSources(), 'import_source', reference).id;
}

export async function importIdOf(app: App, reference: string): Promise<ImportId> {
  return find(await app.listImports(), 'import_session', reference).id;
}
