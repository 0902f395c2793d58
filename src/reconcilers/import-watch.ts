/**
 * Keeps imports going: what they want against what the data plane does. It looks again when something
 * was written down, an import that was asked for among it; the data plane it asks now and then.
 */
import type { AppPorts } from '../app/app-ports.ts';
import { keepImports, newMemory } from '../app/keep-imports.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

const REST_MS = 250;

export function importWatch(ports: AppPorts): Loop {
  const memory = newMemory();
  const round = (): Promise<void> => keepImports(ports, memory);
  return loop(ports, 'import-watch', REST_MS, round, (wake) => ports.store.onCommit(wake));
}
