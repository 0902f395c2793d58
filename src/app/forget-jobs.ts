import { hasEnded } from '../domain/saga-record.ts';
import type { AppPorts } from './app-ports.ts';

/** Ended jobs that stay to be looked at, newest first; cycles are many, so they count apart. */
const KEPT_CYCLES = 200;
const KEPT_OTHERS = 1000;
const KEPT_AUDIT_ENTRIES = 50_000;

/** Removes the records of jobs that ended long ago, and the oldest audit entries. */
export function forgetOldJobs({ store }: Pick<AppPorts, 'store'>): Promise<void> {
  return store.transaction(async (tx) => {
    const ended = (await tx.sagas.all()).filter(hasEnded).toReversed();
    const cycles = ended.filter((s) => s.kind === 'replicate').slice(KEPT_CYCLES);
    const others = ended.filter((s) => s.kind !== 'replicate').slice(KEPT_OTHERS);
    for (const { id } of [...cycles, ...others]) await tx.sagas.remove(id);
    const entries = await tx.audit.all();
    for (const { id } of entries.slice(0, -KEPT_AUDIT_ENTRIES)) await tx.audit.remove(id);
  });
}
