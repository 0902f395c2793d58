/** Starts the cycles that are due, so that each session's RPO holds. */
import { startDueCycles } from '../app/start-due-cycles.ts';
import type { AppPorts } from '../app/app-ports.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

const REST_MS = 250;

export function scheduler(ports: AppPorts): Loop {
  return loop(ports, 'scheduler', REST_MS, () => startDueCycles(ports));
}
