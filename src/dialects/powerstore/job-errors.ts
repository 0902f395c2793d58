import type { SagaRecord } from '../../domain/saga-record.ts';
import { hasEnded } from '../../domain/saga-record.ts';
import { PowerStoreError, asError } from './errors.ts';

/** Jobs that fail in the words that this dialect has for imports. */
const OF_IMPORTS: ReadonlySet<string> = new Set(['cut-over-import', 'cancel-import']);

/** Why a job that has ended did not come to what was asked; undefined when it did, or still runs. */
export function errorOfJob(job: SagaRecord): PowerStoreError | undefined {
  const { kind, state, outcome } = job;
  if (!hasEnded(job) || (state === 'done' && outcome === undefined)) return undefined;
  const { reason, message = 'the job was undone' } = outcome ?? {};
  if (reason !== undefined) return asError({ reason, message });
  return new PowerStoreError(OF_IMPORTS.has(kind) ? 'import_failed' : 'try_again', message);
}
