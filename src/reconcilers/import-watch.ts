/** Keeps imports going: what they want against what the data plane does. */
import type { AppPorts } from '../app/app-ports.ts';
import { keepImports, newMemory } from '../app/keep-imports.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

const REST_MS = 250;

export function importWatch(ports: AppPorts): Loop {
  const memory = newMemory();
  return loop(ports, 'import-watch', REST_MS, () => keepImports(ports, memory));
}
