/** Keeps imports going: what they want against what the data plane does. */
import type { AppPorts } from '../app/app-ports.ts';
import { keepImports } from '../app/keep-imports.ts';
import type { Meters } from '../app/keep-imports.ts';
import { loop } from './loop.ts';
import type { Loop } from './loop.ts';

const REST_MS = 250;

export function importWatch(ports: AppPorts): Loop {
  const meters: Meters = new Map();
  return loop(ports, 'import-watch', REST_MS, () => keepImports(ports, meters));
}
