/** The vendor answers most requests when they are done: so does this, within a minute. */
import type { App } from '../../app/app.ts';
import type { Job } from '../../app/app-ports.ts';
import { Refusal } from '../../domain/refusal.ts';
import { jobAfter } from '../await-job.ts';
import { NimbleError } from './errors.ts';

const WAIT_SECONDS = 60;

/**
 * Waits for a job. One that takes longer goes on by itself, as the vendor's own background work does.
 *
 * @throws Refusal why it was undone; NimbleError `SM_eagain` when the world did not work
 */
export async function settle(app: App, job: Job | undefined): Promise<void> {
  if (job === undefined) return;
  const { state, outcome } = await jobAfter(app, job.jobId, WAIT_SECONDS);
  if (state !== 'undone') return;
  if (outcome?.reason !== undefined) throw new Refusal(outcome.reason);
  throw new NimbleError('SM_eagain', outcome?.message ?? 'It was undone.');
}
