/** Keeps the store from growing without end. */
import type { AppPorts } from '../app/app-ports.ts';
import { forgetOldJobs } from '../app/forget-jobs.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

const REST_MS = 10 * 60_000;

export function housekeeping(ports: AppPorts): Loop {
  return loop(ports, 'housekeeping', REST_MS, async () => {
    await forgetOldJobs(ports);
  });
}
