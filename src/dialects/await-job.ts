import { setTimeout as passes } from 'node:timers/promises';
import type { App } from '../app/app.ts';
import type { SagaId } from '../domain/ids.ts';
import { hasEnded } from '../domain/saga-record.ts';
import type { SagaRecord } from '../domain/saga-record.ts';

/** The job when it has ended, or as it is after so many seconds. @throws Refusal `not_found` */
export async function jobAfter(app: App, jobId: SagaId, waitSeconds: number): Promise<SagaRecord> {
  const job = await app.showJob(jobId);
  if (waitSeconds === 0 || hasEnded(job)) return job;
  const enough = new AbortController();
  const passed = passes(waitSeconds * 1000, undefined, { signal: enough.signal, ref: false });
  const ended = app.endOfJob(jobId);
  await Promise.race([ended, passed.catch(() => undefined)]);
  enough.abort();
  // Who stopped waiting does not hear of what becomes of it.
  ended.catch(() => undefined);
  return app.showJob(jobId);
}
