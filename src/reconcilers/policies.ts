/** Sees to it that a group with a policy has its session. */
import { applyPolicies } from '../app/apply-policies.ts';
import type { AppPorts } from '../app/app-ports.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

const REST_MS = 250;

export function policies(ports: AppPorts): Loop {
  return loop(ports, 'policies', REST_MS, () => applyPolicies(ports));
}
