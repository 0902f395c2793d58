import type { SagaId } from '../domain/ids.ts';
import type { AppPorts } from './app-ports.ts';

/**
 * Asks a running job to undo itself. Returns when that is recorded; the job then ends `undone`.
 *
 * @throws Refusal `not_found`, `past_point_of_no_return`
 */
export function abortJob(
  { sagas }: Pick<AppPorts, 'sagas'>,
  { jobId, by }: { readonly jobId: SagaId; readonly by: string },
): Promise<void> {
  return sagas.abort(jobId, by);
}
