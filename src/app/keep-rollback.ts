/** Keeps the sources of imports that hosts may go back to current, and lets them go when it is time. */
import { isWindowOver, withSource } from '../domain/import-rollback.ts';
import type { RollbackWindow } from '../domain/import-rollback.ts';
import type { ImportSession } from '../domain/import-session.ts';
import type { ImportId } from '../domain/ids.ts';
import { Failure, Refusal } from '../domain/refusal.ts';
import type { KeptSource } from '../ports/importer.ts';
import type { AppPorts } from './app-ports.ts';

type Deps = Pick<AppPorts, 'store' | 'importer' | 'clock'>;

/** A source that could not be written is tried again after so long. */
const TRY_AGAIN_MS = 2000;

/** When a process tried last. */
export type Tries = Map<ImportId, number>;

export async function keepRollback(
  ports: Deps,
  session: ImportSession,
  window: RollbackWindow,
  tries: Tries,
): Promise<void> {
  const { importer, clock } = ports;
  const { id, groupId, settings } = session;
  if (isWindowOver(window, clock.now())) return endWindow(ports, session);
  const seen = await importer.inspectSource(groupId);
  if (seen === undefined) return undefined;
  if (seen.state === 'in_step' || seen.state === 'copying') return note(ports, id, saidOf(seen));
  await note(ports, id, failedOf(seen, window));
  if (clock.monotonicMs() - (tries.get(id) ?? Number.NEGATIVE_INFINITY) < TRY_AGAIN_MS) return;
  tries.set(id, clock.monotonicMs());
  try {
    await importer.keepSource(groupId, settings.bytesPerSecond);
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof Failure)) throw error;
    await note(ports, id, { source: 'behind', leftBytes: 0, why: error.message });
  }
}

type Said = Pick<RollbackWindow, 'source' | 'leftBytes' | 'why'>;

function saidOf({ state, isWhole, leftBytes }: KeptSource): Said {
  if (state === 'in_step') return { source: 'in_step', leftBytes: 0, why: undefined };
  const why = isWhole
    ? 'all there is goes to it, since the data plane that kept it current has ended'
    : undefined;
  return { source: 'catching_up', leftBytes, why };
}

/** What has not begun, or not again, is as it was said last; in step it is not. */
function failedOf(seen: KeptSource, window: RollbackWindow): Said {
  if (seen.state === 'failed') return { source: 'behind', leftBytes: 0, why: seen.trouble };
  return window.source === 'in_step' ? saidOf(seen) : window;
}

/** Says what is so now; a session whose hosts are being taken back says that itself. */
async function note({ store, clock }: Deps, id: ImportId, said: Said): Promise<void> {
  await store.transaction(async (tx) => {
    const session = await tx.imports.get(id);
    if (session?.rollback === undefined || session.state !== 'completed') return;
    const { source, leftBytes, why } = session.rollback;
    if (source === said.source && leftBytes === said.leftBytes && why === said.why) return;
    const rollback = withSource(session.rollback, said, clock.now());
    await tx.imports.change(id, (s) => ({ ...s, rollback }));
  });
}

/** From here on the group is as any other. */
async function endWindow({ store, importer }: Deps, { id, groupId }: ImportSession): Promise<void> {
  await importer.letGo(groupId);
  await store.transaction(async (tx) => {
    const { state } = await tx.imports.need(id);
    if (state !== 'completed') return;
    await tx.imports.change(id, (s) => ({ ...s, rollback: undefined }));
    await tx.groups.change(groupId, (g) => ({ ...g, importing: undefined }));
  });
}
