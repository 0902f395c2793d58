/** Lets go of points that no plan keeps, so that chains stay short. */
import type { AppPorts } from '../app/app-ports.ts';
import { forgetExpendablePoints } from '../app/forget-points.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

const REST_MS = 2000;

export function retention(ports: AppPorts): Loop {
  return loop(ports, 'retention', REST_MS, () => forgetExpendablePoints(ports));
}
