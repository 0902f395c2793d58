import { advanceImport, hasImportEnded } from '../domain/import-session.ts';
import type { ImportEvent, ImportSession } from '../domain/import-session.ts';
import type { ImportId, Instant } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import { serveGroup } from '../sagas/operation.ts';
import type { AppPorts } from './app-ports.ts';
import { checkRate } from './create-import.ts';

type Deps = Pick<AppPorts, 'store' | 'engine' | 'clock' | 'here' | 'gate'>;

interface ById {
  readonly importId: ImportId;
}

/**
 * Another start for an import that is scheduled; now, without one.
 *
 * @throws Refusal `not_found`, `wrong_state`
 */
export function rescheduleImport(
  { store, clock }: Pick<Deps, 'store' | 'clock'>,
  { importId, scheduledAt }: ById & { readonly scheduledAt: Instant | undefined },
): Promise<ImportSession> {
  return store.transaction((tx) =>
    tx.imports.change(importId, (s) => {
      const queued = advanceImport(s, 'queue', clock.now());
      const isDue = scheduledAt === undefined || scheduledAt <= clock.now();
      return { ...(isDue ? queued : s), settings: { ...s.settings, scheduledAt } };
    }),
  );
}

/**
 * Another limit for the copy, at once; undefined lifts it.
 *
 * @throws Refusal `invalid`, `not_found`, `wrong_state` when the import has ended
 */
export function limitImport(
  { store }: Pick<Deps, 'store'>,
  { importId, bytesPerSecond }: ById & { readonly bytesPerSecond: number | undefined },
): Promise<ImportSession> {
  checkRate(bytesPerSecond);
  return store.transaction((tx) =>
    tx.imports.change(importId, (s) => {
      if (!hasImportEnded(s)) return { ...s, settings: { ...s.settings, bytesPerSecond } };
      const what = 'import_session';
      const event = 'limit';
      return refuse({ code: 'wrong_state', what, id: s.id, state: s.state, event, allowedIn: [] });
    }),
  );
}

/**
 * Opens the volumes to the import's hosts, which now move from the source to this site.
 *
 * @throws Refusal `not_found`, `wrong_state`
 */
export async function enableImport(ports: Deps, { importId }: ById): Promise<ImportSession> {
  const session = await ports.store.transaction(async (tx) => {
    const enabled = await tx.imports.change(importId, (s) =>
      advanceImport(s, 'enable', ports.clock.now()),
    );
    const { hosts } = enabled.settings;
    await tx.groups.change(enabled.groupId, (g) => ({
      ...g,
      hosts: [...new Set([...g.hosts, ...hosts])],
    }));
    return enabled;
  });
  await serveGroup(ports, session.groupId);
  return session;
}

/** Hosts have moved: the copy begins. @throws Refusal `not_found`, `wrong_state` */
export function startImportCopy(ports: Deps, { importId }: ById): Promise<ImportSession> {
  return command(ports, importId, 'start_copy');
}

/** The copy stops; hosts go on, their writes reach the source. @throws as above */
export function pauseImport(ports: Deps, { importId }: ById): Promise<ImportSession> {
  return command(ports, importId, 'pause');
}

/** The copy goes on where it was. @throws as above */
export function resumeImport(ports: Deps, { importId }: ById): Promise<ImportSession> {
  return command(ports, importId, 'resume');
}

/** What the state says is carried out by the import watch, at the latest after its rest. */
function command(
  { store, clock }: Pick<Deps, 'store' | 'clock'>,
  importId: ImportId,
  event: ImportEvent,
): Promise<ImportSession> {
  return store.transaction((tx) =>
    tx.imports.change(importId, (s) => advanceImport(s, event, clock.now())),
  );
}
